/*
 * What a process may still do once it begins its work. Mandatory are
 * no-new-privileges and a seccomp filter; a role that cannot get them does not
 * start. Resource limits always, and for workers the kernel's first choice where
 * memory is short (proc(5), oom_score_adj). Landlock where the kernel and the
 * container allow it.
 */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include "base/error.h"
#include "io/role.h"

/* Closes the role in; called once, after start-up work and before the first outside byte. */
int sandbox_enter(enum role role, struct error *err);

/*
 * Landlock: from here on only files below `read_only` (NULL at the end) and below `writable` (likewise) can be opened.
 * *enforced tells whether the kernel does it; that it does not is no error.
 */
int sandbox_files(const char *const read_only[], const char *const writable[], int *enforced, struct error *err);

/*
 * For roles that speak to strangers: only what resolving names and checking certificates needs can be read, and only below
 * `writable` (NULL: nowhere) can be written. Says once in the log when the kernel does not do it.
 */
int sandbox_network(const char *writable, struct error *err);
/* For a role that has all it needs below one folder: only there can be read, and nowhere written. */
int sandbox_reader(const char *folder, struct error *err);

/* Which layers this machine gives, in words: "seccomp, no-new-privileges, Landlock ABI 7". */
const char *sandbox_layers(void);

#endif
