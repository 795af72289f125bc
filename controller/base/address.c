/* Which addresses are off limits; see address.h. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

/* The IPv4 address in host order, also out of ::ffff:0:0/96 and 64:ff9b::/96 (RFC 6052); false when there is none. */
static bool take_four(const struct sockaddr *address, uint32_t *out)
{
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	const struct in6_addr *six;

	if (address->sa_family == AF_INET) {
		*out = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(six) && memcmp(six->s6_addr, nat64, sizeof(nat64)) != 0)
		return false;
	memcpy(out, six->s6_addr + 12, sizeof(*out));
	*out = ntohl(*out);
	return true;
}

bool address_is_loopback(const struct sockaddr *address)
{
	uint32_t four;

	if (take_four(address, &four))
		return four >> 24 == 127;
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

bool address_is_off_limits(const struct sockaddr *address)
{
	static const uint8_t ec2[16] = { 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 };
	const struct in6_addr *six;
	uint32_t four;

	if (take_four(address, &four)) /* RFC 6890; 0xa9fe is 169.254.0.0/16. Clusters use 240.0.0.0/4 for Services and Pods. */
		return four >> 24 == 127 || four >> 24 == 0 || four >> 16 == 0xa9fe || four >> 28 == 0xe || four == UINT32_MAX;
	if (address->sa_family != AF_INET6)
		return true;
	six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_UNSPECIFIED(six) || IN6_IS_ADDR_LINKLOCAL(six) || IN6_IS_ADDR_MULTICAST(six) ||
	       !memcmp(six->s6_addr, ec2, sizeof(ec2));
}

static struct span without_port(struct span host)
{
	ptrdiff_t colon = span_ends(host, "]") ? -1 : span_rindex(host, ':');

	return colon < 0 ? host : span_sub(host, 0, (size_t)colon);
}

bool address_parse(struct span host, struct sockaddr_storage *out)
{
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
	struct span name = without_port(host);
	bool brackets = span_starts(name, "[") && span_ends(name, "]");
	char text[INET6_ADDRSTRLEN] = "";

	if (brackets)
		name = span_sub(name, 1, name.length - 2);
	if (name.length >= sizeof(text))
		return false;
	memcpy(text, name.data, name.length);
	*out = (struct sockaddr_storage){ .ss_family = brackets ? AF_INET6 : AF_INET };
	return inet_pton(out->ss_family, text, brackets ? (void *)&six->sin6_addr : (void *)&four->sin_addr) == 1;
}

bool address_host_is_loopback(struct span host)
{
	struct sockaddr_storage address;

	return span_is(without_port(host), "localhost") ||
	       (address_parse(host, &address) && address_is_loopback((const struct sockaddr *)&address));
}
