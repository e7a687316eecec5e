/* What a round of questions puts together out of its answers. */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/dns/hosts/host-map.h"

static struct dns_srv srv;
static const struct khs_port ports[] = { { .kind = KHS_PORT_NAME, .name = "grpc" },
                                         { .kind = KHS_PORT_NAME, .udp = true, .name = "dns" } };

/* Addresses 10.0.0.N and fd00::N by their last bytes. */
static struct dns_host_map *map_of(const char *last4, const char *last6, uint32_t n_ports)
{
        static uint8_t v4[16][4], v6[16][16];
        struct dns_host_addrs addrs[2] = { { 0, v4[0] }, { 0, v6[0] } };
        struct dns_host_map *map;

        for (; *last4; last4++)
                memcpy(v4[addrs[0].n++], (uint8_t[]){ 10, 0, 0, (uint8_t)(*last4 - '0') }, 4);
        for (; *last6; last6++)
                memcpy(v6[addrs[1].n++], (uint8_t[16]){ 0xfd, [15] = (uint8_t)(*last6 - '0') }, 16);
        cr_assert_eq(dns_host_map_new(&map, addrs, n_ports), 0);
        return map;
}

/* "web-0:9000=1,6 web-1": hosts in their order, with a port and the last bytes of addresses; 6 and up are IPv6. */
static const struct dns_srv *answer(const char *text)
{
        char copy[512], *save = NULL;

        srv.n_targets = srv.n_addrs = 0;
        snprintf(copy, sizeof(copy), "%s", text);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                struct dns_srv_target *target = &srv.targets[srv.n_targets];
                char *addrs = strchr(word, '='), *port;

                if (addrs)
                        *addrs++ = '\0';
                port = strchr(word, ':');
                if (port)
                        *port++ = '\0';
                snprintf(target->host, sizeof(target->host), "%s", word);
                target->port = port ? (uint16_t)atoi(port) : 0;
                for (; addrs && *addrs; addrs++) {
                        struct dns_srv_addr *addr = &srv.addrs[srv.n_addrs];
                        uint8_t last = (uint8_t)(*addrs - '0');

                        if (*addrs == ',')
                                continue;
                        *addr = (struct dns_srv_addr){ .target = (uint16_t)srv.n_targets,
                                                       .family = last < 6 ? AF_INET : AF_INET6 };
                        memcpy(addr->bytes,
                               last < 6 ? (uint8_t[16]){ 10, 0, 0, last } : (uint8_t[16]){ 0xfd, [15] = last }, 16);
                        srv.n_addrs++;
                }
                srv.n_targets++;
        }
        return &srv;
}

/* "1=web-0:9000/53 2=web-1! 2=web-2!": what is told, ! where others are unknown, ? for unknown ports. */
static const char *told_of(struct dns_host_map *map, bool hosts_complete, bool ports_complete)
{
        struct dns_host_findings findings;
        static char text[1024];
        size_t n = 0;

        text[0] = '\0';
        cr_assert_eq(dns_host_map_report(map, ports, hosts_complete, ports_complete, &findings), 0);
        for (uint32_t i = 0; i < findings.n_endpoints; i++) {
                const struct finding_endpoint *e = &findings.endpoints[i];

                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u=%s", i ? " " : "",
                                      e->bytes[e->family == AF_INET ? 3 : 15], e->host ? e->host : "-");
                for (uint32_t p = 0; p < e->n_ports; p++)
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%s:%u", p ? '/' : ':', e->ports[p].name,
                                              e->ports[p].number);
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", e->others_unknown ? "!" : "",
                                      e->ports_unknown ? "?" : "");
        }
        dns_host_findings_deinit(&findings);
        return text;
}

static const char *told(struct dns_host_map *map, bool ports_complete)
{
        return told_of(map, true, ports_complete);
}

Test(dns_host_map, addresses_find_their_hosts)
{
        struct dns_host_map *map = map_of("123", "68", 0);

        cr_expect_eq(dns_host_map_n_open(map, 0), 5);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:80=1,6,9 web-1:80=2 web-2:80=4,7"), 0), 0);
        cr_expect_str_eq(told(map, true), "1=web-0 2=web-1 6=web-0");
        cr_expect_eq(dns_host_map_n_open(map, AF_INET), 1);
        cr_expect_eq(dns_host_map_n_open(map, AF_INET6), 1);
        cr_expect_eq(dns_host_map_n_open(map, 0), 2);
        dns_host_map_free(map);
}

