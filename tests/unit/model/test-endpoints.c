/* Hosts, ordinals and ports of a service's addresses. */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/endpoints.h"
#include "model/ordinal.h"

static const uint8_t own4[] = { 10, 244, 0, 11 }, own6[16] = { 0xfd, [1] = 0x10, [15] = 0xb };

Test(endpoint_set, ordinals)
{
        static const struct {
                const char *host;
                int32_t ordinal;
        } rows[] = {
                { "web-0", 0 },
                { "web-1", 1 },
                { "web-10", 10 },
                { "my-web-7", 7 },
                { "web-2147483647", INT32_MAX },
                { "web-2147483648", -1 },
                { "web-9999999999", -1 },
                { "web-18446744073709551616", -1 },
                { "web-01", -1 },
                { "web-00", -1 },
                { "web-", -1 },
                { "-0", -1 },
                { "web", -1 },
                { "0", -1 },
                { "", -1 },
                { "web-a", -1 },
                { "web-1a", -1 },
                { "web-+1", -1 },
                { "web--1", 1 },
                { "web-7d9f8b6c5-abcde", -1 },
                { "10-244-0-11", -1 },
                { "10-244-0-12", -1 },
                { "10-244-0", 0 },
                { "10-244-0-256", 256 },
                { "1-10-244-0-11", 11 },
                { "fd10--b", -1 },
                { "fd10--12", 12 },
                { "be--ef-0", 0 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                cr_expect_eq(host_ordinal(rows[i].host, AF_INET6, own6), rows[i].ordinal, "%s", rows[i].host);
        cr_expect_eq(host_ordinal("10-244-0-11", AF_INET, own4), -1);
        cr_expect_eq(host_ordinal("fd10--12", AF_INET6, (uint8_t[16]){ 0xfd, 0x10, [15] = 0x12 }), -1, "its own");
        cr_expect_eq(host_ordinal("0--1", AF_INET6, (uint8_t[16]){ [15] = 1 }), -1, "as CoreDNS writes ::1");
}

/* Addresses 10.0.0.N and fd00::N by their last bytes. */
struct pods {
        uint8_t v4[16][4], v6[16][16];
        struct endpoint_addrs addrs;
};

static const struct endpoint_addrs *pods(struct pods *pods, const char *last4, const char *last6)
{
        *pods = (struct pods){ .addrs = { .v4 = pods->v4[0], .v6 = pods->v6[0] } };
        for (; *last4; last4++)
                memcpy(pods->v4[pods->addrs.n4++], (uint8_t[]){ 10, 0, 0, (uint8_t)(*last4 - '0') }, 4);
        for (; *last6; last6++)
                memcpy(pods->v6[pods->addrs.n6++], (uint8_t[16]){ 0xfd, [15] = (uint8_t)(*last6 - '0') }, 16);
        return &pods->addrs;
}

static struct finding_endpoint endpoint(bool six, uint8_t last, const char *host)
{
        if (six)
                return (struct finding_endpoint){ .family = AF_INET6, .bytes = { 0xfd, [15] = last }, .host = host };
        return (struct finding_endpoint){ .family = AF_INET, .bytes = { 10, 0, 0, last }, .host = host };
}

static const struct khs_port number = { .kind = KHS_PORT_NUMBER, .number = 8080 },
                             base = { .kind = KHS_PORT_BASE, .number = 3000 },
                             grpc = { .kind = KHS_PORT_NAME, .name = "grpc" },
                             dns = { .kind = KHS_PORT_NAME, .name = "dns", .udp = true };

static struct endpoint_set make(const struct endpoint_addrs *addrs, const struct endpoint_set *old,
                                const struct endpoint_addrs *old_addrs, const struct finding_endpoint *endpoints,
                                uint32_t n_endpoints, const struct khs_port *ports, size_t n_ports)
{
        const struct finding news = { .kind = FINDING_ENDPOINTS, .n_endpoints = n_endpoints, .endpoints = endpoints };
        static const struct endpoint_set nothing;
        struct endpoint_set table;

        cr_assert_eq(endpoint_set_make(&table, NULL, addrs, old ? old : &nothing, old_addrs ? old_addrs : addrs,
                                       endpoints ? &news : NULL, ports, n_ports),
                     0);
        return table;
}

/* "web-0 - web-2": the hosts in the order of the rows. */
static const char *hosts(const struct endpoint_set *table)
{
        static char text[1024];
        size_t n = 0;

        text[0] = '\0';
        for (uint32_t i = 0; i < table->n; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
                                      table->endpoints[i].host ? table->endpoints[i].host : "-");
        return text;
}

Test(endpoint_set, begins_with_nothing)
{
        const struct finding_endpoint silent[] = { endpoint(false, 1, NULL) };
        struct endpoint_set table;
        struct pods p;

        table = make(pods(&p, "12", "1"), NULL, NULL, NULL, 0, &number, 1);
        cr_expect_eq(table.n, 0);
        cr_expect_null(table.endpoints);
        table = make(pods(&p, "12", "1"), NULL, NULL, silent, 1, &number, 1);
        cr_expect_eq(table.n, 0, "a configured number is no knowledge of an endpoint");
        table = make(pods(&p, "", ""), NULL, NULL, silent, 1, &number, 1);
        cr_expect_eq(table.n, 0);
}

/* `include = all`: an address that is not ready must not look like one that is. */
Test(endpoint_set, conditions_are_knowledge_too)
{
        static const uint8_t ready = KHS_ATTR_READY | KHS_ATTR_SERVING;
        struct finding_endpoint endpoints[] = { endpoint(false, 1, NULL), endpoint(false, 2, NULL) };
        const struct finding news = { .kind = FINDING_WHOLE, .n_endpoints = 2, .endpoints = endpoints };
        static const struct endpoint_set nothing;
        const struct endpoint_addrs *addrs;
        struct endpoint_set table;
        struct pods p;

        addrs = pods(&p, "12", "");
        endpoints[0].flags = endpoints[1].flags = ready;
        cr_assert_eq(endpoint_set_make(&table, NULL, addrs, &nothing, addrs, &news, NULL, 0), 0);
        cr_expect_eq(table.n, 0, "both are what is taken to be true of any");

        endpoints[1].flags = 0;
        cr_assert_eq(endpoint_set_make(&table, NULL, addrs, &nothing, addrs, &news, NULL, 0), 0);
        cr_assert_eq(table.n, 2);
        cr_expect_eq(table.endpoints[0].flags, ready);
        cr_expect_eq(table.endpoints[1].flags, 0);
        endpoint_set_deinit(&table);
}

Test(endpoint_set, hosts_come_to_their_addresses)
{
        const struct finding_endpoint news[] = {
                endpoint(false, 1, "web-0"), endpoint(false, 3, "web-2"), endpoint(false, 9, "gone-0"),
                endpoint(true, 2, "web-1"),  endpoint(true, 3, "web-2"),
        };
        struct endpoint_set table;
        struct pods p;

        table = make(pods(&p, "123", "13"), NULL, NULL, news, 5, NULL, 0);
        cr_expect_str_eq(hosts(&table), "web-0 - web-2 - web-2");
        cr_expect_eq(table.endpoints[0].ordinal, 0);
        cr_expect_eq(table.endpoints[1].ordinal, -1);
        cr_expect_eq(table.endpoints[4].ordinal, 2);
        cr_expect_eq(table.endpoints[0].flags, KHS_ATTR_READY | KHS_ATTR_SERVING);
        cr_expect_eq(table.endpoints[0].n_ports, 0);
        cr_expect_not(table.complete);
        endpoint_set_deinit(&table);

        table = make(pods(&p, "13", "3"), NULL, NULL, news, 5, NULL, 0);
        cr_expect_str_eq(hosts(&table), "web-0 web-2 web-2");
        cr_expect(table.complete);
        endpoint_set_deinit(&table);
}

Test(endpoint_set, attributes_live_as_long_as_their_addresses)
{
        const struct finding_endpoint first[] = { endpoint(false, 2, "web-0"), endpoint(false, 4, "web-1"),
                                                  endpoint(true, 4, "web-1") };
        const struct finding_endpoint second[] = { endpoint(false, 4, "web-9"), endpoint(false, 5, NULL) };
        struct endpoint_set a, b, c;
        struct pods p, q, r;

        a = make(pods(&p, "24", "4"), NULL, NULL, first, 3, NULL, 0);
        b = make(pods(&q, "1345", "45"), &a, &p.addrs, NULL, 0, NULL, 0);
        endpoint_set_deinit(&a);
        cr_expect_str_eq(hosts(&b), "- - web-1 - web-1 -");
        cr_expect_eq(b.endpoints[2].ordinal, 1);

        /* What the source does not speak of stays; what it says instead counts, "none", too. */
        c = make(&q.addrs, &b, &q.addrs, second, 2, NULL, 0);
        cr_expect_str_eq(hosts(&c), "- - web-9 - web-1 -");
        endpoint_set_deinit(&b);
        b = make(&q.addrs, &c, &q.addrs, (struct finding_endpoint[]){ endpoint(false, 4, NULL) }, 1, NULL, 0);
        cr_expect_str_eq(hosts(&b), "- - - - web-1 -");
        endpoint_set_deinit(&c);

        c = make(pods(&r, "1", ""), &b, &q.addrs, NULL, 0, NULL, 0);
        cr_expect_eq(c.n, 0, "nothing is known of the address that is left");
        endpoint_set_deinit(&b);
}

/* "web-1@0 web-2@0": shared rows with the number of their address. */
static const char *shared(const struct endpoint_set *table)
{
        static char text[1024];
        size_t n = 0;

        text[0] = '\0';
        for (uint32_t i = 0; i < table->n_shared; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s@%u", i ? " " : "",
                                      table->endpoints[table->n - table->n_shared + i].host, table->shared[i]);
        return text;
}

/* Pods in the network of their node: the first by name has the row of the address. */
Test(endpoint_set, hosts_of_one_address_are_shared_rows)
{
        const struct finding_endpoint news[] = {
                endpoint(false, 1, "web-0"), endpoint(false, 1, "web-10"), endpoint(false, 1, "web-2"),
                endpoint(false, 2, "web-1"), endpoint(true, 1, "web-0"),   endpoint(true, 1, "web-2"),
        };
        const struct finding_endpoint later[] = { endpoint(false, 1, "web-2"), endpoint(false, 2, "web-1"),
                                                  endpoint(false, 2, "web-9") };
        struct endpoint_set a, b, c;
        struct pods p, q;

        a = make(pods(&p, "123", "1"), NULL, NULL, news, 6, NULL, 0);
        cr_expect_str_eq(hosts(&a), "web-0 web-1 - web-0 web-10 web-2 web-2");
        cr_expect_str_eq(shared(&a), "web-10@0 web-2@0 web-2@3");
        cr_expect_eq(a.endpoints[4].ordinal, 10);
        cr_expect_not(a.complete);
        b = make(pods(&q, "12", "1"), &a, &p.addrs, NULL, 0, NULL, 0);
        cr_expect_str_eq(shared(&b), "web-10@0 web-2@0 web-2@2");
        cr_expect(b.complete, "sharing is no gap");
        cr_expect_not(endpoint_set_equal(&a, &b));

        /* What is told of an address is all there is. */
        c = make(&q.addrs, &b, &q.addrs, later, 3, NULL, 0);
        cr_expect_str_eq(hosts(&c), "web-2 web-1 web-0 web-9 web-2");
        cr_expect_str_eq(shared(&c), "web-9@1 web-2@2");
        endpoint_set_deinit(&a);
        a = make(pods(&p, "2", ""), &c, &q.addrs, NULL, 0, NULL, 0);
        cr_expect_str_eq(hosts(&a), "web-1 web-9");
        cr_expect_str_eq(shared(&a), "web-9@0");
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
        endpoint_set_deinit(&c);
}

/* The same hosts in the same order of rows, and one of them is elsewhere. */
Test(endpoint_set, shared_row_that_moves_makes_another_table)
{
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 1, "web-2"),
                                           endpoint(false, 2, "web-1") };
        struct endpoint_set a, b;
        struct pods p;

        a = make(pods(&p, "12", ""), NULL, NULL, news, 3, NULL, 0);
        news[1] = endpoint(false, 2, "web-1");
        news[2] = endpoint(false, 2, "web-2");
        b = make(&p.addrs, &a, &p.addrs, news, 3, NULL, 0);
        cr_expect_str_eq(hosts(&a), "web-0 web-1 web-2");
        cr_expect_str_eq(hosts(&b), "web-0 web-1 web-2");
        cr_expect_str_eq(shared(&b), "web-2@1");
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
}

