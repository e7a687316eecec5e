#pragma once

/*
 * The sockets of one c-ares channel, with what c-ares leaves out.
 */

#include <stdint.h>

#define CARES_NO_DEPRECATED
#include <ares.h>

/* Must outlive the channel. */
struct dns_sockets {
        uint32_t scope; /* of a link-local server; 0: none */
        int error;      /* a negative errno: why this process could make no socket; 0 after it could */
};

void dns_sockets_use(struct dns_sockets *sockets, ares_channel channel);
