/*
 * Places where a test build can make the program fail or die, named by text:
 * COUNTERSIGN_FAULT="render.job:segv:1,log.fdatasync:eio:3" means the first
 * time at render.job a SIGSEGV, the third time at log.fdatasync EIO. A build
 * without -DFAULTS compiles all of it away and ignores the variable.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef FAULTS
/* Returns 0, or the errno that the plan demands here; may not return at all (segv, kill, hang). */
int fault_at(const char *place);
#else
static inline int fault_at(const char *place)
{
	(void)place;
	return 0;
}
#endif

#endif