Test(endpoint_set, shared_rows_have_ports_of_their_own)
{
        const struct khs_row_port first[] = { { "grpc", 9000, IPPROTO_TCP } },
                                  second[] = { { "grpc", 9001, IPPROTO_TCP } };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 1, "web-1") };
        struct endpoint_set a, b;
        struct pods p;

        news[0].ports = first;
        news[1].ports = second;
        news[0].n_ports = news[1].n_ports = 1;
        a = make(pods(&p, "1", ""), NULL, NULL, news, 2, &grpc, 1);
        cr_assert_eq(a.n, 2);
        cr_expect_eq(a.endpoints[0].ports[0].number, 9000);
        cr_expect_eq(a.endpoints[1].ports[0].number, 9001);

        /* Those of a host stay with it, and do not become another one's. */
        news[0] = endpoint(false, 1, "web-1");
        news[1] = endpoint(false, 1, "web-7");
        news[0].ports_unknown = news[1].ports_unknown = true;
        b = make(&p.addrs, &a, &p.addrs, news, 2, &grpc, 1);
        cr_expect_str_eq(hosts(&b), "web-1 web-7");
        cr_expect_eq(b.endpoints[0].ports[0].number, 9001);
        cr_expect_eq(b.endpoints[1].n_ports, 0);
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
}

