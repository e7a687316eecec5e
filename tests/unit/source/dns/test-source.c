/*
 * The dns source against a server that does what the test tells it to, on one event loop.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "dns-server-fixture.h"
#include "source/dns/source.h"

#define SEC USEC_PER_SEC

struct heard {
        struct finding result;
        uint8_t address[16];
        uint64_t usec;
};

static struct source_dns *source;
static struct heard findings[256];
static size_t n_findings;

static void setup(void)
{
        cr_assert_geq(sd_event_new(&event), 0);
}

static void teardown(void)
{
        source_free(source_dns_source(source));
        source = NULL;
        event = sd_event_unref(event);
}

static void test_start(const struct server *servers, size_t n_servers, uint8_t transport)
{
        struct address addresses[4];
        struct source_dns_options options = {
                .cluster_domain = "cluster.local",
                .servers = addresses,
                .n_servers = n_servers,
                .transport = transport,
                .query_rate = 200,
        };

        for (size_t i = 0; i < n_servers; i++)
                addresses[i] = server_address(&servers[i]);
        if (source)
                cr_assert_eq(source_dns_reconfigure(source, &options), 0);
        else
                cr_assert_eq(source_dns_new(&source, event, &options), 0);
}

static void on_report(void *userdata, const char *key, const struct finding *result)
{
        struct heard *finding = &findings[n_findings];

        (void)userdata;
        (void)key;
        if (n_findings == sizeof(findings) / sizeof(findings[0]))
                return;
        n_findings++;
        finding->result = *result;
        finding->usec = usec_now();
        if (result->n_addrs > 0)
                memcpy(finding->address, result->addrs, result->family == AF_INET ? 4 : 16);
}

/* What the source follows, sorted by key. */
static struct source_service services[1000];
static char keys[1000][32];
static size_t n_services;

static void update(void)
{
        const struct source_set set = { .services = services, .n_services = n_services };
        const struct source_reports reports = { .report = on_report };

        cr_assert_eq(source_start(source_dns_source(source), &reports, &set), 0);
}

/* One more service, whose key comes behind those that are there; or another word for the last one. */
static void follow(const char *key, uint8_t family, uint64_t min_usec, uint64_t max_usec)
{
        if (n_services == 0 || strcmp(keys[n_services - 1], key) != 0)
                snprintf(keys[n_services++], sizeof(keys[0]), "%s", key);
        services[n_services - 1] = (struct source_service){
                .key = keys[n_services - 1],
                .family = family,
                .refresh_min_usec = min_usec,
                .refresh_max_usec = max_usec,
        };
}

static void watch(const char *key, uint8_t family)
{
        follow(key, family, SEC / 20, SEC / 5);
        update();
}

static void unwatch_all(void)
{
        n_services = 0;
        update();
}

static void run_until(size_t n, uint64_t usec)
{
        uint64_t end = usec_now() + usec;

        while (n_findings < n && usec_now() < end)
                cr_assert_geq(sd_event_run(event, 10000), 0);
}

/* Runs until the last finding is of @kind, at most @usec. */
static struct heard *run_until_kind(enum finding_kind kind, uint64_t usec)
{
        uint64_t end = usec_now() + usec;

        n_findings = 0;
        while (usec_now() < end) {
                cr_assert_geq(sd_event_run(event, 10000), 0);
                if (n_findings > 0 && findings[n_findings - 1].result.kind == kind)
                        return &findings[n_findings - 1];
        }
        cr_assert_fail("no finding of kind %d", (int)kind);
        return NULL;
}

TestSuite(source_dns, .init = setup, .fini = teardown, .timeout = 30);

