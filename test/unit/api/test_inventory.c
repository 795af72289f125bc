/* The packed inventory: what goes in comes out, what is no inventory is an error, size is bounded. */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "api/inventory.h"
#include "base/encode.h"

static struct digest digest_for(const char *text)
{
	return digest_of(span_of(text));
}

static void pack(struct span plain, struct str *out)
{
	CLEANUP(str_release) struct str deflated = STR_INIT;
	uLongf size = compressBound(plain.length);
	char *room = str_reserve(&deflated, size);

	assert_int_equal(compress((Bytef *)room, &size, (const Bytef *)plain.data, plain.length), Z_OK);
	str_grew(&deflated, size);
	base64_encode(str_span(&deflated), out);
}

static struct inventory sample(struct inventory_item *items, struct pin *pins)
{
	items[0] = (struct inventory_item){ "apps", "v1", "Deployment", "shop", "web", "uid-1", digest_for("a"), digest_for("b"), digest_for("c"), -3, false, true };
	items[1] = (struct inventory_item){ "", "v1", "Namespace", "", "shop", "", digest_for("d"), { { 0 } }, { { 0 } }, 2000000000, true, false };
	pins[0] = (struct pin){ "registry.example/shop/web:1", digest_for("image") };
	pins[1] = (struct pin){ "odd \"name\"", digest_for("other") };
	return (struct inventory){ .app = "ns/shop", .uid = "u", .project = "p", .account = "ns:applier", .revision = "abc",
				   .repo_url = "https://git.example/a", .path = "shop", .target_revision = "main", .namespace = "shop", .partly = true,
				   .input = digest_for("input"), .applied = { "abc", pins, 2 }, .pending = { "def", pins, 1 }, .items = items, .count = 2 };
}

static void check_items(const struct inventory *got)
{
	const struct inventory_item *web = inventory_find(got, "apps", "Deployment", "shop", "web");
	const struct inventory_item *namespace = inventory_find(got, "", "Namespace", NULL, "shop");
	struct digest a = digest_for("a"), b = digest_for("b"), c = digest_for("c");

	assert_true(web && namespace);
	ASSERT_TEXT("uid", web->uid, "uid-1");
	assert_true(digest_equal(&web->desired, &a) && digest_equal(&web->owned, &b) && digest_equal(&web->images, &c));
	assert_true(web->wave == -3 && namespace->wave == 2000000000);
	assert_true(!web->no_prune && web->no_delete && namespace->no_prune && !namespace->no_delete);
	assert_true(digest_is_zero(&namespace->owned) && digest_is_zero(&namespace->images));
	assert_null(inventory_find(got, "", "Namespace", "shop", "shop"));
	assert_null(inventory_find(got, "apps", "Deployment", "shop", "we"));
}

static void check_all(const struct inventory *got)
{
	struct digest image = digest_for("image"), input = digest_for("input");

	ASSERT_TEXT("app", got->app, "ns/shop");
	ASSERT_TEXT("account", got->account, "ns:applier");
	ASSERT_TEXT("revision", got->revision, "abc");
	ASSERT_TEXT("target", got->target_revision, "main");
	ASSERT_TEXT("namespace", got->namespace, "shop");
	assert_true(got->partly);
	assert_true(digest_equal(&got->input, &input));
	assert_int_equal(got->applied.count, 2);
	ASSERT_TEXT("pending", got->pending.revision, "def");
	assert_int_equal(got->pending.count, 1);
	assert_true(digest_equal(pins_find(&got->applied, SPAN("registry.example/shop/web:1")), &image));
	assert_non_null(pins_find(&got->applied, SPAN("odd \"name\"")));
	assert_null(pins_find(&got->pending, SPAN("odd \"name\"")));
	check_items(got);
}

static void inventory_comes_out_as_it_went_in(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT, again = STR_INIT;
	struct inventory_item items[2];
	struct pin pins[2];
	struct inventory from = sample(items, pins), got;

	(void)state;
	inventory_encode(&from, arena, &packed);
	assert_int_equal(inventory_decode(str_span(&packed), arena, &got, NULL), 0);
	check_all(&got);
	inventory_encode(&got, arena, &again);
	assert_true(span_equal(str_span(&packed), str_span(&again)));
}

/* Items that were kept before it was told of what. */
static void item_that_was_kept_before_is_kept_from_both(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT;
	struct inventory got;

	(void)state;
	pack(SPAN("{\"app\":\"ns/shop\",\"applied\":{\"pins\":{},\"revision\":\"\"},\"items\":[{\"g\":\"\",\"k\":\"Secret\",\"keep\":true,\"n\":\"a\",\"ns\":\"b\",\"u\":\"\","
		  "\"v\":\"v1\",\"w\":0}],\"pending\":{\"pins\":{},\"revision\":\"\"}}"), &packed);
	assert_int_equal(inventory_decode(str_span(&packed), arena, &got, NULL), 0);
	assert_int_equal(got.count, 1);
	assert_true(got.items[0].no_prune && got.items[0].no_delete);
	ASSERT_TEXT("namespace", got.namespace, "");
}

