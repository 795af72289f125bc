/*
 * Response headers of registries that are read for their meaning. Pure; the bytes
 * are a stranger's.
 */
#ifndef OCI_HEADER_H
#define OCI_HEADER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

enum challenge_scheme { CHALLENGE_NONE = 0, CHALLENGE_BASIC, CHALLENGE_BEARER };

/* What a registry asks for with 401. Strings live in the arena; NULL when not given. */
struct challenge {
	enum challenge_scheme scheme;
	const char *realm, *service, *scope, *error;
};

/*
 * Reads one WWW-Authenticate value (RFC 9110 11.6.1), which may hold several
 * challenges: the first Bearer with a realm wins, else Basic, else CHALLENGE_NONE.
 * What does not follow the grammar ends the reading; parameters given twice keep
 * their first value.
 */
void challenge_parse(struct span value, struct arena *arena, struct challenge *out);

/*
 * The target of rel="next" in a Link value (RFC 8288), as it stands there, or SPAN0.
 * Borrowed from the value.
 */
struct span link_next(struct span value);

/* The media type of a Content-Type value: without parameters, in lower case, at most 255 bytes; "" otherwise. */
const char *media_type_of(struct span content_type, struct arena *arena);

#endif