/* Half a round must not take back what a whole one has found; but it does say what is another host. */
Test(endpoint_set, part_of_the_hosts_is_no_reason_to_forget_the_others)
{
        const struct khs_row_port port[] = { { "grpc", 9000, IPPROTO_TCP } };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 1, "web-1"),
                                           endpoint(false, 1, "web-2") };
        struct endpoint_set a, b;
        struct pods p;

        a = make(pods(&p, "1", ""), NULL, NULL, news, 3, &grpc, 1);
        news[1].others_unknown = true;
        news[1].ports = port;
        news[1].n_ports = 1;
        b = make(&p.addrs, &a, &p.addrs, news + 1, 1, &grpc, 1);
        cr_expect_str_eq(hosts(&b), "web-0 web-1 web-2");
        cr_expect_eq(b.endpoints[1].n_ports, 1, "what it does say counts");
        cr_expect(b.complete);
        endpoint_set_deinit(&b);

        news[1].host = "web-11";
        b = make(&p.addrs, &a, &p.addrs, news + 1, 1, &grpc, 1);
        cr_expect_str_eq(hosts(&b), "web-11");
        cr_expect_not(b.complete);
        endpoint_set_deinit(&a);

        /* Nor does it make a table complete that was not. */
        a = make(&p.addrs, &b, &p.addrs, news + 1, 1, &grpc, 1);
        cr_expect_not(a.complete);
        cr_expect(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        news[1].others_unknown = false;
        a = make(&p.addrs, &b, &p.addrs, news + 1, 1, &grpc, 1);
        cr_expect(a.complete);
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
}

