/*
 * Collects what is wrong with a revision's files, up to a limit, and sums it up.
 */
#ifndef RENDER_PROBLEMS_H
#define RENDER_PROBLEMS_H

#include "render/render.h"

/* Adds a copy; past the limit it is only counted. */
void problems_add(struct render_problems *problems, const struct error *one);
void problems_addf(struct render_problems *problems, enum error_kind kind, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Sums them up in *err and returns -1; 0 when there are none. */
int problems_sum(const struct render_problems *problems, struct error *err);

#endif
