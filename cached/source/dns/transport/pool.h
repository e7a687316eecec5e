#pragma once

/*
 * The DNS servers of the source: which one to ask, and what happens when the list changes.
 *
 * A server that is down is passed over until it answers its probes. Of the others, those that have shown the
 * cluster domain come first and those that have denied it last; among equals the list's order is preference.
 * Places in the list change under questions that are in flight: a server is known by its address and bit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/dns/transport/server.h"

#define DNS_POOL_MAX 16U

struct dns_pool {
        const struct dns_server_context *context;
        struct dns_server *servers[DNS_POOL_MAX];
        size_t n_servers;
        unsigned int last_bit; /* the number that was given last */
};

void dns_pool_init(struct dns_pool *pool, const struct dns_server_context *context);
void dns_pool_deinit(struct dns_pool *pool);

/**
 * dns_pool_set() - use these servers from now on
 *
 * A server that stays keeps its connection and what is known of it. What is in flight on one that goes ends
 * with -ECANCELED. More than DNS_POOL_MAX are logged and left out.
 *
 * Return: 0, or -ENOMEM: the pool is as it was.
 */
int dns_pool_set(struct dns_pool *pool, const struct address *addresses, size_t n_addresses);

/* The best server that is up and not in the set @tried (of their bits), or NULL. */
struct dns_server *dns_pool_choose(const struct dns_pool *pool, uint32_t tried);

/* To be called before a question is asked: servers that are new show where they stand. */
void dns_pool_introduce(struct dns_pool *pool);

/* Do addresses count that this server of the pool gives? See dns_server_standing(). */
bool dns_pool_believes(const struct dns_pool *pool, const struct dns_server *server);

bool dns_pool_any_up(const struct dns_pool *pool);
/* Why no server is up: the first one's negative errno; 0 when the pool has none. */
int dns_pool_error(const struct dns_pool *pool);
