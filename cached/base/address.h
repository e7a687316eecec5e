#pragma once

/*
 * IP addresses and networks: the types that every stage of the daemon shares. Bytes are in network
 * byte order; of an IPv4 address the first four count.
 */

#include <netinet/in.h> /* AF_INET, AF_INET6 */
#include <stdint.h>

struct address {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint16_t port;  /* host byte order; 0 = none given */
        uint8_t bytes[16];
};

struct network {
        uint8_t family;
        uint8_t prefix;
        uint8_t bytes[16];
};

/*
 * From text, strictly: no names, scopes, short or octal forms. Both return 0, or -EINVAL with @ret
 * untouched.
 */

/* ADDR, ADDR:PORT, [V6] or [V6]:PORT; without a port it is 0. */
int address_from_text(const char *text, struct address *ret);
/* ADDR/PREFIX, or ADDR alone; bits beyond the prefix must be 0. */
int network_from_text(const char *text, struct network *ret);
