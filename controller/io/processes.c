/* Processes by role; see processes.h. */
#include "io/processes.h"

#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/metric.h"
#include "io/file.h"

#define STAT_BYTES_MAX 1024
/* Fields of /proc/PID/stat, counted after the name in parentheses (proc(5) counts it as the second). */
#define STAT_UTIME 11
#define STAT_STIME 12
#define STAT_RSS 21

struct process {
	enum role role;
	uint64_t cpu_us;       /* as last read */
};

struct processes {
	struct map living;                     /* pid -> struct process */
	uint64_t ended_us[ROLE_COUNT];
};

static struct span key_of(const uint32_t *pid)
{
	return span_make(pid, sizeof(*pid));
}

struct processes *processes_new(void)
{
	return mem_alloc(sizeof(struct processes));
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	MAP_EACH(entry, &processes->living)
		free(entry->value);
	map_release(&processes->living);
	free(processes);
}

void processes_began(struct processes *processes, uint32_t pid, enum role role)
{
	struct process *process = mem_alloc(sizeof(*process));

	process->role = role;
	free(map_set(&processes->living, key_of(&pid), process));
}

void processes_ended(struct processes *processes, uint32_t pid, uint64_t cpu_us)
{
	struct process *process = map_remove(&processes->living, key_of(&pid));

	if (!process)
		return;
	processes->ended_us[process->role] += cpu_us > process->cpu_us ? cpu_us : process->cpu_us;
	free(process);
}

/* Reads utime + stime and the resident pages; false when there is no such process any more. */
static bool read_stat(uint32_t pid, uint64_t *cpu_us, uint64_t *bytes)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(STAT_BYTES_MAX);
	int64_t ticks = 0, pages = 0, one;
	struct span rest;
	char path[64];
	ptrdiff_t end;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (file_read(path, STAT_BYTES_MAX, &text, NULL))
		return false;
	end = span_rindex(str_span(&text), ')');
	rest = span_trim(span_from(str_span(&text), end < 0 ? 0 : (size_t)end + 1));
	for (int field = 0; rest.data; field++) {
		struct span value = span_cut(&rest, ' ');

		if ((field == STAT_UTIME || field == STAT_STIME) && span_to_int64(value, &one))
			ticks += one;
		if (field == STAT_RSS)
			span_to_int64(value, &pages);
	}
	*cpu_us = (uint64_t)ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	*bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

void processes_measure(struct processes *processes)
{
	uint64_t cpu_us[ROLE_COUNT], memory[ROLE_COUNT] = { 0 }, count[ROLE_COUNT] = { 0 }, now_us, bytes;
	const struct { uint32_t pid; enum role role; } fixed[] = { { (uint32_t)getpid(), ROLE_CORE }, { (uint32_t)getppid(), ROLE_SUPERVISOR } };

	memcpy(cpu_us, processes->ended_us, sizeof(cpu_us));
	for (size_t i = 0; i < COUNT_OF(fixed); i++)
		if (read_stat(fixed[i].pid, &now_us, &bytes)) {
			cpu_us[fixed[i].role] += now_us;
			memory[fixed[i].role] += bytes;
			count[fixed[i].role]++;
		}
	MAP_EACH(entry, &processes->living) {
		struct process *process = entry->value;
		uint32_t pid;

		memcpy(&pid, entry->key, sizeof(pid));
		if (read_stat(pid, &now_us, &bytes)) {
			process->cpu_us = now_us > process->cpu_us ? now_us : process->cpu_us;
			memory[process->role] += bytes;
			count[process->role]++;
		}
		cpu_us[process->role] += process->cpu_us;
	}
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		metric_set(METRIC_PROCESSES, (double)count[role], role_name(role), NULL);
		metric_set(METRIC_PROCESS_MEMORY, (double)memory[role], role_name(role), NULL);
		metric_set(METRIC_PROCESS_CPU, (double)cpu_us[role] / 1e6, role_name(role), NULL);
	}
}
