/*
 * Which server is asked, and what becomes of the list when it changes. Nobody listens: a server stands where the
 * test says.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "source/dns/transport/pool.h"

static sd_event *event;
static struct dns_server_context context;
static struct dns_pool pool;

static void on_change(void *userdata, struct dns_server *server)
{
        (void)userdata;
        (void)server;
}

static void setup(void)
{
        cr_assert_geq(sd_event_new(&event), 0);
        context = (struct dns_server_context){ .event = event, .transport = DNS_UDP, .on_change = on_change };
        cr_assert_eq(dns_name_parse(&context.domain, "cluster.local"), 0);
        dns_pool_init(&pool, &context);
}

static void teardown(void)
{
        dns_pool_deinit(&pool);
        event = sd_event_unref(event);
}

TestSuite(dns_pool, .init = setup, .fini = teardown, .timeout = 30);

/* 127.0.0.N for each digit of @hosts. */
static void set(const char *hosts)
{
        struct address addresses[32];
        size_t n = strlen(hosts);

        for (size_t i = 0; i < n; i++)
                addresses[i] = (struct address){ AF_INET, 1, { 127, 0, 0, (uint8_t)(hosts[i] - '0') } };
        cr_assert_eq(dns_pool_set(&pool, addresses, n), 0);
}

/* The digit of the server that is chosen, 0 for none. */
static int chosen(uint32_t tried)
{
        const struct dns_server *server = dns_pool_choose(&pool, tried);

        return server ? dns_server_address(server)->bytes[3] : 0;
}

Test(dns_pool, order_is_preference)
{
        uint32_t first, second;

        cr_expect_eq(chosen(0), 0);
        cr_expect_not(dns_pool_any_up(&pool));
        cr_expect_eq(dns_pool_error(&pool), 0);
        set("12312");
        cr_expect_eq(pool.n_servers, 3, "each once");
        first = dns_server_bit(pool.servers[0]);
        second = dns_server_bit(pool.servers[1]);
        cr_expect_eq(chosen(0), 1);
        cr_expect_eq(chosen(first), 2);
        cr_expect_eq(chosen(first | second), 3);
        cr_expect_eq(chosen(UINT32_MAX), 0);
        cr_expect(dns_pool_any_up(&pool));
}

Test(dns_pool, servers_that_show_the_cluster_come_first_and_those_that_deny_it_last)
{
        set("123");
        for (unsigned int i = 0; i < 3; i++)
                dns_server_deny_cluster(pool.servers[0]);
        cr_expect_eq(chosen(0), 2);
        dns_server_show_cluster(pool.servers[2]);
        cr_expect_eq(chosen(0), 3);
        cr_expect_eq(chosen(dns_server_bit(pool.servers[2])), 2);
        cr_expect_eq(chosen(dns_server_bit(pool.servers[2]) | dns_server_bit(pool.servers[1])), 1);
}

Test(dns_pool, once_one_has_shown_the_cluster_only_such_are_believed)
{
        set("123");
        for (size_t i = 0; i < 3; i++)
                cr_expect(dns_pool_believes(&pool, pool.servers[i]));
        dns_server_show_cluster(pool.servers[1]);
        cr_expect_not(dns_pool_believes(&pool, pool.servers[0]));
        cr_expect(dns_pool_believes(&pool, pool.servers[1]));
        cr_expect_not(dns_pool_believes(&pool, pool.servers[2]));
        set("13"); /* it is gone, and so is what it proved */
        cr_expect(dns_pool_believes(&pool, pool.servers[0]));
}

Test(dns_pool, servers_that_stay_are_the_same)
{
        struct dns_server *two;
        uint32_t bits = 0;

        set("123");
        two = pool.servers[1];
        dns_server_show_cluster(two);
        set("42");
        cr_expect_eq(pool.n_servers, 2);
        cr_expect_eq(pool.servers[1], two);
        cr_expect_eq(chosen(0), 2);

        /* No new server has the bit of one that was there a moment ago. */
        for (int round = 0; round < 100; round++) {
                uint32_t now = 0;

                set(round % 2 ? "5678" : "135");
                for (size_t i = 0; i < pool.n_servers; i++) {
                        uint32_t bit = dns_server_bit(pool.servers[i]);
                        bool stays = dns_server_address(pool.servers[i])->bytes[3] == 5 && round > 0;

                        cr_assert_not(now & bit, "round %d", round);
                        cr_assert_eq((bits & bit) != 0, stays, "round %d", round);
                        now |= bit;
                }
                bits = now;
        }
}

Test(dns_pool, sixteen_are_enough)
{
        set("123456789:;<=>?@AB");
        cr_expect_eq(pool.n_servers, DNS_POOL_MAX);
        set("");
        cr_expect_eq(pool.n_servers, 0);
}
