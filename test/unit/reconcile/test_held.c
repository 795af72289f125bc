/* Inventories at rest: what is read is what was held, and texts that many have are there once. */
#include "unit.h"

#include "base/encode.h"
#include "base/name.h"
#include "reconcile/held.h"

#define UID "0b5d0a3e-6a3c-4c39-9d2e-2f1c7f3a9b10"

static struct digest digest_for(const char *text)
{
	return digest_of(span_of(text));
}

static struct inventory sample(struct inventory_item *items, struct pin *pins)
{
	items[0] = (struct inventory_item){ "apps", "v1", "Deployment", "shop", "web", UID, digest_for("a"), digest_for("b"), digest_for("c"), -3, false, true };
	items[1] = (struct inventory_item){ "", "v1", "Namespace", "", "deadbeef", "", digest_for("d"), { { 0 } }, { { 0 } }, 2000000000, true, false };
	items[2] = (struct inventory_item){ "", "v1\n", "Service", "shop", "web", "0B5D0A3E-6a3c-4c39-9d2e-2f1c7f3a9b10", digest_for("e"), { { 0 } },
					    digest_for("f"), -2147483647 - 1, true, true };
	pins[0] = (struct pin){ "registry.example/shop/web:1", digest_for("image") };
	pins[1] = (struct pin){ "odd \"name\"", digest_for("other") };
	return (struct inventory){ .app = "ns/shop", .uid = UID, .project = "p", .account = "ns:applier",
				   .revision = "0123456789abcdef0123456789abcdef01234567", .repo_url = "https://git.example/a", .path = "shop/Ä",
				   .target_revision = "main", .namespace = "shop", .partly = true, .input = digest_for("input"),
				   .applied = { "0123456789abcdef0123456789abcdef01234567", pins, 2 }, .pending = { "", pins, 1 }, .items = items, .count = 3 };
}

/* As the cluster has it: all that an inventory says. */
static void encoded(const struct inventory *inventory, struct str *out)
{
	WITH_ARENA(arena);

	inventory_encode(inventory, arena, out);
}

static void what_is_read_is_what_was_held(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT;
	struct inventory_item items[3];
	struct pin pins[2];
	struct inventory from = sample(items, pins), got;
	struct held *held = held_new(&from);

	(void)state;
	held_read(held, arena, &got);
	ASSERT_TEXT("app", got.app, "");
	got.app = from.app;
	encoded(&from, &before);
	encoded(&got, &after);
	ASSERT_TEXT("inventory", str_c(&after), str_c(&before));
	held_free(held);
}

static void nothing_is_read_of_an_empty_one(void **state)
{
	WITH_ARENA(arena);
	struct inventory none = { .app = "", .uid = "", .project = "", .account = "", .revision = "", .repo_url = "", .path = "",
				  .target_revision = "" }, got;
	struct held *held = held_new(&none);

	(void)state;
	held_read(held, arena, &got);
	assert_int_equal(got.count + got.applied.count + got.pending.count, 0);
	ASSERT_TEXT("revision", got.applied.revision, "");
	held_free(held);
}

static bool has(const struct held *held, const char *group, const char *kind, const char *namespace, const char *name, const char *uid)
{
	struct inventory_item item = { .group = group, .kind = kind, .namespace = namespace, .name = name, .uid = uid };

	return held_has(held, &item);
}

static void item_is_found_by_all_that_names_it(void **state)
{
	struct inventory_item items[3];
	struct pin pins[2];
	struct inventory from = sample(items, pins);
	struct held *held = held_new(&from);

	(void)state;
	assert_true(has(held, "apps", "Deployment", "shop", "web", UID));
	assert_true(has(held, "", "Namespace", "", "deadbeef", ""));
	assert_true(has(held, "", "Service", "shop", "web", "0B5D0A3E-6a3c-4c39-9d2e-2f1c7f3a9b10"));
	assert_false(has(held, "", "Service", "shop", "web", UID));
	assert_false(has(held, "apps", "Deployment", "shop", "we", UID));
	assert_false(has(held, "apps", "Deployment", "", "web", UID));
	assert_false(has(held, "", "Deployment", "shop", "web", UID));
	assert_false(has(held, "apps", "Deployment", "shop", "web", ""));
	held_free(held);
}

static void many_items_and_namespaces_are_held(void **state)
{
	enum { COUNT = 3000 };
	WITH_ARENA(arena);
	struct inventory_item *items = arena_calloc(arena, COUNT, sizeof(*items));
	struct inventory from = { .app = "", .uid = UID, .project = "p", .account = "a", .revision = "", .repo_url = "", .path = "",
				  .target_revision = "", .items = items, .count = COUNT }, got;
	struct held *held;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		items[i] = (struct inventory_item){ .group = "", .version = "v1", .kind = "ConfigMap", .namespace = arena_printf(arena, "n%zu", i),
						    .name = arena_printf(arena, "c%zu", i), .uid = "" };
	held = held_new(&from);
	held_read(held, arena, &got);
	assert_int_equal(got.count, COUNT);
	ASSERT_TEXT("namespace", got.items[COUNT - 1].namespace, "n2999");
	ASSERT_TEXT("name", got.items[COUNT - 1].name, "c2999");
	assert_true(has(held, "", "ConfigMap", "n300", "c300", ""));
	held_free(held);
}

static void name_is_one_text_for_all_who_have_it(void **state)
{
	const char *first = name_take("shop"), *second, *other = name_take("shopper"), *slot = NULL;
	char copy[] = "shop";

	(void)state;
	second = name_take(copy);
	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, other);
	name_drop(first);
	ASSERT_TEXT("held by the second", second, "shop");
	name_set(&slot, "shop");
	assert_ptr_equal(slot, second);
	name_set(&slot, slot);
	name_drop(second);
	ASSERT_TEXT("held by the slot", slot, "shop");
	name_set(&slot, NULL);
	assert_null(slot);
	name_drop(other);
	assert_null(name_take(NULL));
	name_drop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_was_held),
		cmocka_unit_test(nothing_is_read_of_an_empty_one),
		cmocka_unit_test(item_is_found_by_all_that_names_it),
		cmocka_unit_test(many_items_and_namespaces_are_held),
		cmocka_unit_test(name_is_one_text_for_all_who_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
