#pragma once

/*
 * A row: what a record says, before it is written and after it is read back. One service, or one alias, with
 * everything that the table holds about it. The daemon's model makes rows, the writer packs them into records, and
 * adoption reads a predecessor's records back into rows.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/format.h"

/* A port of an endpoint. */
struct khs_row_port {
        const char *name; /* <= 255 bytes; NULL: unnamed */
        uint16_t number;
        uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
};

/* What is known of one endpoint besides its address. A string is at most 255 bytes; NULL or "": unknown. */
struct khs_row_endpoint {
        const char *host; /* one label, lower case */
        const char *node, *zone;
        uint8_t flags;   /* KHS_ATTR_* */
        bool near;       /* of the own node or zone; all endpoints of an address, or none */
        int32_t ordinal; /* 0..KHS_ORDINAL_MAX; -1: none */
        uint32_t n_ports;
        const struct khs_row_port *ports; /* the default one first; equal arrays are stored once */
};

/* What the table is to say about one key. Borrowed for the duration of a call. The writer puts near addresses first. */
struct khs_row {
        const char *key; /* lower case, 1..KHS_KEY_MAX bytes */
        size_t n_key;
        const char *target; /* the key that this one is an alias of, or NULL: a service */
        size_t n_target;
        uint32_t flags;      /* KHS_REC_*; alias is set by the writer */
        uint32_t n4, n6;     /* <= KHS_MAX_ADDRS each */
        const void *v4, *v6; /* network byte order, sorted bytewise, no duplicates */
        const struct khs_row_endpoint
                *endpoints;     /* n4 + n6, in the order of the addresses, then n_shared; NULL: nothing is known */
        uint32_t n_shared;      /* with endpoints: n4 + n6 + n_shared <= 2 * KHS_MAX_ADDRS */
        const uint16_t *shared; /* for each the number of the address that it shares, < n4 + n6, never falling */
        uint16_t port_base;     /* with endpoints: the default port of one with an ordinal is this + ordinal; 0: none */
        uint32_t policy;
        uint32_t fresh_until_ds, stale_until_ds;
        uint32_t version;
        uint32_t status; /* khs_status() */
        uint32_t since_ds;
        uint32_t ttl_s;
        uint16_t port;
};

static inline uint32_t khs_status(enum khs_service_state state, enum khs_reason reason, enum khs_source source)
{
        return (uint32_t)state | (uint32_t)reason << 8 | (uint32_t)source << 16;
}
