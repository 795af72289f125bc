/*
 * Two glob dialects, both linear in the text, both anchored at both ends, no
 * regular expressions anywhere.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>

#include "base/str.h"

enum glob_flags {
	GLOB_PATH = 0,      /* '*' and '?' do not cross '/', "**" does: images, paths */
	GLOB_ANY = 1,       /* '*' crosses everything, '?' one byte: names, kinds, Argo CD's project fields */
};

/* Also understands [a-z] and [!a-z] in GLOB_ANY, and {a,b} in both. A pattern that does not parse matches nothing. */
bool glob_match(struct span pattern, struct span text, enum glob_flags flags);
/* Whether a pattern parses and is within limits.h; GLOB_BOUNDS says so to its author. A rule that denies is checked first, else it would be silent. */
bool glob_valid(struct span pattern);
#define GLOB_BOUNDS "(at most 512 bytes, and 64 alternatives in braces, which do not nest)"

#endif
