/*
 * What the processes of each role cost: memory and processor time, read from
 * /proc while they live and from what the supervisor saw when it reaped them.
 * A role's processor time never goes back.
 */
#ifndef IO_PROCESSES_H
#define IO_PROCESSES_H

#include <stdint.h>

#include "io/role.h"

struct processes;

struct processes *processes_new(void);
void processes_free(struct processes *processes);   /* NULL is fine */
/* A process began. */
void processes_began(struct processes *processes, uint32_t pid, enum role role);
/* The supervisor reaped it. A pid that is not known is passed over. */
void processes_ended(struct processes *processes, uint32_t pid, uint64_t cpu_us);
/* Sets the metrics of processes, memory and processor time, by role. */
void processes_measure(struct processes *processes);

#endif