static void inventory_of_five_thousand_objects_is_small(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT;
	struct inventory from = { .app = "n/a", .uid = "", .project = "p", .account = "", .revision = "", .repo_url = "", .path = "",
				  .target_revision = "", .count = 5000 }, got;

	(void)state;
	from.items = arena_calloc(arena, from.count, sizeof(*from.items));
	for (size_t i = 0; i < from.count; i++) {
		const char *name = arena_printf(arena, "config-%zu", i);

		from.items[i] = (struct inventory_item){ "", "v1", "ConfigMap", "shop", name, name, digest_for(name), digest_for(name), { { 0 } }, 0, false, false };
	}
	inventory_encode(&from, arena, &packed);
	/* etcd takes 1.5 MiB; digests do not compress */
	assert_true(packed.length < 1000000);
	assert_int_equal(inventory_decode(str_span(&packed), arena, &got, NULL), 0);
	assert_int_equal(got.count, 5000);
	assert_non_null(inventory_find(&got, "", "ConfigMap", "shop", "config-4999"));
}

static void expect_bad(const char *name, struct span packed)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;
	struct inventory got;

	if (!inventory_decode(packed, arena, &got, &err))
		fail_msg("%s was taken", name);
	ASSERT_TEXT(name, err.reason, "BadInventory");
	assert_int_equal(err.kind, ERROR_INVALID);
}

static void inventory_that_is_none_is_an_error(void **state)
{
	static const char *const plain[] = { "", "{}", "[]", "null", "{\"app\":\"a\"}", "{\"app\":1,\"items\":[]}",
					     "{\"app\":\"a\",\"items\":{}}", "{\"app\":\"a\",\"app\":\"b\",\"items\":[]}",
					     "{\"app\":\"a\",\"items\":[[[[[[[[[[]]]]]]]]]]}" };

	(void)state;
	expect_bad("nothing", SPAN0);
	expect_bad("no base64", SPAN("!!!!"));
	expect_bad("no deflate", SPAN("QUFBQQ=="));
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		CLEANUP(str_release) struct str packed = STR_INIT;

		pack(span_of(plain[i]), &packed);
		expect_bad(plain[i], str_span(&packed));
	}
}

static void inventory_cut_anywhere_is_an_error(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT;
	struct inventory_item items[2];
	struct pin pins[2];
	struct inventory from = sample(items, pins);

	(void)state;
	inventory_encode(&from, arena, &packed);
	for (size_t length = 0; length < packed.length; length++)
		expect_bad("cut", span_sub(str_span(&packed), 0, length));
}

static void adv_inventory_that_unpacks_to_gigabytes_is_an_error(void **state)
{
	CLEANUP(str_release) struct str plain = STR_INIT, packed = STR_INIT;
	const size_t size = (size_t)40 << 20;

	(void)state;
	memset(str_reserve(&plain, size), ' ', size);
	str_grew(&plain, size);
	pack(str_span(&plain), &packed);
	assert_true(packed.length < 100000);
	expect_bad("bomb", str_span(&packed));
}

static void inventory_with_fields_of_the_wrong_type_reads_them_as_absent(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT;
	struct inventory got;

	(void)state;
	pack(SPAN("{\"app\":\"n/a\",\"revision\":7,\"input\":\"xyz\",\"applied\":[1],\"pending\":{\"pins\":{\"a\":null}},\"items\":[null,{\"n\":[]}]}"), &packed);
	assert_int_equal(inventory_decode(str_span(&packed), arena, &got, NULL), 0);
	ASSERT_TEXT("revision", got.revision, "");
	assert_true(digest_is_zero(&got.input));
	assert_int_equal(got.applied.count, 0);
	assert_true(digest_is_zero(pins_find(&got.pending, SPAN("a"))));
	assert_int_equal(got.count, 2);
	ASSERT_TEXT("name", got.items[1].name, "");
}

#ifdef FAULTS
/* In a child: writes and reads an inventory of 300 objects, while the n-th allocation is refused. */
static void write_and_read(unsigned nth)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str packed = STR_INIT;
	struct inventory_item items[300];
	struct pin pins[2];
	struct inventory from = sample(items, pins), got;
	char fault[32];

	from.count = COUNT_OF(items);
	for (size_t i = 2; i < from.count; i++) {
		items[i] = items[0];
		items[i].name = arena_printf(arena, "web-%zu", i);
	}
	snprintf(fault, sizeof(fault), "mem.alloc:enomem:%u", nth);
	setenv("COUNTERSIGN_FAULT", fault, 1);
	inventory_encode(&from, arena, &packed);
	if (inventory_decode(str_span(&packed), arena, &got, NULL) || got.count != from.count)
		_exit(1);
	_exit(0);
}

/* Never a part of an inventory: what it does not know would be left behind. */
static void inventory_without_memory_is_an_abort_and_never_a_part_of_it(void **state)
{
	unsigned nth = 0;
	int status;

	(void)state;
	do {
		pid_t child = fork();

		nth++;
		if (!child) {
			if (!freopen("/dev/null", "w", stderr))
				_exit(2);
			write_and_read(nth);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 0);
	} while (WIFSIGNALED(status));
	print_message("refused %u allocations\n", nth - 1);
	assert_true(nth > 10);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inventory_comes_out_as_it_went_in),
		cmocka_unit_test(item_that_was_kept_before_is_kept_from_both),
		cmocka_unit_test(inventory_of_five_thousand_objects_is_small),
		cmocka_unit_test(inventory_that_is_none_is_an_error),
		cmocka_unit_test(inventory_cut_anywhere_is_an_error),
		cmocka_unit_test(adv_inventory_that_unpacks_to_gigabytes_is_an_error),
		cmocka_unit_test(inventory_with_fields_of_the_wrong_type_reads_them_as_absent),
#ifdef FAULTS
		cmocka_unit_test(inventory_without_memory_is_an_abort_and_never_a_part_of_it),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
