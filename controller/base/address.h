/*
 * Addresses that a stranger may not send us to: what a redirect, a challenge or
 * an Application names is his choice, and this machine and its neighbours on
 * the link, where clouds keep their metadata, are neither registries nor Git
 * servers. Asked with the resolved address, so that no spelling of a name gets
 * around it. Pure.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"

/* 127.0.0.0/8 and ::1, also as IPv4 inside IPv6. */
bool address_is_loopback(const struct sockaddr *address);

/*
 * Loopback, "this network" (0.0.0.0/8), link-local, multicast and broadcast, the
 * metadata address of EC2 in IPv6; also as IPv4 mapped into IPv6 or behind NAT64; and
 * whatever is neither IPv4 nor IPv6. Private networks are fine: registries live there.
 */
bool address_is_off_limits(const struct sockaddr *address);

/* The address that a URL's host says in digits ("10.0.0.1", "[::1]"; ":port" aside); false for a name and for what is no address as inet_pton has it. */
bool address_parse(struct span host, struct sockaddr_storage *out);
/* Whether a URL's host spells this machine out: "localhost" or a loopback address. */
bool address_host_is_loopback(struct span host);

#endif
