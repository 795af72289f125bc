/* The installation as bytes; see install_yaml.h. */
#include "cli/install_yaml.h"

#include "base/error.h"
#include "base/yaml.h"

#define SHIPPED_NAMESPACE "countersign-system"
#define SHIPPED_IMAGE "image: countersign:0.1.0"

/* The assembler puts the file in; the Makefile makes this object again when it changes. */
__asm__(".section .rodata\n"
	".global install_yaml_begin_\n.global install_yaml_end_\n"
	"install_yaml_begin_:\n.incbin \"manifests/install.yaml\"\ninstall_yaml_end_:\n"
	".previous\n");
extern const char install_yaml_begin_[], install_yaml_end_[];

/* Appends text with each `from` as `to`. */
static void replace_all(struct span text, const char *from, const char *to, struct str *out)
{
	size_t length = strlen(from);

	while (text.length) {
		bool here = span_starts(text, from);

		str_add(out, here ? span_of(to) : span_sub(text, 0, 1));
		text = span_from(text, here ? length : 1);
	}
}

struct span install_yaml_text(struct arena *arena, const char *namespace, const char *image)
{
	CLEANUP(str_release) struct str moved = STR_INIT, out = STR_INIT;
	struct span text = span_make(install_yaml_begin_, (size_t)(install_yaml_end_ - install_yaml_begin_));

	replace_all(text, SHIPPED_NAMESPACE, namespace ? namespace : SHIPPED_NAMESPACE, &moved);
	replace_all(str_span(&moved), SHIPPED_IMAGE, image ? arena_printf(arena, "image: %s", image) : SHIPPED_IMAGE, &out);
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