Test(dns_host_map, ports_of_several_answers_come_together)
{
        struct dns_host_map *map = map_of("12345", "", 2);

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:9000=1 web-1:9001=2 web-3:9000=4"), 0), 0);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:53=1 web-2:53=3 web-3:53=4"), 1), 0);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-4:1=5 web-0:2=1"), 2), 0);
        cr_expect_str_eq(told(map, true),
                         "1=web-0:grpc:9000/dns:53 2=web-1:grpc:9001 3=web-2:dns:53 4=web-3:grpc:9000/dns:53 5=web-4");
        cr_expect_str_eq(
                told(map, false),
                "1=web-0:grpc:9000/dns:53 2=web-1:grpc:9001? 3=web-2:dns:53? 4=web-3:grpc:9000/dns:53 5=web-4?");
        dns_host_map_free(map);
}

Test(dns_host_map, first_number_of_a_host_counts)
{
        struct dns_host_map *map = map_of("1", "", 1);

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:9000=1 web-0:9001"), 0), 0);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:9002"), 0), 0);
        cr_expect_str_eq(told(map, true), "1=web-0:grpc:9000");
        dns_host_map_free(map);
}

Test(dns_host_map, equal_ports_are_shared)
{
        struct dns_host_map *map = map_of("123", "", 1);
        struct dns_host_findings findings;

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0:9000=1 web-1:9000=2 web-2:9001=3"), 0), 0);
        cr_assert_eq(dns_host_map_report(map, ports, true, true, &findings), 0);
        cr_expect_eq(findings.endpoints[0].ports, findings.endpoints[1].ports);
        cr_expect_neq(findings.endpoints[0].ports, findings.endpoints[2].ports);
        dns_host_findings_deinit(&findings);
        dns_host_map_free(map);
}

Test(dns_host_map, all_hosts_of_one_address_are_told_by_name)
{
        for (int order = 0; order < 2; order++) {
                struct dns_host_map *map = map_of("12", "", 0);

                cr_assert_eq(dns_host_map_take_srv(map, answer(order ? "web-1=1,2 web-0=1" : "web-0=1 web-1=1,2"), 0),
                             0);
                cr_assert_eq(dns_host_map_take_srv(map, answer("web-10=1"), 0), 0);
                cr_expect_str_eq(told(map, true), "1=web-0 1=web-1 1=web-10 2=web-1");
                cr_expect_str_eq(told_of(map, false, true), "1=web-0! 1=web-1! 1=web-10! 2=web-1!");
                cr_expect_eq(dns_host_map_n_open(map, 0), 0);
                dns_host_map_free(map);
        }
}

Test(dns_host_map, hosts_without_addresses_are_asked_for)
{
        struct dns_host_map *map = map_of("12", "6", 0);
        uint32_t cursor = 0, host;
        uint8_t family;

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0=1 web-1 web-2=6"), 0), 0);
        cr_assert(dns_host_map_next_host(map, &cursor, &host, &family));
        cr_expect_str_eq(dns_host_map_name(map, host), "web-1");
        cr_expect_eq(family, AF_INET);
        cr_expect_str_eq(told(map, true), "1=web-0! 6=web-2!", "it may share any address");
        cr_assert_eq(dns_host_map_take_addr(map, host, AF_INET, (uint8_t[]){ 10, 0, 0, 9 }), 0);
        cr_assert(dns_host_map_next_host(map, &cursor, &host, &family));
        cr_expect_str_eq(dns_host_map_name(map, host), "web-1");
        cr_expect_eq(family, AF_INET6, "which has its host already, but this is another one");
        cr_assert(dns_host_map_next_host(map, &cursor, &host, &family));
        cr_expect_str_eq(dns_host_map_name(map, host), "web-2");
        cr_assert_eq(dns_host_map_take_addr(map, host, AF_INET, (uint8_t[]){ 10, 0, 0, 2 }), 0);
        cr_expect_not(dns_host_map_next_host(map, &cursor, &host, &family));
        cr_expect_eq(dns_host_map_n_open(map, 0), 0);
        cr_expect_str_eq(told(map, true), "1=web-0 2=web-2 6=web-2");
        dns_host_map_free(map);
}

