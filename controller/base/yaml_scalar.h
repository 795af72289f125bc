/*
 * What one YAML scalar means, after sigs.k8s.io/yaml. Used by yaml.c alone;
 * apart from it so that the rules can be read and tested in one place.
 */
#ifndef BASE_YAML_SCALAR_H
#define BASE_YAML_SCALAR_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

struct yaml_scalar {
	struct span text;
	const char *tag;        /* as libyaml gives it, NULL: none */
	bool plain;             /* unquoted: its text decides the type */
};

/*
 * The value, in the arena (text is copied). ERROR_INVALID: "UnknownTag",
 * "BadNumber", or "YAMLError" when the text does not fit its tag.
 */
int yaml_resolve(const struct yaml_scalar *scalar, struct arena *arena, struct json **out, struct error *err);

/* The key a scalar becomes: as the package does, numbers and booleans turn into text. Null is "BadKey". */
int yaml_resolve_key(const struct yaml_scalar *scalar, struct arena *arena, struct span *out, struct error *err);

/* Whether the plain text would be read back as something other than this very string. */
bool yaml_plain_is_special(struct span text);

/* A number as encoding/json writes it: the shortest digits that read back as the same double. */
void yaml_write_double(double value, struct str *out);

#endif
