/*
 * libresolv and c-ares begin every query with the first server, and wait for its time-out as long as it is
 * dead. Here a dead server costs its queries once.
 *
 * The first servers of resolv.conf may be the cluster's and a later one the outside world's, which answers
 * any name with its search page. Once any server has shown the cluster's SOA, the others know nothing of a
 * service, whatever they say, even while that one is down.
 */

#include "source/dns/transport/pool.h"
#include "base/log.h"

void dns_pool_init(struct dns_pool *pool, const struct dns_server_context *context)
{
        *pool = (struct dns_pool){ .context = context };
}

void dns_pool_deinit(struct dns_pool *pool)
{
        for (size_t i = 0; i < pool->n_servers; i++)
                pool->servers[i] = dns_server_free(pool->servers[i]);
        pool->n_servers = 0;
}

/* Whoever tried a server that is gone since must not take a new one for it: so the oldest bit of all. */
static uint32_t pool_next_bit(const struct dns_pool *pool, struct dns_pool *next)
{
        uint32_t used = 0;

        for (size_t i = 0; i < pool->n_servers; i++)
                used |= dns_server_bit(pool->servers[i]);
        for (size_t i = 0; i < next->n_servers; i++)
                used |= dns_server_bit(next->servers[i]);
        /* Twice DNS_POOL_MAX are more than the old and the new need together. */
        do
                next->last_bit = (next->last_bit + 1) % (2 * DNS_POOL_MAX);
        while (used >> next->last_bit & 1U);
        return 1U << next->last_bit;
}

static int pool_find(const struct dns_pool *pool, const struct address *address)
{
        for (size_t i = 0; i < pool->n_servers; i++)
                if (address_equal(dns_server_address(pool->servers[i]), address))
                        return (int)i;
        return -1;
}

/* Fills @next with servers of @pool where there are any, with new ones where not. */
static int pool_plan(const struct dns_pool *pool, struct dns_pool *next, const struct address *addresses,
                     size_t n_addresses)
{
        for (size_t i = 0; i < n_addresses && next->n_servers < DNS_POOL_MAX; i++) {
                int old = pool_find(pool, &addresses[i]), r;

                if (pool_find(next, &addresses[i]) >= 0)
                        continue;
                if (old >= 0)
                        next->servers[next->n_servers] = pool->servers[old];
                else if ((r = dns_server_new(&next->servers[next->n_servers], pool->context, &addresses[i],
                                             pool_next_bit(pool, next))) < 0)
                        return r;
                next->n_servers++;
        }
        return 0;
}

/* Frees the servers of @pool that are not in @keep. */
static void pool_free_except(struct dns_pool *pool, const struct dns_pool *keep)
{
        struct dns_pool gone = *pool;

        for (size_t i = 0; i < gone.n_servers; i++)
                if (pool_find(keep, dns_server_address(gone.servers[i])) < 0)
                        dns_server_free(gone.servers[i]);
}

int dns_pool_set(struct dns_pool *pool, const struct address *addresses, size_t n_addresses)
{
        struct dns_pool next, old = *pool;
        int r;

        dns_pool_init(&next, pool->context);
        next.last_bit = pool->last_bit;
        r = pool_plan(pool, &next, addresses, n_addresses);
        if (r < 0) {
                pool_free_except(&next, pool);
                return r;
        }
        if (n_addresses > DNS_POOL_MAX)
                log_message(LOG_WARNING, "dns: only the first %u servers are used", DNS_POOL_MAX);
        *pool = next;
        pool_free_except(&old, pool);
        return 0;
}

struct dns_server *dns_pool_choose(const struct dns_pool *pool, uint32_t tried)
{
        struct dns_server *best = NULL;

        for (size_t i = 0; i < pool->n_servers; i++) {
                struct dns_server *server = pool->servers[i];

                if ((tried & dns_server_bit(server)) || !dns_server_is_up(server))
                        continue;
                if (!best || dns_server_standing(server) < dns_server_standing(best))
                        best = server;
        }
        return best;
}

void dns_pool_introduce(struct dns_pool *pool)
{
        for (size_t i = 0; i < pool->n_servers; i++)
                dns_server_introduce(pool->servers[i]);
}

bool dns_pool_believes(const struct dns_pool *pool, const struct dns_server *server)
{
        for (size_t i = 0; i < pool->n_servers; i++)
                if (dns_server_standing(pool->servers[i]) == DNS_SHOWN)
                        return dns_server_standing(server) == DNS_SHOWN;
        return true;
}

bool dns_pool_any_up(const struct dns_pool *pool)
{
        return dns_pool_choose(pool, 0);
}

int dns_pool_error(const struct dns_pool *pool)
{
        return pool->n_servers > 0 ? dns_server_error(pool->servers[0]) : 0;
}
