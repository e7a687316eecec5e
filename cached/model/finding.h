#pragma once

/*
 * What a source has learned of one service: the one result type of all sources, and all that the service
 * model hears of the world.
 *
 * A source that asks for each family by itself (dns) reports ANSWER, NEGATIVE or FAILURE of a family,
 * and with ENDPOINTS what it knows of some addresses besides. A source that sees a service as a whole
 * (kubernetes, static) reports WHOLE: the addresses of both families, with everything known of each endpoint, take
 * the place of what was known, all at once.
 *
 * What was reported stands until a FAILURE: there is no need to repeat it, and being late to ask is none.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/format.h" /* enum khs_source, enum khs_reason, KHS_ATTR_* */
#include "table/row.h"    /* struct khs_row_port */

enum finding_kind {
        FINDING_ANSWER,    /* addresses of one family, all of them */
        FINDING_NEGATIVE,  /* the source says: none of this family */
        FINDING_FAILURE,   /* nothing was learned of the family, or of both: time-out, SERVFAIL, refused, watch lost */
        FINDING_ENDPOINTS, /* what is known of some addresses besides; which ones there are, others say */
        FINDING_WHOLE,     /* all endpoints of both families; none: the service has no endpoint */
};

/*
 * One endpoint of an address. With FINDING_ENDPOINTS those that stand here replace all that was known of
 * their address; node, zone, flags and near are not looked at, an address keeps those that it has. With
 * FINDING_WHOLE everything counts but the two _unknown.
 */
struct finding_endpoint {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint8_t bytes[16];
        uint8_t flags;                    /* KHS_ATTR_READY | KHS_ATTR_SERVING | KHS_ATTR_TERMINATING */
        bool near;                        /* of the own node or zone, where the order asks for it */
        bool others_unknown;              /* of the address: it may be that of more hosts than are known here */
        bool ports_unknown;               /* nothing was learned of its ports: they stay as they were */
        const char *host;                 /* one label, lower case; NULL: none */
        const char *node, *zone;          /* NULL: unknown; at most 255 bytes */
        const struct khs_row_port *ports; /* NULL: none. Equal ones are best shared */
        uint32_t n_ports;
};

struct finding {
        uint8_t kind;   /* enum finding_kind */
        uint8_t source; /* enum khs_source: who says so */
        uint8_t family; /* AF_INET or AF_INET6, of the first three; a FAILURE may have AF_UNSPEC: both */

        /*
         * enum khs_reason: of a FAILURE or NEGATIVE, and of a WHOLE without endpoints (NO_SLICE, NONE_READY), why.
         * With an answer 0, or why it is not the preferred source that gives it.
         */
        uint8_t reason;

        /* WHOLE. */
        bool truncated;    /* there are more than KHS_MAX_ADDRS addresses; these are the first ones */
        bool not_headless; /* DNS would answer with a cluster IP: it must not be asked instead */

        /* WHOLE: CLOCK_REALTIME at which the pods became so, as the source has heard it; 0: unknown. */
        uint64_t changed_usec;

        /* FAILURE: CLOCK_BOOTTIME at which what stood was last known to be true (last byte of a watch); 0: now. */
        uint64_t heard_usec;

        uint32_t ttl_s; /* of an ANSWER or NEGATIVE, in seconds, as the source gave it; unclamped */

        /* ANSWER: 1..KHS_MAX_ADDRS x 4 or 16 bytes, sorted, no duplicates; borrowed. */
        uint32_t n_addrs;
        const void *addrs;

        /*
         * ENDPOINTS and WHOLE: IPv4 first, each family sorted, then by host (bytewise, none first); borrowed. Of
         * ENDPOINTS no duplicates. WHOLE has the endpoints that are to be served (`include` is the source's), at most
         * KHS_MAX_ADDRS different addresses of each family; endpoints that share an address stand side by side.
         */
        uint32_t n_endpoints;
        const struct finding_endpoint *endpoints;
};

/* What a reason means, for people; NULL: it says nothing, or is not known. */
const char *finding_reason_text(enum khs_reason reason);
