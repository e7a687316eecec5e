#pragma once

/*
 * What a source has learned about one service: the one result type of all sources, and all that the
 * service model is told.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/format.h" /* enum khs_source, enum khs_reason */
#include "table/row.h"    /* struct khs_row_port */

enum finding_kind {
        FINDING_ANSWER,    /* these addresses, all of them */
        FINDING_NEGATIVE,  /* the source says: none of this family (NXDOMAIN or NODATA) */
        FINDING_FAILURE,   /* nothing was learned: time-out, SERVFAIL, refused, malformed, truncated */
        FINDING_ENDPOINTS, /* what some addresses are besides; which ones there are is said by the others */
};

/*
 * What the source says of one of an address's endpoints. Those that stand here replace all that it said of
 * their address before.
 */
struct finding_endpoint {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint8_t bytes[16];
        bool others_unknown;              /* of the address: it may be that of more hosts than are known here */
        bool ports_unknown;               /* nothing was learned of its ports: they stay as they were */
        const char *host;                 /* one label, lower case; NULL: none */
        const struct khs_row_port *ports; /* those with a name; NULL: none. Equal ones are best shared */
        uint32_t n_ports;
};

struct finding {
        uint8_t family;    /* AF_INET or AF_INET6 */
        uint8_t kind;      /* enum finding_kind */
        uint8_t reason;    /* enum khs_reason: why it is a failure or a negative; 0 with an answer */
        uint8_t source;    /* enum khs_source: who says so */
        uint32_t ttl_s;    /* of the answer, in seconds, as the source gave it; unclamped */
        uint32_t n_addrs;  /* with an answer: 1..KHS_MAX_ADDRS */
        const void *addrs; /* n_addrs x 4 or 16 bytes, network byte order, sorted, no duplicates; borrowed */

        /* FINDING_ENDPOINTS: nothing above counts but source. What is not named here stays as it was. */
        uint32_t n_endpoints;
        const struct finding_endpoint
                *endpoints; /* IPv4 first, each family sorted, then by host (bytewise), no duplicates; borrowed */
};
