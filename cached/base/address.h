#pragma once

/*
 * IP addresses, networks and sorted sets of addresses: the types that every stage of the daemon shares.
 * Bytes are in network byte order; of an IPv4 address the first four count.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct address {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint16_t port;  /* host byte order; 0 = none given */
        uint8_t bytes[16];
        uint32_t scope; /* index of the interface of a link-local IPv6 address; 0 = none */
};

struct network {
        uint8_t family;
        uint8_t prefix;
        uint8_t bytes[16];
};

/* Bytes of an address of @family. */
static inline size_t address_size(int family)
{
        return family == AF_INET ? 4 : 16;
}

/* memcmp() for two addresses of one family. */
static inline int address_compare(int family, const void *a, const void *b)
{
        return memcmp(a, b, address_size(family));
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
        return a->family == b->family && a->port == b->port && a->scope == b->scope &&
               address_compare(a->family, a->bytes, b->bytes) == 0;
}

/* Whether @network, which is of the address's family, has @bytes in it. */
bool network_contains(const struct network *network, const uint8_t *bytes);

/* Sorts @n addresses that lie one after the other and removes duplicates. Return: how many are left. */
uint32_t addresses_sort(int family, void *addresses, uint32_t n);

/*
 * From text, strictly: no names, short or octal forms. Both return 0, or -EINVAL with @ret untouched.
 */

/* ADDR, ADDR:PORT, [V6] or [V6]:PORT; without a port it is 0. A link-local V6 may have a scope: "fe80::1%eth0". */
int address_from_text(const char *text, struct address *ret);
/* ADDR/PREFIX, or ADDR alone; bits beyond the prefix must be 0. */
int network_from_text(const char *text, struct network *ret);

/*
 * Takes the part behind "%" of a link-local address: the name or index of an interface. Return: false if
 * @address is no such address, or no interface has that name.
 */
bool address_scope_from_text(const char *text, struct address *address);
