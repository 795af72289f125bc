/* The plan of COUNTERSIGN_FAULT, in test builds only; see fault.h. */
#include "base/fault.h"

#ifdef FAULTS
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
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

#define PLACES_MAX 32

/* How often this place of the plan was passed so far, in this process. Allocates nothing: that is a place, too. */
static int64_t pass(const char *place)
{
	static struct {
		const char *place;
		int64_t count;
	} passes[PLACES_MAX];
	size_t i = 0;

	while (i < PLACES_MAX && passes[i].place && strcmp(passes[i].place, place) != 0)
		i++;
	ASSERT(i < PLACES_MAX);
	passes[i].place = place;
	return ++passes[i].count;
}

int fault_at(const char *place)
{
	struct span plan = span_of(getenv("COUNTERSIGN_FAULT"));
	int64_t count = 0, nth;

	while (plan.length) {
		struct span one = span_cut(&plan, ','), where = span_cut(&one, ':'), what = span_cut(&one, ':');

		if (!span_is(where, place))
			continue;
		count = count ? count : pass(place);
		if (span_to_int64(one, &nth) && nth == count)
			return act(what);
	}
	return 0;
}
#else
typedef int fault_translation_unit_is_not_empty;
#endif
