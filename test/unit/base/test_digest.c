/* Hashing many messages at once gives what hashing each does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/digest.h"
#include "base/str.h"

#define BYTES 70000u
#define MANY 300u

static char bytes[BYTES];

static void fill(void)
{
	for (unsigned i = 0; i < BYTES; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
}

static void assert_each(uint8_t prefix, const struct span *messages, size_t count)
{
	CLEANUP(mem_cleanup) struct digest *found = mem_calloc(count + 1, sizeof(*found));
	CLEANUP(str_release) struct str whole = STR_INIT;

	digest_each(prefix, messages, count, found);
	for (size_t i = 0; i < count; i++) {
		struct digest want;

		str_reset(&whole);
		str_addc(&whole, (char)prefix);
		str_add(&whole, messages[i]);
		want = digest_of(str_span(&whole));
		assert_memory_equal(found[i].bytes, want.bytes, DIGEST_SIZE);
	}
	/* nothing is written behind the last */
	assert_true(digest_is_zero(&found[count]));
}

static void messages_of_every_length_are_hashed_in_step(void **state)
{
	struct span messages[MANY];

	(void)state;
	fill();
	for (unsigned i = 0; i < MANY; i++)
		messages[i] = span_make(bytes + i, i);
	for (unsigned count = 0; count < 5; count++)
		assert_each(0, messages + 60, count);
	assert_each(0, messages, MANY);
	assert_each(1, messages, MANY - 1);
}

static void a_long_message_beside_short_ones_is_hashed_right(void **state)
{
	struct span messages[] = { span_make(bytes + 3, BYTES - 3), span_make(bytes, 5),  SPAN0, span_make(bytes, 64),
				   span_make(bytes + 7, 65535),     span_make(bytes, 119) };

	(void)state;
	fill();
	assert_each(0, messages, COUNT_OF(messages));
	assert_each(0xff, messages + 1, COUNT_OF(messages) - 1);
}

static void any_two_lengths_go_together(void **state)
{
	static const size_t edges[] = { 0, 1, 54, 55, 56, 62, 63, 64, 65, 118, 119, 120, 126, 127, 128, 129, 552 };

	(void)state;
	fill();
	for (size_t a = 0; a < COUNT_OF(edges); a++)
		for (size_t b = 0; b < COUNT_OF(edges); b++)
			assert_each(7, (struct span[]){ span_make(bytes + 1, edges[a]), span_make(bytes + 2, edges[b]) }, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_every_length_are_hashed_in_step),
		cmocka_unit_test(a_long_message_beside_short_ones_is_hashed_right),
		cmocka_unit_test(any_two_lengths_go_together),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
