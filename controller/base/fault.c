/* The plan of COUNTERSIGN_FAULT, in test builds only; see fault.h. */
#include "base/fault.h"

#ifdef FAULTS
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "base/str.h"

static int act(struct span what)
{
	if (span_is(what, "segv"))
		raise(SIGSEGV);
	if (span_is(what, "kill")) {
		kill(getpid(), SIGKILL);
		_exit(128 + SIGKILL); /* the sandbox of a worker lets it send no signal; it ends as suddenly */
	}
	if (span_is(what, "hang"))
		for (;;)
			pause();
	if (span_is(what, "enospc"))
		return ENOSPC;
	return EIO;
}

/* How often this place was passed so far, in this process. */
static int64_t pass(const char *place)
{
	static struct map passes;
	int64_t *count = map_get(&passes, span_of(place));

	if (!count) {
		count = mem_alloc(sizeof(*count));
		map_set(&passes, span_of(place), count);
	}
	return ++*count;
}

int fault_at(const char *place)
{
	struct span plan = span_of(getenv("COUNTERSIGN_FAULT"));
	int64_t count, nth;

	if (!plan.length)
		return 0;
	count = pass(place);
	while (plan.length) {
		struct span one = span_cut(&plan, ','), where = span_cut(&one, ':'), what = span_cut(&one, ':');

		if (span_is(where, place) && span_to_int64(one, &nth) && nth == count)
			return act(what);
	}
	return 0;
}
#else
typedef int fault_translation_unit_is_not_empty;
#endif