Test(endpoint_set, more_shared_rows_than_a_record_has_room_for_cost_the_last_ones)
{
        const uint32_t n = 2 * KHS_MAX_ADDRS + 5;
        struct finding_endpoint *news = calloc(n, sizeof(*news));
        char(*names)[16] = calloc(n, sizeof(*names));
        struct endpoint_set a, b;
        struct pods p;

        for (uint32_t i = 0; i < n; i++) {
                snprintf(names[i], sizeof(names[i]), "web-%05u", i);
                news[i] = endpoint(false, i < n - 1 ? 1 : 2, names[i]);
        }
        a = make(pods(&p, "12", ""), NULL, NULL, news, n, NULL, 0);
        cr_expect_eq(a.n, 2 * KHS_MAX_ADDRS);
        cr_expect_eq(a.n_shared, a.n - 2);
        cr_expect_str_eq(a.endpoints[1].host, names[n - 1], "addresses come first");
        cr_expect_str_eq(a.endpoints[a.n - 1].host, names[a.n_shared]);
        cr_expect_not(a.complete);
        b = make(&p.addrs, &a, &p.addrs, news + n - 1, 1, NULL, 0);
        cr_expect_eq(b.n, a.n);
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
        free(news);
        free(names);
}

Test(endpoint_set, hosts_that_are_not_known_keep_it_from_being_complete)
{
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 2, "web-2") };
        struct endpoint_set a, b;
        struct pods p;

        news[0].others_unknown = true;
        a = make(pods(&p, "12", ""), NULL, NULL, news, 2, NULL, 0);
        cr_expect_str_eq(hosts(&a), "web-0 web-2");
        cr_expect_not(a.complete);
        b = make(&p.addrs, &a, &p.addrs, news + 1, 1, NULL, 0);
        cr_expect_not(b.complete);
        cr_expect(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        news[0].others_unknown = false;
        a = make(&p.addrs, &b, &p.addrs, news, 1, NULL, 0);
        cr_expect(a.complete);
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);

        /* It is another table even where an address without a host keeps both from being complete. */
        news[1].host = NULL;
        a = make(&p.addrs, NULL, NULL, news, 2, NULL, 0);
        news[0].others_unknown = true;
        b = make(&p.addrs, NULL, NULL, news, 2, NULL, 0);
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
}

