/* base/address: where a stranger may not send us (SSRF-1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <cmocka.h>

#include "base/address.h"
#include "base/mem.h"

static const struct { const char *text; bool loopback, off_limits; } addresses[] = {
	{ "127.0.0.1", true, true },	  { "127.255.255.254", true, true },  { "::1", true, true },
	{ "::ffff:127.0.0.1", true, true }, { "64:ff9b::127.0.0.1", true, true }, { "0.0.0.0", false, true },
	{ "0.1.2.3", false, true },	  { "::", false, true },	      { "169.254.169.254", false, true },
	{ "::ffff:169.254.169.254", false, true }, { "64:ff9b::169.254.169.254", false, true }, { "fe80::1", false, true },
	{ "fd00:ec2::254", false, true },   { "224.0.0.1", false, true },	      { "255.255.255.255", false, true },
	{ "239.255.255.255", false, true },  { "ff02::1", false, true },
	{ "10.0.0.1", false, false },	  { "192.168.1.1", false, false },    { "172.16.0.1", false, false },
	{ "169.253.0.1", false, false },	  { "169.255.0.1", false, false },    { "126.0.0.1", false, false },
	{ "128.0.0.1", false, false },	  { "8.8.8.8", false, false },	      { "2001:db8::1", false, false },
	{ "fd00::1", false, false },	  { "::ffff:10.0.0.1", false, false }, { "223.255.255.255", false, false },
	{ "240.0.0.1", false, false },	  { "255.255.255.254", false, false },
};

static void address_off_limits_is_known_in_every_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		struct sockaddr_storage storage = { 0 };
		struct sockaddr_in *four = (struct sockaddr_in *)&storage;
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
		struct sockaddr *address = (struct sockaddr *)&storage;

		if (inet_pton(AF_INET, addresses[i].text, &four->sin_addr) == 1) {
			four->sin_family = AF_INET;
		} else {
			assert_int_equal(inet_pton(AF_INET6, addresses[i].text, &six->sin6_addr), 1);
			six->sin6_family = AF_INET6;
		}
		if (address_is_loopback(address) != addresses[i].loopback)
			fail_msg("%s: loopback", addresses[i].text);
		if (address_is_off_limits(address) != addresses[i].off_limits)
			fail_msg("%s: off limits", addresses[i].text);
	}
}

static void address_of_another_family_is_off_limits(void **state)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };

	(void)state;
	assert_true(address_is_off_limits((const struct sockaddr *)&local));
	assert_false(address_is_loopback((const struct sockaddr *)&local));
}

static void host_that_spells_this_machine_out_is_known(void **state)
{
	static const char *const loopback[] = { "localhost", "localhost:80", "127.0.0.1", "127.0.0.1:3000", "127.1.2.3", "[::1]", "[::1]:80",
						"[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]:1" };
	static const char *const others[] = { "", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01", "0", "0.0.0.0", "[::]", "::1",
					      "localhost.example", "x.localhost", "127.0.0.1.example", "10.0.0.1", "169.254.169.254", "[fe80::1]",
					      "[::1", "[]", "[", "]", ":80" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(loopback); i++)
		if (!address_host_is_loopback(span_of(loopback[i])))
			fail_msg("%s is this machine", loopback[i]);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (address_host_is_loopback(span_of(others[i])))
			fail_msg("%s does not spell this machine out", others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_off_limits_is_known_in_every_spelling),
		cmocka_unit_test(address_of_another_family_is_off_limits),
		cmocka_unit_test(host_that_spells_this_machine_out_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
