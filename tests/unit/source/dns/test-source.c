/*
 * The dns source against a server that does what the test tells it to, on one event loop.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "source/dns/source.h"

#define SEC USEC_PER_SEC

enum mode { ANSWER, SILENT, SERVFAIL, NXDOMAIN, FOREIGN, TRUNCATED, LOWER_CASE, HANG_UP };

struct server {
        enum mode udp, tcp;
        int udp_fd, tcp_fd, peer_fd; /* one connection is enough: the source keeps one */
        uint16_t port;
        uint8_t last_byte; /* of the address that is answered */
        unsigned int n_udp, n_tcp, n_aaaa, n_probes;
        sd_event_source *udp_source, *tcp_source, *peer_source;
};

struct heard {
        struct finding result;
        uint8_t address[16];
        uint64_t usec;
};

static sd_event *event;
static struct source_dns *source;
static struct heard findings[256];
static size_t n_findings;

void log_message(int priority, const char *format, ...)
{
        va_list ap;

        (void)priority;
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
}

/* Answers in place. Returns the length of the answer, 0 for none. */
static size_t reply(struct server *server, enum mode mode, uint8_t *p)
{
        static const uint8_t soa[] = { 0, 0, 6, 0, 1, 0, 0, 0, 5, 0, 22 };
        size_t n = 12;
        uint8_t type;

        while (p[n])
                n += p[n] + 1U;
        type = p[n + 2];
        n += 5;
        server->n_aaaa += type == DNS_TYPE_AAAA;
        server->n_probes += type == DNS_TYPE_SOA;
        p[2] = mode == TRUNCATED ? 0x83 : 0x81;
        p[3] = mode == SERVFAIL ? 2 : mode == NXDOMAIN || mode == FOREIGN ? 3 : 0;
        memset(p + 6, 0, 6);
        if (mode == SILENT)
                return 0;
        if (mode == LOWER_CASE)
                for (size_t i = 12; i < n - 4; i++)
                        p[i] |= p[i] >= 'A' && p[i] <= 'Z' ? 0x20 : 0;
        if (mode == SERVFAIL || mode == FOREIGN || mode == TRUNCATED)
                return n;
        if (mode == NXDOMAIN || type != DNS_TYPE_A) {
                static const uint8_t owner[] = "\x07"
                                               "cluster\x05local";

                p[9] = 1;
                memcpy(p + n, owner, sizeof(owner));
                memcpy(p + n + sizeof(owner), soa + 1, sizeof(soa) - 1);
                n += sizeof(owner) + sizeof(soa) - 1;
                memset(p + n, 0, 22);
                p[n + 21] = 1;
                return n + 22;
        }
        p[7] = 1;
        memcpy(p + n, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x01\x00", 15);
        p[n + 15] = server->last_byte;
        return n + 16;
}

static int on_udp(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct server *server = userdata;
        struct sockaddr_storage from;
        socklen_t n_from = sizeof(from);
        uint8_t packet[2048];
        ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &n_from);
        size_t n_reply;

        (void)s;
        (void)revents;
        if (n < 12)
                return 0;
        server->n_udp++;
        n_reply = reply(server, server->udp, packet);
        if (n_reply > 0)
                (void)sendto(fd, packet, n_reply, 0, (struct sockaddr *)&from, n_from);
        return 0;
}

static void hang_up(struct server *server)
{
        if (server->peer_fd < 0)
                return;
        sd_event_source_set_enabled(server->peer_source, SD_EVENT_OFF);
        server->peer_source = sd_event_source_unref(server->peer_source);
        close(server->peer_fd);
        server->peer_fd = -1;
}

static int on_peer(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct server *server = userdata;
        uint8_t frame[2048];

        (void)s;
        (void)revents;
        /* Small frames on loopback: what was written at once is there. */
        if (recv(fd, frame, 2, 0) != 2 || recv(fd, frame + 2, frame[1], MSG_WAITALL) != frame[1] ||
            server->tcp == HANG_UP) {
                hang_up(server);
                return 0;
        }
        server->n_tcp++;
        size_t n = reply(server, server->tcp, frame + 2);

        frame[0] = (uint8_t)(n >> 8);
        frame[1] = (uint8_t)n;
        if (n > 0)
                (void)send(fd, frame, n + 2, MSG_NOSIGNAL);
        return 0;
}

static int on_tcp(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct server *server = userdata;

        (void)s;
        (void)revents;
        hang_up(server);
        server->peer_fd = accept(fd, NULL, NULL);
        return sd_event_add_io(event, &server->peer_source, server->peer_fd, EPOLLIN, on_peer, server);
}

static int open_socket(int type, uint16_t *port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(*port) };
        socklen_t n = sizeof(address);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &n) < 0) {
                close(fd);
                return -1;
        }
        *port = ntohs(address.sin_port);
        return fd;
}

static void server_listen_tcp(struct server *server)
{
        server->tcp_fd = open_socket(SOCK_STREAM, &server->port);
        cr_assert_geq(server->tcp_fd, 0);
        cr_assert_eq(listen(server->tcp_fd, 8), 0);
        cr_assert_geq(sd_event_add_io(event, &server->tcp_source, server->tcp_fd, EPOLLIN, on_tcp, server), 0);
}