Test(endpoint_set, ports_are_those_reported_after_the_default_one)
{
        const struct khs_row_port web0[] = { { "http", 80, IPPROTO_TCP },
                                             { "grpc", 9000, IPPROTO_TCP },
                                             { "dns", 53, IPPROTO_UDP } },
                                  web1[] = { { "grpc", 9001, IPPROTO_UDP }, { "dns", 5353, IPPROTO_UDP } };
        const struct khs_port ports[] = { grpc, number, base, dns };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 2, "web-1"),
                                           endpoint(false, 3, "web-2"), endpoint(false, 4, "web-3") };
        struct endpoint_set table;
        struct pods p;

        for (int i = 0; i < 3; i++) {
                news[i].ports = i == 1 ? web1 : web0;
                news[i].n_ports = i == 1 ? 2 : 3;
        }
        table = make(pods(&p, "1234", ""), NULL, NULL, news, 4, ports, 4);
        cr_assert_eq(table.endpoints[0].n_ports, 3);
        cr_expect_str_eq(table.endpoints[0].ports[0].name, "grpc");
        cr_expect_eq(table.endpoints[0].ports[0].number, 9000);
        cr_expect_eq(table.endpoints[0].ports[0].protocol, IPPROTO_TCP);
        cr_expect_str_eq(table.endpoints[0].ports[1].name, "http", "whether configured or not");
        cr_expect_eq(table.endpoints[0].ports[1].number, 80);
        cr_expect_str_eq(table.endpoints[0].ports[2].name, "dns");
        cr_expect_eq(table.endpoints[0].ports[2].number, 53);
        cr_expect_eq(table.endpoints[0].ports[2].protocol, IPPROTO_UDP);
        cr_expect_eq(table.endpoints[2].ports, table.endpoints[0].ports, "equal ones are one set");

        cr_assert_eq(table.endpoints[1].n_ports, 3, "grpc by UDP is another port");
        cr_expect_str_eq(table.endpoints[1].ports[0].name, "grpc");
        cr_expect_eq(table.endpoints[1].ports[0].number, 0, "not the next one in its place");
        cr_expect_eq(table.endpoints[1].ports[0].protocol, IPPROTO_TCP);
        cr_expect_eq(table.endpoints[1].ports[2].number, 5353);
        cr_expect_eq(table.endpoints[3].n_ports, 0, "nothing is known");
        endpoint_set_deinit(&table);
}

Test(endpoint_set, ports_come_as_reported_where_none_is_configured_by_name)
{
        const struct khs_row_port unnamed[] = { { NULL, 0, IPPROTO_TCP }, { NULL, 8080, IPPROTO_TCP } };
        const struct khs_port *const firsts[] = { NULL, &number, &base };
        struct finding_endpoint news[] = { endpoint(false, 1, NULL), endpoint(false, 2, NULL) };
        struct endpoint_set table;
        struct pods p;

        news[0].ports = unnamed;
        news[0].n_ports = 2;
        for (int i = 0; i < 3; i++) {
                table = make(pods(&p, "12", ""), NULL, NULL, news, 2, firsts[i], firsts[i] != NULL);
                cr_assert_eq(table.endpoints[0].n_ports, 1, "without a number it is none");
                cr_expect_null(table.endpoints[0].ports[0].name);
                cr_expect_eq(table.endpoints[0].ports[0].number, 8080);
                cr_expect_eq(table.endpoints[1].n_ports, 0);
                endpoint_set_deinit(&table);
        }
}

