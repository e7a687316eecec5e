#pragma once

/*
 * The service model: what is known of one registered service, and what the table shall say of it.
 *
 * Pure: no I/O, no clock of its own (every call is given the time), no source, no table. Findings of sources
 * go in, a row for the table comes out. Each family runs its own state machine, see model/service-family.h.
 * Host names, ports and conditions are attributes of addresses: they stay as long as their address does, and
 * change no state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/endpoints.h"
#include "model/filter.h"
#include "model/finding.h"
#include "model/service-family.h"
#include "table/row.h"

struct service {
        char *key; /* "S.N"; owned */
        uint32_t policy;
        struct khs_port *ports; /* the default one first; owned */
        size_t n_ports;
        bool hosts;        /* whether attributes are kept */
        bool near;         /* whether its endpoints may be near ones */
        bool truncated;    /* the source has more addresses than fit */
        bool not_headless; /* DNS would answer with a cluster IP */
        uint8_t family;    /* enum khs_family: which are wanted at all */
        uint64_t max_stale;
        struct filter *filter; /* what findings must pass; borrowed; NULL: nothing */
        struct names *names;   /* of nodes and zones; borrowed */
        uint32_t version;      /* +1 with each change of what the table says but for times and state */
        struct service_family v4, v6;
        struct endpoint_set set;
};

/* What the configuration says of it. Borrowed during the call, but for filter and names, which must outlive the
 * service. */
struct service_options {
        uint32_t policy;
        enum khs_family family;
        uint64_t max_stale;
        struct filter *filter;
        struct names *names; /* the same in each call */
        const struct khs_port *ports;
        size_t n_ports;
        bool hosts;
        bool near; /* its order asks for near endpoints, and its source knows them */
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
 * service_restrict() - drop the addresses that the filter, which has changed, does not admit
 *
 * Of a family of which none is left nothing is known, as if it had never been resolved.
 *
 * Return: enum service_change; -ENOMEM: all is as it was.
 */
int service_restrict(struct service *s, uint64_t now);

/**
 * service_apply() - a source has reported a finding
 *
 * Return: what changed; -ENOMEM: nothing did, and the source must report again.
 */
int service_apply(struct service *s, const struct finding *finding, uint64_t now);

/* The process was stopped since @heard: nobody could ask. */
enum service_change service_resume(struct service *s, uint64_t heard, uint64_t now);
/* Time has passed: confirms what stands, expires what is too old. */
enum service_change service_tick(struct service *s, uint64_t now);

bool service_wants(const struct service *s, int family);
/* The family whose state is the service's. One with addresses goes first; the service is empty only if both are. */
const struct service_family *service_best(const struct service *s);
enum khs_service_state service_state(const struct service *s);
