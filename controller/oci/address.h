/*
 * Addresses that a registry may not send us to: what a redirect or a challenge
 * names is a stranger's choice, and this machine and its neighbours on the link,
 * where clouds keep their metadata, are no registries. Asked with the resolved
 * address, so that no spelling of a name gets around it. Pure.
 */
#ifndef OCI_ADDRESS_H
#define OCI_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* 127.0.0.0/8 and ::1, also as IPv4 inside IPv6. */
bool address_is_loopback(const struct sockaddr *address);

/*
 * Loopback, "this network" (0.0.0.0/8), link-local, multicast, broadcast and reserved, the
 * metadata address of EC2 in IPv6; also as IPv4 mapped into IPv6 or behind NAT64; and
 * whatever is neither IPv4 nor IPv6. Private networks are fine: registries live there.
 */
bool address_is_off_limits(const struct sockaddr *address);

#endif