Test(dns_host_map, ptr_settles_rows)
{
        struct dns_host_map *map = map_of("123", "6", 0);
        uint32_t cursor = 0, row;
        const uint8_t *bytes;
        uint8_t family;

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0=1"), 0), 0);
        cr_assert(dns_host_map_next_row(map, &cursor, &row));
        dns_host_map_row(map, row, &family, &bytes);
        cr_expect_eq(family, AF_INET);
        cr_expect_eq(bytes[3], 2);
        cr_assert_eq(dns_host_map_take_ptr(map, row, answer("web-5 web-1"), true), 0);
        cr_assert(dns_host_map_next_row(map, &cursor, &row));
        cr_assert_eq(dns_host_map_take_ptr(map, row, answer(""), true), 0);
        cr_expect_eq(dns_host_map_n_open(map, 0), 1);
        cr_assert(dns_host_map_next_row(map, &cursor, &row));
        dns_host_map_row(map, row, &family, &bytes);
        cr_expect_eq(family, AF_INET6);
        cr_expect_not(dns_host_map_next_row(map, &cursor, &row));
        cr_expect_str_eq(told_of(map, false, true), "1=web-0! 2=web-1 2=web-5", "PTR names all of one address");
        dns_host_map_free(map);
}

Test(dns_host_map, earlier_findings_fill_what_is_open)
{
        struct dns_host_map *old = map_of("1234", "", 0), *map = map_of("12345", "", 0), *none = map_of("12345", "", 0);

        cr_assert_eq(dns_host_map_take_srv(old, answer("web-1=1 web-2=2 web-0=2 web-3=3"), 0), 0);
        cr_assert_eq(dns_host_map_take_ptr(old, 3, answer(""), true), 0);
        cr_assert_eq(dns_host_map_take_ptr(old, 2, answer("web-3 web-4"), true), 0);

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-9=1 web-0"), 0), 0);
        cr_assert_eq(dns_host_map_take_map(map, old, false), 0);
        cr_expect_str_eq(told(map, true), "1=web-9 2=web-0", "only hosts that there are now");
        cr_expect_eq(dns_host_map_n_open(map, 0), 3);
        cr_assert_eq(dns_host_map_take_map(none, old, true), 0);
        cr_expect_str_eq(told_of(none, false, true), "1=web-1! 2=web-0! 2=web-2! 3=web-3 3=web-4");
        cr_expect_eq(dns_host_map_n_open(none, 0), 1);
        dns_host_map_free(old);
        dns_host_map_free(map);
        dns_host_map_free(none);
}

/* Those that share an address come out of an earlier round as the others do, whoever was heard of first. */
Test(dns_host_map, earlier_findings_fill_hosts_without_an_address)
{
        struct dns_host_map *old = map_of("12", "6", 0), *map = map_of("12", "6", 0);
        uint32_t cursor = 0, host;
        uint8_t family;

        cr_assert_eq(dns_host_map_take_srv(old, answer("web-0=1,6 web-1=1,6 web-2=2"), 0), 0);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0=2 web-1 web-2=2,6"), 0), 0);
        cr_assert_eq(dns_host_map_take_map(map, old, false), 0);
        cr_expect_str_eq(told(map, true), "1=web-1 2=web-0 2=web-2 6=web-1 6=web-2", "web-0 was told of one elsewhere");
        cr_expect_not(dns_host_map_next_host(map, &cursor, &host, &family));
        dns_host_map_free(old);
        dns_host_map_free(map);
}

