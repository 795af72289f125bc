/* A table of counted texts; see name.h. */
#include "base/name.h"

#include "base/error.h"
#include "base/keyset.h"
#include "base/pool.h"

struct name {
	size_t holders;
	char text[];
};

static struct span text_of(const void *thing)
{
	const struct name *name = thing;

	return span_of(name->text);
}

static struct keyset names = KEYSET_INIT(text_of);

const char *name_take(const char *text)
{
	size_t size;
	struct name *name;

	if (!text)
		return NULL;
	name = keyset_get(&names, span_of(text));
	if (!name) {
		size = strlen(text) + 1;
		name = pool_alloc(sizeof(*name) + size);
		memcpy(name->text, text, size);
		keyset_add(&names, name);
	}
	name->holders++;
	return name->text;
}

const char *name_find(const char *text)
{
	const struct name *name = keyset_get(&names, span_of(text));

	return name ? name->text : NULL;
}

void name_drop(const char *text)
{
	struct name *name;

	if (!text)
		return;
	name = (struct name *)(uintptr_t)(text - offsetof(struct name, text));
	ASSERT(name->holders);
	if (--name->holders)
		return;
	keyset_remove(&names, span_of(text));
	if (!names.count)
		keyset_release(&names);
	pool_free(name, sizeof(*name) + strlen(name->text) + 1);
}

void name_set(const char **slot, const char *text)
{
	const char *former = *slot;

	*slot = name_take(text);
	name_drop(former);
}
