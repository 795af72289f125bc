/* Any bytes as a line of the API server's audit log, joined with a log that has nothing. */
#include "record/audit_join.h"

#define ACCOUNT "system:serviceaccount:cs:countersign-controller"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(audit_join_cleanup) struct audit_join *join = audit_join_new(ACCOUNT, NULL, NULL);
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span line = span_make(data, size);
	struct apiserver_event event;
	struct audit_join_counts counts;

	if (!apiserver_event_read(line, arena, &event, NULL)) {
		ASSERT(event.audit_id && event.stage && event.verb);
		audit_resource_is_of_kind(event.resource ? event.resource : "", event.verb, event.group ? event.group : "");
	}
	audit_join_event(join, line, NULL);
	counts = audit_join_end(join);
	/* without any log nothing can match, and no id can be ours */
	ASSERT(!counts.matched && !counts.foreign && !counts.unsent && counts.writes == counts.unrecorded);
	return 0;
}