static void server_listen_udp(struct server *server)
{
        server->udp_fd = open_socket(SOCK_DGRAM, &server->port);
        cr_assert_geq(server->udp_fd, 0);
        cr_assert_geq(sd_event_add_io(event, &server->udp_source, server->udp_fd, EPOLLIN, on_udp, server), 0);
}

static void server_close(struct server *server)
{
        hang_up(server);
        server->udp_source = sd_event_source_unref(server->udp_source);
        server->tcp_source = sd_event_source_unref(server->tcp_source);
        if (server->udp_fd >= 0)
                close(server->udp_fd);
        if (server->tcp_fd >= 0)
                close(server->tcp_fd);
        server->udp_fd = server->tcp_fd = -1;
}

/* Nobody listens yet. */
static struct server server_open(void)
{
        struct server server = { .udp_fd = -1, .tcp_fd = -1, .peer_fd = -1, .last_byte = 1 };

        /* A port that is free for both. */
        server.udp_fd = open_socket(SOCK_DGRAM, &server.port);
        cr_assert_geq(server.udp_fd, 0);
        close(server.udp_fd);
        server.udp_fd = -1;
        return server;
}

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
                addresses[i] = (struct address){ AF_INET, servers[i].port, { 127, 0, 0, 1 } };
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        cr_assert_eq(stats.lookups.n_answers, 5);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, tcp_refused_means_udp_without_a_failure)
{
        struct server server = server_open();

        server_listen_udp(&server);
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
        watch("user-svc.default", KHS_FAMILY_IPV4);
        run_until(2, 6 * SEC);
        n_tcp = server.n_tcp;
        cr_assert_eq(n_tcp, 2);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_UDP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_UDP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
        watch("a.default", KHS_FAMILY_ANY);
        (void)run_until_kind(FINDING_FAILURE, 10 * SEC);
        n = server.n_tcp + server.n_udp;
        run_until(1000, 4 * SEC + SEC / 2);
        n = server.n_tcp + server.n_udp - n;
        cr_assert(n >= 3 && n <= 5, "%u probes", n);
        cr_assert_geq(server.n_probes, n - 1);
        unwatch_all();
        server_close(&server);
}

Test(source_dns, servfail_backs_off_for_that_name_only)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        server.tcp = SERVFAIL;
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(servers, 3, CONFIG_TRANSPORT_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(4, 2 * SEC);
        cr_assert_eq(n_findings, 4);
        for (size_t i = 0; i < 4; i++)
                cr_assert_eq(findings[i].result.kind, FINDING_ANSWER);
        cr_assert_eq(servers[1].n_tcp, 1, "asked once, then known");
        unwatch_all();
        for (size_t i = 0; i < 3; i++)
                server_close(&servers[i]);
}

Test(source_dns, foreign_negative_alone_is_a_failure)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        server.tcp = FOREIGN;
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&old, 1, CONFIG_TRANSPORT_TCP);
        watch("a.default", KHS_FAMILY_IPV4);
        run_until(1, SEC / 4);
        cr_assert_eq(old.n_tcp, 1);
        start = usec_now();
        test_start(&new, 1, CONFIG_TRANSPORT_TCP);
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
                test_start(&server, 1, CONFIG_TRANSPORT_TCP);
                watch("a.default", KHS_FAMILY_ANY);
                watch("b.default", KHS_FAMILY_ANY);
                n_findings = 0;
                run_until(1, SEC / 4);
                unwatch_all();
                n_findings = 0;
                run_until(1, SEC / 4);
                cr_assert_eq(n_findings, 0, "mode %zu", i);
                source_dns_get_stats(source, &stats);
                cr_assert_eq(stats.n_watches + stats.n_flying + stats.n_waiting, 0);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
        both[0] = (struct source_service){ .key = "a.default", .refresh_min_usec = SEC, .refresh_max_usec = SEC };
        both[1] = long_service;
        cr_expect_eq(source_start(source_dns_source(source), &reports, &set), -ENAMETOOLONG);
        source_dns_get_stats(source, &stats);
        cr_expect_eq(stats.n_watches, 1);
        server_close(&server);
}

Test(source_dns, family_follows_an_update)
{
        struct server server = server_open();

        server_listen_tcp(&server);
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_TCP);
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
        test_start(&server, 1, CONFIG_TRANSPORT_UDP);
        for (int i = 0; i < 1000; i++) {
                char key[32];

                snprintf(key, sizeof(key), "svc-%03d.default", i);
                follow(key, KHS_FAMILY_IPV4, SEC / 20, SEC / 5);
        }
        update();
        for (uint64_t end = usec_now() + 3 * SEC; server.n_udp < 1000 && usec_now() < end;)
                sd_event_run(event, 1000);
        source_dns_get_stats(source, &stats);
        n = stats.lookups.n_queries;
        cr_assert_geq(n, 1000);
        run_until(10000, 2 * SEC);
        source_dns_get_stats(source, &stats);
        n = stats.lookups.n_queries - n;
        cr_assert(n >= 300 && n <= 470, "%lu in two seconds at 200 a second", (unsigned long)n);
        unwatch_all();
        server_close(&server);
}