Test(source_dns, answers_come_by_tcp_at_the_ttl)
{
        struct server server = server_open();
        struct source_dns_stats stats;

        server_listen_udp(&server);
        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(5, 2 * SEC);
        cr_assert_eq(n_findings, 5);
        cr_assert_eq(server.n_udp + server.n_aaaa, 0);
        for (size_t i = 0; i < 5; i++) {
                cr_assert_eq(findings[i].result.kind, FINDING_ANSWER);
                cr_assert_eq(findings[i].result.source, KHS_SOURCE_DNS);
                cr_assert_eq(findings[i].result.ttl_s, 1);
                cr_assert_arr_eq(findings[i].address, "\x0a\x01\x00\x01", 4);
                if (i > 0) {
                        cr_assert_geq(findings[i].usec - findings[i - 1].usec, SEC / 5 * 75 / 100);
                        cr_assert_leq(findings[i].usec - findings[i - 1].usec, SEC / 5 + SEC / 10);
                }
        }
        source_dns_get_stats(source, &stats);
        cr_assert_eq(stats.n_servers_up, 1);
        cr_assert_eq(stats.tasks.n_answers, 5);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, tcp_refused_means_udp_without_a_failure)
{
        struct server server = server_open();

        server_listen_udp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(3, 2 * SEC);
        cr_assert_eq(n_findings, 3);
        for (size_t i = 0; i < 3; i++)
                cr_assert_eq(findings[i].result.kind, FINDING_ANSWER);
        cr_assert_eq(server.n_udp, 3);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, silent_tcp_is_given_up_after_two)
{
        struct server server = server_open();
        unsigned int n_tcp;

        server_listen_udp(&server);
        server_listen_tcp(&server);
        server.tcp = SILENT;
        test_start(&server, 1, DNS_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(2, 6 * SEC);
        n_tcp = server.n_tcp;
        cr_assert(n_tcp == 1 || n_tcp == 2, "%u: the probe may be one of the two", n_tcp);
        run_until(6, 2 * SEC);
        cr_assert_eq(n_findings, 6);
        for (size_t i = 0; i < 6; i++)
                cr_assert_eq(findings[i].result.kind, FINDING_ANSWER);
        cr_assert_eq(server.n_tcp, n_tcp);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, closed_connection_is_opened_again_in_silence)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        for (size_t i = 1; i < 5; i++) {
                run_until(i, SEC);
                cr_assert_eq(findings[i - 1].result.kind, FINDING_ANSWER);
                hang_up(&server);
        }
        unwatch_all();
        server_close(&server);
}

