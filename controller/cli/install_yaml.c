/* The installation as bytes; see install_yaml.h. */
#include "cli/install_yaml.h"

#include "base/error.h"
#include "base/yaml.h"
#include "base/yaml_scalar.h"

#define SHIPPED_NAMESPACE "countersign-system"
#define SHIPPED_IMAGE "image: countersign:0.1.0"

/* The assembler puts the files in; the Makefile makes this object again when one changes. */
#define INCLUDE(name, file) \
	__asm__(".section .rodata\n.global " name "_begin_\n.global " name "_end_\n" \
		name "_begin_:\n.incbin \"" file "\"\n" name "_end_:\n.previous\n")
INCLUDE("install_yaml", "manifests/install.yaml");
INCLUDE("namespace_install_yaml", "manifests/namespace-install.yaml");
extern const char install_yaml_begin_[], install_yaml_end_[], namespace_install_yaml_begin_[], namespace_install_yaml_end_[];

/* Appends text with each `from` as `to`, and as `alone` where it is a value of its own. */
static void replace_all(struct span text, const char *from, const char *to, const char *alone, struct str *out)
{
	size_t length = strlen(from);

	while (text.length) {
		bool here = span_starts(text, from), is_alone = out->length && strchr(" [", out->data[out->length - 1]);

		str_add(out, here ? span_of(is_alone ? alone : to) : span_sub(text, 0, 1));
		text = span_from(text, here ? length : 1);
	}
}

struct span install_yaml_text(struct arena *arena, enum install_form form, const char *namespace, const char *image)
{
	CLEANUP(str_release) struct str moved = STR_INIT, out = STR_INIT;
	const char *begin = form == INSTALL_NAMESPACED ? namespace_install_yaml_begin_ : install_yaml_begin_;
	const char *end = form == INSTALL_NAMESPACED ? namespace_install_yaml_end_ : install_yaml_end_;
	const char *name = namespace ? namespace : SHIPPED_NAMESPACE, *what = image ? arena_printf(arena, "image: %s", image) : SHIPPED_IMAGE;

	/* "123" and "true" are names, too */
	replace_all(span_make(begin, (size_t)(end - begin)), SHIPPED_NAMESPACE, name,
		    yaml_plain_is_special(span_of(name)) ? arena_printf(arena, "\"%s\"", name) : name, &moved);
	replace_all(str_span(&moved), SHIPPED_IMAGE, what, what, &out);
	return arena_span(arena, str_span(&out));
}

struct json *install_yaml_objects(struct arena *arena, struct span text)
{
	struct json *objects = json_array(arena);
	struct yaml_stream stream;
	struct error err = ERROR_INIT;

	if (yaml_parse(text, "install.yaml", NULL, arena, &stream, &err))
		base_panic(__FILE__, __LINE__, err.text);
	for (size_t i = 0; i < stream.count; i++)
		if (stream.documents[i].value)
			json_append(arena, objects, stream.documents[i].value);
	return objects;
}

bool install_yaml_is_name(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') || (text[i] == '-' && i && i + 1 < length)))
			return false;
	return length && length <= 63;
}
