/* A count for each owner, and a line; see shares.h. */
#include "reconcile/shares.h"

#include "base/map.h"

struct owner {
	size_t has, waits;
	char name[];
};

struct waiting {
	struct waiting *next;
	struct owner *owner;
	void (*begin)(void *data);
	void *data;
};

struct shares {
	size_t places, taken;
	struct map owners;              /* of those who have a place or wait for one */
	struct waiting *first, **last;
};

struct shares *shares_new(size_t places)
{
	struct shares *shares = mem_alloc(sizeof(*shares));

	shares->places = places;
	shares->last = &shares->first;
	return shares;
}

void shares_free(struct shares *shares)
{
	if (!shares)
		return;
	for (struct waiting *waiting = shares->first, *next; waiting; waiting = next) {
		next = waiting->next;
		free(waiting);
	}
	MAP_EACH(entry, &shares->owners)
		free(entry->value);
	map_release(&shares->owners);
	free(shares);
}

static struct owner *owner_get(struct shares *shares, const char *name)
{
	struct owner *owner = map_get(&shares->owners, span_of(name));
	size_t size = strlen(name) + 1;

	if (owner)
		return owner;
	owner = mem_alloc(sizeof(*owner) + size);
	memcpy(owner->name, name, size);
	map_set(&shares->owners, span_of(name), owner);
	return owner;
}

static bool may_begin(const struct shares *shares, const struct owner *owner)
{
	return owner->has < shares->places - shares->taken;
}

static void begin(struct shares *shares, struct owner *owner, void (*then)(void *data), void *data)
{
	owner->has++;
	shares->taken++;
	then(data);
}

void shares_take(struct shares *shares, const char *name, void (*then)(void *data), void *data)
{
	struct owner *owner = owner_get(shares, name);
	struct waiting *waiting;

	if (!owner->waits && may_begin(shares, owner)) {
		begin(shares, owner, then, data);
		return;
	}
	waiting = mem_alloc(sizeof(*waiting));
	*waiting = (struct waiting){ .owner = owner, .begin = then, .data = data };
	owner->waits++;
	*shares->last = waiting;
	shares->last = &waiting->next;
}

/* Takes the first out that may begin; NULL: none may. */
static struct waiting *take_next(struct shares *shares)
{
	for (struct waiting **at = &shares->first; *at; at = &(*at)->next) {
		struct waiting *waiting = *at;

		if (!may_begin(shares, waiting->owner))
			continue;
		*at = waiting->next;
		if (!*at)
			shares->last = at;
		waiting->owner->waits--;
		return waiting;
	}
	return NULL;
}

void shares_give(struct shares *shares, const char *name)
{
	struct owner *owner = owner_get(shares, name);
	struct waiting *waiting;

	owner->has--;
	shares->taken--;
	if (!owner->has && !owner->waits) {
		map_remove(&shares->owners, span_of(name));
		free(owner);
	}
	while ((waiting = take_next(shares)) != NULL) {
		begin(shares, waiting->owner, waiting->begin, waiting->data);
		free(waiting);
	}
}

size_t shares_of(const struct shares *shares, const char *name)
{
	const struct owner *owner = map_get(&shares->owners, span_of(name));

	return owner ? owner->has + owner->waits : 0;
}