Test(source_dns, truncated_is_asked_by_tcp_and_never_published)
{
        struct server server = server_open();

        server_listen_udp(&server);
        server_listen_tcp(&server);
        server.udp = TRUNCATED;
        test_start(&server, 1, DNS_UDP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(1, SEC);
        cr_assert_eq(findings[0].result.kind, FINDING_ANSWER);
        cr_assert_eq(server.n_udp, 1);
        cr_assert_eq(server.n_tcp, 1);
        server_close(&server);
        server_listen_udp(&server);
        cr_assert_eq(run_until_kind(FINDING_FAILURE, 3 * SEC)->result.reason, KHS_REASON_TRUNCATED);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, case_that_was_not_kept_is_no_answer)
{
        struct server server = server_open();

        server_listen_udp(&server);
        server.udp = LOWER_CASE;
        test_start(&server, 1, DNS_UDP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(1, SEC);
        cr_assert_eq(findings[0].result.kind, FINDING_FAILURE);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_MALFORMED);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, negatives_are_two_seconds_apart)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        server.tcp = NXDOMAIN;
        test_start(&server, 1, DNS_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(4, 6 * SEC);
        cr_assert_eq(n_findings, 4);
        for (size_t i = 0; i < 4; i++)
                cr_assert_eq(findings[i].result.reason, KHS_REASON_NXDOMAIN);
        cr_assert_geq(findings[1].usec - findings[0].usec, 2 * SEC);
        cr_assert_geq(findings[2].usec - findings[1].usec, 2 * SEC);
        cr_assert_leq(findings[3].usec - findings[2].usec, SEC);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, outage_is_reported_once_probed_and_recovered)
{
        struct server server = server_open();
        struct source_dns_stats stats;
        uint64_t back;

        server_listen_udp(&server);
        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        watch("b.default", KHS_FAMILY_IPV4);
        run_until(4, SEC);
        server_close(&server);

        n_findings = 0;
        run_until(100, 3 * SEC);
        cr_assert_eq(n_findings, 2, "%zu findings", n_findings);
        cr_assert_eq(findings[0].result.kind, FINDING_FAILURE);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_REFUSED);
        source_dns_get_stats(source, &stats);
        cr_assert_eq(stats.n_servers_up, 0);
        cr_assert_eq(stats.n_waiting, 2);

        back = usec_now();
        server.n_probes = 0;
        server_listen_udp(&server);
        server_listen_tcp(&server);
        n_findings = 0;
        run_until(2, 5 * SEC);
        cr_assert_leq(usec_now() - back, 22 * SEC / 10);
        cr_assert_eq(findings[1].result.kind, FINDING_ANSWER);
        cr_assert_eq(server.n_probes, 1);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, probes_are_one_a_second)
{
        struct server server = server_open();
        unsigned int n;

        server_listen_udp(&server);
        server_listen_tcp(&server);
        server.tcp = server.udp = SILENT;
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_ANY);
        (void)run_until_kind(FINDING_FAILURE, 10 * SEC);
        n = server.n_probes;
        run_until(1000, 4 * SEC + SEC / 2);
        n = server.n_probes - n;
        cr_assert(n >= 3 && n <= 5, "%u probes", n);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, servfail_backs_off_for_that_name_only)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        server.tcp = SERVFAIL;
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(3, 5 * SEC);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_SERVFAIL);
        cr_assert_geq(findings[1].usec - findings[0].usec, 9 * SEC / 10);
        cr_assert_geq(findings[2].usec - findings[1].usec, 18 * SEC / 10);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, dead_and_foreign_servers_are_passed_over)
{
        struct server servers[3] = { server_open(), server_open(), server_open() };

        for (size_t i = 1; i < 3; i++)
                server_listen_tcp(&servers[i]);
        servers[1].tcp = FOREIGN;
        test_start(servers, 3, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(4, 2 * SEC);
        cr_assert_eq(n_findings, 4);
        for (size_t i = 0; i < 4; i++)
                cr_assert_eq(findings[i].result.kind, FINDING_ANSWER);
        cr_assert_leq(servers[1].n_tcp, 1, "another one has shown the SOA");
        cr_assert_eq(servers[1].n_probes, 1);
        unwatch_all();
        for (size_t i = 0; i < 3; i++)
                server_close(&servers[i]);
}

Test(source_dns, foreign_negative_alone_is_a_failure)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        server.tcp = FOREIGN;
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(1, SEC);
        cr_assert_eq(findings[0].result.kind, FINDING_FAILURE);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_FOREIGN);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, new_servers_take_over_what_is_in_flight)
{
        struct server old = server_open(), new = server_open();
        uint64_t start;

        server_listen_tcp(&old);
        server_listen_tcp(&new);
        old.tcp = SILENT;
        new.last_byte = 7;
        test_start(&old, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(1, SEC / 4);
        cr_assert_eq(old.n_tcp, 1);
        start = usec_now();
        test_start(&new, 1, DNS_TCP);
        run_until(1, SEC);
        cr_assert_eq(findings[0].address[3], 7);
        cr_assert_leq(usec_now() - start, SEC / 2);
        unwatch_all();
        server_close(&old);
        server_close(&new);
}

/* One that goes is not heard again, whatever was in flight for it; the others are not disturbed. */
Test(source_dns, service_that_goes_leaves_nothing_behind)
{
        static const enum mode modes[] = { ANSWER, NXDOMAIN, SERVFAIL, HANG_UP };

        for (size_t i = 0; i < 4; i++) {
                struct server server = server_open();
                struct source_dns_stats stats;

                server_listen_tcp(&server);
                server.tcp = modes[i];
                test_start(&server, 1, DNS_TCP);
                watch("a.default", KHS_FAMILY_ANY);
                watch("b.default", KHS_FAMILY_ANY);
                n_findings = 0;
                run_until(1, SEC / 4);
                unwatch_all();
                n_findings = 0;
                run_until(1, SEC / 4);
                cr_assert_eq(n_findings, 0, "mode %zu", i);
                source_dns_get_stats(source, &stats);
                cr_assert_eq(stats.n_followed + stats.n_flying + stats.n_waiting, 0);
                server_close(&server);
        }
}

Test(source_dns, name_that_is_too_long_costs_only_itself)
{
        struct server server = server_open();
        char name[KHS_KEY_MAX + 1];
        const struct source_service long_service = { .key = name, .refresh_min_usec = SEC, .refresh_max_usec = SEC };
        struct source_service both[2];
        const struct source_set set = { .services = both, .n_services = 2 };
        const struct source_reports reports = { .report = on_report };
        struct source_dns_stats stats;

        memset(name, 'b', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        test_start(&server, 1, DNS_TCP);
        both[0] = (struct source_service){ .key = "a.default", .refresh_min_usec = SEC, .refresh_max_usec = SEC };
        both[1] = long_service;
        cr_expect_eq(source_start(source_dns_source(source), &reports, &set), -ENAMETOOLONG);
        source_dns_get_stats(source, &stats);
        cr_expect_eq(stats.n_followed, 1);
        server_close(&server);
}

Test(source_dns, family_follows_an_update)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(2, SEC);
        cr_assert_eq(server.n_aaaa, 0);
        watch("a.default", KHS_FAMILY_IPV6);
        n_findings = 0;
        run_until(1, SEC);
        cr_assert_eq(findings[0].result.family, AF_INET6);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_NODATA);
        unwatch_all();
        server_close(&server);
}

