#pragma once

/*
 * IP addresses and networks: the types that every stage of the daemon shares. Bytes are in network
 * byte order; of an IPv4 address the first four count.
 */

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
