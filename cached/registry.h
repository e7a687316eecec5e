#pragma once

/*
 * The registered services: the place where configuration, sources, the service model and the
 * publisher meet. It makes them follow the configuration, hands each source's results to the
 * service that they are for, and what changed to the publisher.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "publish/predecessor.h"
#include "publish/publisher.h"
#include "source/dns/source.h"

struct registry;

struct registry_counts {
        size_t n_services, n_addresses;
        size_t n_pending, n_fresh, n_stale, n_empty, n_expired;
};

/* The publisher and the DNS source are borrowed for the registry's life. */
int registry_new(struct registry **ret, struct publisher *publisher, struct source_dns *dns);
struct registry *registry_free(struct registry *r);

/**
 * registry_apply() - register what the configuration names, and nothing else
 * @config:      borrowed during the call
 * @predecessor: new services begin with what it knew of them; NULL after the start
 *
 * Touches only what differs. A service that can't be registered for want of memory is told and left
 * out; the next call tries again.
 */
void registry_apply(struct registry *r, const struct config *config, struct predecessor *predecessor);

/* To be called every second: expires what is too old. */
void registry_tick(struct registry *r);

void registry_count(const struct registry *r, struct registry_counts *ret);

/* Services of which nothing is known and that wait for their source's first word; in constant time. */
size_t registry_n_awaited(const struct registry *r);

/* For publisher_retain(): whether a key of the table is a registered service, or an alias of one. */
bool registry_keeps(void *registry, const char *key, const char *target);
