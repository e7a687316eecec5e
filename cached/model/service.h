#pragma once

/*
 * The service model: what is known of one registered service, and what the table shall say of it.
 *
 * Pure: no I/O, no clock of its own (every call is given the time), no source, no table. Sources'
 * results go in, a row for the table comes out. The machine runs for each family by itself:
 *
 *                 answer                      failure, or a negative not yet confirmed
 *     PENDING ------------> FRESH ------------------------------------> STALE
 *        |                  ^   ^ answer                                  |
 *        |  3 negatives     |   '-----------------------------------------'
 *        '----------------> EMPTY <--- 3 negatives --- FRESH, STALE
 *
 *     and from FRESH, STALE and EMPTY to EXPIRED when nothing has confirmed it for max-stale (but not
 *     from EMPTY while the other family is FRESH).
 *
 * DNS says NXDOMAIN for "no pods" and for "no such service", and CoreDNS has been seen to say it of
 * services that have both (coredns#6518, 1 in 6). So its negatives count only three in a row, each 2
 * s or more after the one before; a failure between them neither counts nor resets. The
 * Kubernetes API's word counts at once. Times are microseconds of CLOCK_BOOTTIME.
 *
 * Host names and ports are attributes of addresses: they come later than these, stay as long as
 * their address does, and change no state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "model/endpoints.h"
#include "model/finding.h"
#include "table/row.h"

#define SERVICE_NEGATIVES         3
#define SERVICE_NEGATIVE_GAP_USEC 2000000ULL

struct service_family {
        uint8_t state;  /* enum khs_service_state */
        uint8_t reason; /* enum khs_reason: why it is not fresh */
        uint8_t source; /* enum khs_source: who spoke last */
        uint8_t n_negatives;
        uint64_t last_negative;
        uint64_t since;       /* start of the state */
        uint64_t fresh_until; /* end of the answer's own TTL */
        int64_t confirmed;    /* when the source last said so; it is served for max-stale from then */
        uint32_t ttl_s;
        uint32_t n;
        void *addrs; /* n x 4 or 16 bytes, sorted; owned */
};

struct service {
        char *key; /* "S.N"; owned */
        uint32_t policy;
        struct khs_port *ports; /* the default one first; owned */
        size_t n_ports;
        bool hosts;     /* whether host names are learned */
        uint8_t family; /* enum khs_family: which are asked for at all */
        uint64_t max_stale;
        uint32_t version; /* +1 with each change of what the table says but for times and state */
        struct service_family v4, v6;
        struct host_table table;
};

/* What the configuration says of it. Borrowed during the call. */
struct service_options {
        uint32_t policy;
        enum khs_family family;
        uint64_t max_stale;
        const struct khs_port *ports;
        size_t n_ports;
        bool hosts;
};

/* What service_apply() and service_tick() changed. */
enum service_change {
        SERVICE_UNCHANGED = 0,
        SERVICE_TIMES,   /* only what the table stores in place: times, state, ttl */
        SERVICE_CONTENT, /* addresses or what is known of them */
};

/**
 * service_new() - a service of which nothing is known
 * @version: to begin with: above all that a service of this key may have had before
 */
int service_new(struct service **ret, const char *key, uint32_t version, uint64_t now);
struct service *service_free(struct service *s);

/* Return: enum service_change, whether the table must hear of it; -ENOMEM: all is as it was. */
int service_configure(struct service *s, const struct service_options *options);

/**
 * service_restrict() - drop the addresses that are not allowed any more
 * @allow_cidr: as address_is_pod() takes it
 *
 * Of a family of which none is left nothing is known, as if it had never been resolved.
 *
 * Return: enum service_change; -ENOMEM: all is as it was.
 */
int service_restrict(struct service *s, const struct network *allow_cidr, size_t n_allow_cidr, uint64_t now);

/**
 * service_seed() - begin with what the table of an earlier daemon said
 * @row: of that table; its times must be of this boot
 *
 * Addresses are stale from now, for what is left of their max-stale, with the hosts and ports that
 * they had; the version goes on.
 *
 * Return: 0; -ENOMEM, the service is as it was.
 */
int service_seed(struct service *s, const struct khs_row *row, uint64_t now);

/* A source has spoken. Return: what changed, or -ENOMEM: nothing did. */
int service_apply(struct service *s, const struct finding *result, uint64_t now);

/* Time has passed: expires what is too old. */
enum service_change service_tick(struct service *s, uint64_t now);

/* Of the whole service: the better of its families. */
enum khs_service_state service_state(const struct service *s);
const char *service_state_name(enum khs_service_state state);
/* Why it is not fresh, for people; NULL where there is nothing to say. */
const char *service_reason(const struct service *s);

/* What the table shall say. Points into the service; valid until its next change. */
void service_row(const struct service *s, struct khs_row *ret);