Test(endpoint_set, ports_without_hosts_are_knowledge_too)
{
        const struct khs_row_port ports[] = { { "grpc", 9000, IPPROTO_TCP } };
        struct finding_endpoint news[] = { endpoint(false, 1, NULL) };
        struct endpoint_set table;
        struct pods p;

        news[0].ports = ports;
        news[0].n_ports = 1;
        table = make(pods(&p, "1", ""), NULL, NULL, news, 1, &grpc, 1);
        cr_assert_eq(table.n, 1);
        cr_expect_eq(table.endpoints[0].n_ports, 1);
        cr_expect_not(table.complete);
        endpoint_set_deinit(&table);
}

Test(endpoint_set, ports_stay_where_nothing_was_learned_of_them)
{
        const struct khs_row_port known[] = { { "grpc", 9000, IPPROTO_TCP } };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0") };
        struct finding result = { .kind = FINDING_ENDPOINTS, .n_endpoints = 1, .endpoints = news };
        struct endpoint_set a, b, c;
        struct pods p;

        news[0].ports = known;
        news[0].n_ports = 1;
        a = make(pods(&p, "12", ""), NULL, NULL, news, 1, &grpc, 1);
        news[0] = endpoint(false, 1, "web-7");
        news[0].ports_unknown = true;
        cr_assert_eq(endpoint_set_make(&b, NULL, &p.addrs, &a, &p.addrs, &result, &grpc, 1), 0);
        cr_expect_str_eq(b.endpoints[0].host, "web-7");
        cr_assert_eq(b.endpoints[0].n_ports, 1);
        cr_expect_eq(b.endpoints[0].ports[0].number, 9000);
        news[0].ports_unknown = false;
        cr_assert_eq(endpoint_set_make(&c, NULL, &p.addrs, &b, &p.addrs, &result, &grpc, 1), 0);
        cr_expect_eq(c.endpoints[0].n_ports, 0);
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
        endpoint_set_deinit(&c);
}

