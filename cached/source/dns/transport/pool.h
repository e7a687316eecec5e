#pragma once

/*
 * The DNS servers of the source: which one to ask, and what happens when the list changes.
 *
 * Order is preference. A server that is down is passed over until it answers its probes; one that
 * has shown that it does not know the cluster is asked only after all others. Places in the list
 * change under questions that are in flight: what is kept of a server are its address and its bit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "source/dns/transport/server.h"

#define DNS_POOL_MAX 16U

struct dns_pool {
        const struct dns_server_context *context;
        struct dns_server *servers[DNS_POOL_MAX];
        size_t n_servers;
        unsigned int last_bit; /* number of the one that was given last */
};

void dns_pool_init(struct dns_pool *pool, const struct dns_server_context *context);
void dns_pool_deinit(struct dns_pool *pool);

/**
 * dns_pool_set() - use these servers from now on
 *
 * A server that was there before keeps its connection and what is known of it. What is in flight
 * on one that is gone ends with -ECANCELED. More than DNS_POOL_MAX are logged and left out.
 *
 * Return: 0, or -ENOMEM: the pool is as it was.
 */
int dns_pool_set(struct dns_pool *pool, const struct address *addresses, size_t n_addresses);

/* The best server that is up and not in the set @tried (of their bits), or NULL. */
struct dns_server *dns_pool_choose(const struct dns_pool *pool, uint32_t tried);

bool dns_pool_any_up(const struct dns_pool *pool);
/* Why no server is up: the first one's negative errno; 0 when there is no server at all. */
int dns_pool_error(const struct dns_pool *pool);
