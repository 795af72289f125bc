/*
 * Completion scripts of three shells, from the table of commands. Pure.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stdbool.h>

#include "base/str.h"

struct command;

/* Appends the script for "bash", "zsh" or "fish"; false for another shell. `commands` ends with a NULL name. */
bool completion_script(const char *shell, const struct command *commands, struct str *out);

#endif