/* What several answers say again and again needs no room; what is too much is not taken. */
Test(dns_host_map, many_hosts_of_one_address)
{
        struct dns_host_map *map = map_of("12", "", 0);
        struct dns_host_findings findings;
        uint32_t n_taken = 0;

        for (uint32_t i = 0; i < DNS_HOST_MAP_MAX; i += 1000) {
                srv.n_targets = srv.n_addrs = 2000;
                for (uint32_t j = 0; j < 1000; j++) {
                        snprintf(srv.targets[j].host, sizeof(srv.targets[j].host), "web-%05u", i + j);
                        snprintf(srv.targets[1000 + j].host, sizeof(srv.targets[j].host), "web-%05u", i + j);
                        srv.addrs[j] = (struct dns_srv_addr){ .target = (uint16_t)j,
                                                              .family = AF_INET,
                                                              .bytes = { 10, 0, 0, 1 } };
                        srv.addrs[1000 + j] = (struct dns_srv_addr){ .target = (uint16_t)j,
                                                                     .family = AF_INET,
                                                                     .bytes = { 10, 0, 0, 2 } };
                }
                for (int again = 0; again < 5; again++)
                        cr_assert_eq(dns_host_map_take_srv(map, &srv, 0), 0);
        }
        cr_assert_eq(dns_host_map_report(map, ports, true, true, &findings), 0);
        cr_assert_eq(findings.n_endpoints, 2 * DNS_HOST_MAP_MAX);
        for (uint32_t i = 0; i < findings.n_endpoints; i += 333) {
                char name[16];

                snprintf(name, sizeof(name), "web-%05u", i % DNS_HOST_MAP_MAX);
                cr_expect_str_eq(findings.endpoints[i].host, name);
                cr_expect_eq(findings.endpoints[i].bytes[3], 1 + i / DNS_HOST_MAP_MAX);
        }
        dns_host_findings_deinit(&findings);
        dns_host_map_free(map);

        /* Eight addresses for each of so many hosts. */
        map = map_of("12345", "678", 0);
        for (uint32_t i = 0; i < 8 * DNS_HOST_MAP_MAX && n_taken == i; i++) {
                char text[64];

                snprintf(text, sizeof(text), "web-%u=%u", i % (DNS_HOST_MAP_MAX), 1 + i / DNS_HOST_MAP_MAX);
                n_taken += dns_host_map_take_srv(map, answer(text), 0) == 0;
        }
        cr_expect_geq(n_taken, 3 * DNS_HOST_MAP_MAX);
        cr_expect_lt(n_taken, 8 * DNS_HOST_MAP_MAX);
        cr_expect_eq(dns_host_map_take_srv(map, answer("web-0=1"), 0), -E2BIG, "without looking at all of them again");
        cr_expect_eq(dns_host_map_take_srv(map, answer("web-0=9"), 0), 0, "not one of the addresses");
        dns_host_map_free(map);
}

Test(dns_host_map, many_hosts_up_to_the_limit)
{
        struct dns_host_map *map = map_of("1", "", 2);

        for (uint32_t i = 0; i < DNS_HOST_MAP_MAX; i += 1000) {
                srv.n_addrs = 0;
                for (srv.n_targets = 0; srv.n_targets < 1000; srv.n_targets++) {
                        struct dns_srv_target *target = &srv.targets[srv.n_targets];

                        snprintf(target->host, sizeof(target->host), "web-%u", i + srv.n_targets);
                        target->port = (uint16_t)(1 + i + srv.n_targets);
                }
                cr_assert_eq(dns_host_map_take_srv(map, &srv, 1), 0);
        }
        cr_expect_str_eq(dns_host_map_name(map, 7777), "web-7777");
        cr_expect_eq(dns_host_map_take_srv(map, answer("web-0 web-9999 one-more=1"), 0), -E2BIG);
        cr_assert_eq(dns_host_map_take_srv(map, answer("web-7777:5=1"), 0), 0);
        cr_expect_str_eq(told(map, true), "1=web-7777:grpc:5/dns:7778!");
        dns_host_map_free(map);
}

Test(dns_host_map, without_addresses)
{
        struct dns_host_map *map = map_of("", "", 1);
        uint32_t cursor = 0, host;
        uint8_t family;

        cr_assert_eq(dns_host_map_take_srv(map, answer("web-0=1"), 0), 0);
        cr_expect_eq(dns_host_map_n_open(map, 0), 0);
        cr_expect_not(dns_host_map_next_host(map, &cursor, &host, &family));
        cr_expect_str_eq(told(map, true), "");
        dns_host_map_free(map);
}
