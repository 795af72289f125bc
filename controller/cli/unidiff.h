/*
 * Two texts as a unified diff, line by line (Myers' greedy algorithm). Pure.
 * Texts that differ in more than UNIDIFF_EDITS_MAX lines are shown as one
 * whole replaced by the other, since memory grows with the square of it.
 */
#ifndef CLI_UNIDIFF_H
#define CLI_UNIDIFF_H

#include <stdbool.h>

#include "base/str.h"

#define UNIDIFF_EDITS_MAX 1000
#define UNIDIFF_CONTEXT 3

/* Appends the diff with its two names, or nothing; whether the texts differ. A last line may lack its line end. */
bool unidiff(struct span before, struct span after, const char *before_name, const char *after_name, struct str *out);

#endif