/* A reload that changes nothing for a name asks nothing; one that changes its limits asks at once. */
Test(source_dns, update_without_a_change_asks_nothing)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        follow("a.default", KHS_FAMILY_IPV4, 60 * SEC, 60 * SEC);
        update();
        run_until(1, SEC);
        cr_assert_eq(server.n_tcp, 1);
        update();
        run_until(1000, 6 * SEC);
        cr_assert_eq(server.n_tcp, 1);
        follow("a.default", KHS_FAMILY_IPV4, 50 * SEC, 60 * SEC);
        update();
        n_findings = 0;
        run_until(1, 10 * SEC);
        cr_assert_eq(server.n_tcp, 2);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, unused_family_rests_until_the_other_one_empties)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        test_start(&server, 1, DNS_TCP);
        watch("a.default", KHS_FAMILY_ANY);
        run_until(1000, 6 * SEC);
        cr_assert_eq(server.n_aaaa, 3, "%u", server.n_aaaa);
        cr_assert_geq(server.n_tcp, 25);
        server.tcp = NXDOMAIN;
        run_until(1000, 5 * SEC);
        cr_assert_geq(server.n_aaaa, 4, "%u", server.n_aaaa);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, without_a_server_names_fail_once)
{
        struct source_dns_options options = { .cluster_domain = "cluster.local",
                                              .resolv_conf = "/nonexistent",
                                              .query_rate = 200 };

        cr_assert_eq(source_dns_new(&source, event, &options), 0);
        cr_assert_eq(source_dns_n_servers(source), 0);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(2, SEC / 2);
        cr_assert_eq(n_findings, 1);
        cr_assert_eq(findings[0].result.reason, KHS_REASON_NO_SERVER);
        unwatch_all();
}

Test(source_dns, a_thousand_names_are_asked_at_once_then_at_the_rate)
{
        struct server server = server_open();
        struct source_dns_stats stats;
        uint64_t n;

        server_listen_udp(&server);
        test_start(&server, 1, DNS_UDP);
        for (int i = 0; i < 1000; i++) {
                char key[32];

                snprintf(key, sizeof(key), "svc-%03d.default", i);
                follow(key, KHS_FAMILY_IPV4, SEC / 20, SEC / 5);
        }
        update();
        for (uint64_t end = usec_now() + 3 * SEC; server.n_udp < 1000 && usec_now() < end;)
                sd_event_run(event, 1000);
        source_dns_get_stats(source, &stats);
        n = stats.tasks.n_queries;
        cr_assert_geq(n, 1000);
        run_until(10000, 2 * SEC);
        source_dns_get_stats(source, &stats);
        n = stats.tasks.n_queries - n;
        cr_assert(n >= 300 && n <= 470, "%lu in two seconds at 200 a second", (unsigned long)n);
        unwatch_all();
        server_close(&server);
}