Test(endpoint_set, ports_follow_the_configuration)
{
        const struct khs_row_port known[] = { { "grpc", 9000, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
        const struct khs_port both[] = { grpc, dns }, other[] = { dns, number };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0") };
        struct endpoint_set a, b;
        struct pods p;

        news[0].ports = known;
        news[0].n_ports = 2;
        a = make(pods(&p, "1", ""), NULL, NULL, news, 1, both, 2);
        b = make(&p.addrs, &a, &p.addrs, NULL, 0, other, 2);
        endpoint_set_deinit(&a);
        cr_assert_eq(b.endpoints[0].n_ports, 2);
        cr_expect_str_eq(b.endpoints[0].ports[0].name, "dns");
        cr_expect_eq(b.endpoints[0].ports[0].number, 53);
        cr_expect_str_eq(b.endpoints[0].ports[1].name, "grpc");
        cr_expect_eq(b.endpoints[0].ports[1].number, 9000);
        a = make(&p.addrs, &b, &p.addrs, NULL, 0, &(struct khs_port){ .kind = KHS_PORT_NAME, .name = "http" }, 1);
        endpoint_set_deinit(&b);
        cr_assert_eq(a.endpoints[0].n_ports, 3);
        cr_expect_str_eq(a.endpoints[0].ports[0].name, "http");
        cr_expect_eq(a.endpoints[0].ports[0].number, 0);
        b = make(&p.addrs, &a, &p.addrs, NULL, 0, NULL, 0);
        endpoint_set_deinit(&a);
        cr_expect_eq(b.endpoints[0].n_ports, 2, "what was said to be missing is no port");
        endpoint_set_deinit(&b);
}

/* Of random ports, each endpoint has its own. */
Test(endpoint_set, has_as_many_sets_of_ports_as_there_are)
{
        static struct khs_row_port ports[300];
        static struct finding_endpoint news[300];
        static uint8_t v4[300][4];
        const struct endpoint_addrs addrs = { .n4 = 300, .v4 = v4[0] };
        struct endpoint_set table;

        for (uint32_t i = 0; i < 300; i++) {
                ports[i] = (struct khs_row_port){ "grpc", (uint16_t)(9000 + i), IPPROTO_TCP };
                memcpy(v4[i], (uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 4);
                news[i] =
                        (struct finding_endpoint){ .family = AF_INET, .host = "web", .ports = &ports[i], .n_ports = 1 };
                memcpy(news[i].bytes, v4[i], 4);
        }
        table = make(&addrs, NULL, NULL, news, 300, &grpc, 1);
        for (uint32_t i = 0; i < 300; i++) {
                cr_assert_eq(table.endpoints[i].n_ports, 1);
                cr_expect_eq(table.endpoints[i].ports[0].number, 9000 + i);
                cr_expect_str_eq(table.endpoints[i].ports[0].name, "grpc");
        }
        endpoint_set_deinit(&table);
}

Test(endpoint_set, leaves_out_more_ports_of_an_endpoint_than_readers_look_at)
{
        static struct khs_row_port ports[200];
        struct finding_endpoint news[] = { endpoint(false, 1, NULL) };
        struct endpoint_set table;
        struct pods p;

        for (uint32_t i = 0; i < 200; i++)
                ports[i] = (struct khs_row_port){ NULL, (uint16_t)(1 + i), IPPROTO_TCP };
        news[0].ports = ports;
        news[0].n_ports = 200;
        table = make(pods(&p, "1", ""), NULL, NULL, news, 1, NULL, 0);
        cr_expect_eq(table.endpoints[0].n_ports, 128);
        endpoint_set_deinit(&table);
}

Test(endpoint_set, equal_tables_are_told)
{
        const struct khs_row_port a_port[] = { { "grpc", 9000, IPPROTO_TCP } },
                                  b_port[] = { { "grpc", 9001, IPPROTO_TCP } };
        struct finding_endpoint news[] = { endpoint(false, 1, "web-0"), endpoint(false, 2, "web-1") };
        struct endpoint_set a, b;
        struct pods p;

        news[0].ports = a_port;
        news[0].n_ports = 1;
        a = make(pods(&p, "12", ""), NULL, NULL, news, 2, &grpc, 1);
        b = make(&p.addrs, &a, &p.addrs, news, 1, &grpc, 1);
        cr_expect(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&b);
        news[0].ports = b_port;
        b = make(&p.addrs, &a, &p.addrs, news, 1, &grpc, 1);
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&b);
        news[1].host = "web-2";
        b = make(&p.addrs, &a, &p.addrs, news + 1, 1, &grpc, 1);
        cr_expect_not(endpoint_set_equal(&a, &b));
        endpoint_set_deinit(&a);
        endpoint_set_deinit(&b);
        cr_expect(endpoint_set_equal(&a, &b));
}

/* 5,000 of each family, all new, all told: every list is walked once. */
Test(endpoint_set, largest_service)
{
        struct endpoint_addrs addrs = { .n4 = KHS_MAX_ADDRS, .n6 = KHS_MAX_ADDRS };
        uint8_t *v4 = malloc(KHS_MAX_ADDRS * 4), *v6 = malloc(KHS_MAX_ADDRS * 16);
        struct finding_endpoint *news = calloc(2 * KHS_MAX_ADDRS, sizeof(*news));
        char(*names)[16] = calloc(KHS_MAX_ADDRS, sizeof(*names));
        struct endpoint_set table;

        for (uint32_t i = 0; i < KHS_MAX_ADDRS; i++) {
                snprintf(names[i], sizeof(names[i]), "web-%u", i);
                memcpy(v4 + i * 4, (uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 4);
                memcpy(v6 + i * 16, (uint8_t[16]){ 0xfd, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i }, 16);
                news[i].family = AF_INET;
                news[KHS_MAX_ADDRS + i].family = AF_INET6;
                news[i].host = news[KHS_MAX_ADDRS + i].host = names[i];
                memcpy(news[i].bytes, v4 + i * 4, 4);
                memcpy(news[KHS_MAX_ADDRS + i].bytes, v6 + i * 16, 16);
        }
        addrs.v4 = v4;
        addrs.v6 = v6;
        table = make(&addrs, NULL, NULL, news, 2 * KHS_MAX_ADDRS, NULL, 0);
        cr_assert_eq(table.n, 2 * KHS_MAX_ADDRS);
        cr_expect(table.complete);
        for (uint32_t i = 0; i < KHS_MAX_ADDRS; i++) {
                cr_assert_eq(table.endpoints[i].ordinal, (int32_t)i);
                cr_assert_eq(table.endpoints[KHS_MAX_ADDRS + i].ordinal, (int32_t)i);
        }
        endpoint_set_deinit(&table);
        free(v4);
        free(v6);
        free(news);
        free(names);
}
