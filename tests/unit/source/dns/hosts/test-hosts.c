/*
 * Rounds of questions for host names, against a server that is a table in this file: dns_server_ask()
 * is replaced, all that decides what is asked, and when, is the product's.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dns-fixture.h"
#include "source/dns/addresses.h"
#include "source/dns/hosts/hosts.h"

#define SERVICE "web.default.svc.cluster.local"
#define SEC     USEC_PER_SEC

enum mode { ANSWER, SERVFAIL, CUT, LOST };

/* One record of the zone; what has none is a negative. */
struct zone_record {
        char owner[96];
        uint16_t type;
        char target[96]; /* of SRV and PTR */
        uint16_t port;
        uint8_t bytes[16];
};

struct ask {
        struct dns_query *query;
        struct dns_name name;
        uint16_t type;
};

static struct zone_record zone[2048];
static size_t n_zone;
static bool without_additional; /* as resolvers with minimal responses */
static enum mode mode_of_srv, mode_of_single;
static char failing_name[96]; /* SERVFAIL for this one alone */
static char cut_name[96];     /* only this SRV is answered as mode_of_srv says */

static struct dns_path no_path; /* that of all which flies */
static struct ask flying[DNS_FLIGHT_MAX];
static size_t n_flying, n_flying_max;
static char asked[8192]; /* "SRV web... A web-0.web..." */
static size_t n_asked;

static sd_event *event;
static struct dns_server_context context;
static struct dns_pool pool;
static struct dns_tasks *tasks;
static struct dns_srv srv;
static struct dns_hosts *hosts;
static struct khs_port grpc = { .kind = KHS_PORT_NAME, .name = "grpc" },
                       http = { .kind = KHS_PORT_NAME, .name = "http" };

static char told[8192]; /* the last report */
static size_t n_told;

int __wrap_dns_server_ask(struct dns_server *server, struct dns_query *query, const struct dns_name *name,
                          uint16_t type, enum dns_transport transport);
void __wrap_dns_query_cancel(struct dns_query *query);
void __wrap_dns_pool_introduce(struct dns_pool *pool);

/* Nobody is there who could be asked for the SOA. */
void __wrap_dns_pool_introduce(struct dns_pool *introduced)
{
        (void)introduced;
}

static void name_text(const struct dns_name *name, char ret[static 256])
{
        size_t n = 0;

        for (size_t at = 0; name->wire[at]; at += name->wire[at] + 1U)
                n += (size_t)snprintf(ret + n, 256 - n, "%s%.*s", n ? "." : "", name->wire[at], name->wire + at + 1);
}

static const char *type_text(uint16_t type)
{
        return type == DNS_TYPE_SRV ? "SRV" : type == DNS_TYPE_PTR ? "PTR" : type == DNS_TYPE_A ? "A" : "AAAA";
}

int __wrap_dns_server_ask(struct dns_server *server, struct dns_query *query, const struct dns_name *name,
                          uint16_t type, enum dns_transport transport)
{
        size_t n = strlen(asked);
        char text[256];

        (void)transport;
        name_text(name, text);
        snprintf(asked + n, sizeof(asked) - n, "%s%s %s", n ? "\n" : "", type_text(type), text);
        n_asked++;
        cr_assert_lt(n_flying, DNS_FLIGHT_MAX);
        (void)server;
        query->path = &no_path;
        query->transport = DNS_TCP;
        flying[n_flying++] = (struct ask){ query, *name, type };
        n_flying_max = n_flying > n_flying_max ? n_flying : n_flying_max;
        return 0;
}

void __wrap_dns_query_cancel(struct dns_query *query)
{
        for (size_t i = 0; i < n_flying; i++)
                if (flying[i].query == query)
                        flying[i--] = flying[--n_flying];
        query->path = NULL;
}

/* ---- the zone ---- */

static struct zone_record *add(const char *owner, uint16_t type)
{
        struct zone_record *r = &zone[n_zone++];

        cr_assert_leq(n_zone, sizeof(zone) / sizeof(zone[0]));
        *r = (struct zone_record){ .type = type };
        snprintf(r->owner, sizeof(r->owner), "%s", owner);
        return r;
}

static void add_srv(const char *owner, uint16_t port, const char *host)
{
        struct zone_record *r = add(owner, DNS_TYPE_SRV);

        r->port = port;
        snprintf(r->target, sizeof(r->target), "%s." SERVICE, host);
}

static void add_host(const char *host, uint8_t family, uint8_t last)
{
        char owner[96];
        struct zone_record *r;

        snprintf(owner, sizeof(owner), "%s." SERVICE, host);
        r = add(owner, family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA);
        memcpy(r->bytes, family == AF_INET ? (uint8_t[16]){ 10, 0, 0, last } : (uint8_t[16]){ 0xfd, [15] = last }, 16);
}

static void add_ptr(uint8_t last, const char *target)
{
        char owner[96];

        snprintf(owner, sizeof(owner), "%u.0.0.10.in-addr.arpa", last);
        snprintf(add(owner, DNS_TYPE_PTR)->target, 96, "%s", target);
}

static void put_record(struct reply *reply, int section, const struct zone_record *r)
{
        uint8_t data[6 + DNS_NAME_WIRE_MAX] = { 0, 0, 0, 0, (uint8_t)(r->port >> 8), (uint8_t)r->port };
        struct dns_name name;

        if (r->type == DNS_TYPE_A || r->type == DNS_TYPE_AAAA) {
                record(reply, section, r->owner, r->type, 5, r->bytes, r->type == DNS_TYPE_A ? 4 : 16);
                return;
        }
        cr_assert_eq(dns_name_parse(&name, r->target), 0);
        if (r->type == DNS_TYPE_PTR) {
                record(reply, section, r->owner, r->type, 5, name.wire, name.n);
                return;
        }
        memcpy(data + 6, name.wire, name.n);
        record(reply, section, r->owner, r->type, 5, data, 6U + name.n);
}

static void put_additional(struct reply *reply, const char *host)
{
        for (size_t i = 0; i < n_zone && !without_additional; i++)
                if ((zone[i].type == DNS_TYPE_A || zone[i].type == DNS_TYPE_AAAA) && strcmp(zone[i].owner, host) == 0)
                        put_record(reply, 2, &zone[i]);
}

static void answer_one(const struct ask *ask)
{
        bool is_srv = ask->type == DNS_TYPE_SRV;
        enum mode mode = is_srv ? mode_of_srv : mode_of_single;
        struct dns_question question;
        uint8_t random[DNS_RANDOM_SIZE] = { 0 };
        struct reply reply;
        char text[256];
        size_t n = 0;

        name_text(&ask->name, text);
        if (is_srv && cut_name[0] && strcmp(text, cut_name) != 0)
                mode = ANSWER;
        if (strcmp(text, failing_name) == 0)
                mode = SERVFAIL;
        ask->query->path = NULL;
        if (mode == LOST) {
                ask->query->done(ask->query, -ETIMEDOUT, NULL, 0, NULL);
                return;
        }
        dns_question_build(&question, &ask->name, ask->type, DNS_PLAIN, random);
        reply = begin(&question, mode == SERVFAIL ? 2 : 0);
        for (size_t i = 0; i < n_zone && mode != SERVFAIL; i++)
                if (zone[i].type == ask->type && strcmp(zone[i].owner, text) == 0 && (mode != CUT || n == 0)) {
                        put_record(&reply, 0, &zone[i]);
                        n++;
                }
        if (n == 0 && mode == ANSWER) {
                reply.packet[3] |= 3;
                soa(&reply, "cluster.local", 5, 5);
        }
        for (size_t i = 0, left = n; i < n_zone && left > 0 && is_srv; i++)
                if (zone[i].type == DNS_TYPE_SRV && strcmp(zone[i].owner, text) == 0) {
                        put_additional(&reply, zone[i].target);
                        left--;
                }
        reply.packet[2] |= mode == CUT ? 2 : 0;
        ask->query->done(ask->query, 0, reply.packet, reply.n, &question);
}

/* ---- the product's side ---- */

static void on_report(void *userdata, const struct finding *result)
{
        size_t n = 0;

        (void)userdata;
        cr_assert_eq(result->kind, FINDING_ENDPOINTS);
        cr_assert_eq(result->source, KHS_SOURCE_DNS);
        n_told++;
        told[0] = '\0';
        for (uint32_t i = 0; i < result->n_endpoints && n < sizeof(told) - 200; i++) {
                const struct finding_endpoint *e = &result->endpoints[i];

                n += (size_t)snprintf(told + n, sizeof(told) - n, "%s%u=%s", i ? " " : "",
                                      e->bytes[e->family == AF_INET ? 3 : 15], e->host ? e->host : "-");
                for (uint32_t p = 0; p < e->n_ports; p++)
                        n += (size_t)snprintf(told + n, sizeof(told) - n, ":%s=%u", e->ports[p].name,
                                              e->ports[p].number);
                n += (size_t)snprintf(told + n, sizeof(told) - n, "%s%s", e->ports_unknown ? "?" : "",
                                      e->others_unknown ? "!" : "");
        }
}

static void setup(void)
{
        const struct address address = { AF_INET, 53, { 127, 0, 0, 1 } };

        cr_assert_geq(sd_event_new(&event), 0);
        context = (struct dns_server_context){ .event = event };
        dns_pool_init(&pool, &context);
        cr_assert_eq(dns_pool_set(&pool, &address, 1), 0);
        tasks = calloc(1, sizeof(*tasks));
        cr_assert_geq(dns_tasks_init(tasks, event, &pool), 0);
        tasks->query_rate = 100000;
        cr_assert_eq(dns_name_parse(&tasks->domain, "cluster.local"), 0);
        cr_assert_eq(dns_hosts_new(&hosts, tasks, &srv, "web.default", on_report, NULL), 0);
}

static void teardown(void)
{
        dns_hosts_free(hosts);
        cr_expect_eq(tasks->n_tasks, 0);
        cr_expect_eq(tasks->n_flying, 0);
        cr_expect_eq(tasks->n_host_rounds, 0);
        dns_tasks_deinit(tasks);
        free(tasks);
        dns_pool_deinit(&pool);
        sd_event_unref(event);
}

TestSuite(dns_hosts, .init = setup, .fini = teardown, .timeout = 60);

static void tell_addresses(uint8_t family, const char *last)
{
        struct finding result = { .family = family, .kind = FINDING_ANSWER };
        uint8_t bytes[64][16];
        size_t size = family == AF_INET ? 4 : 16;

        for (; *last; last++) {
                uint8_t n = (uint8_t)(*last - '0');

                memcpy((uint8_t *)bytes + result.n_addrs++ * size,
                       family == AF_INET ? (uint8_t[16]){ 10, 0, 0, n } : (uint8_t[16]){ 0xfd, [15] = n }, size);
        }
        result.addrs = bytes;
        dns_hosts_addresses(hosts, &result);
}

static void run_once(void)
{
        cr_assert_geq(sd_event_run(event, 10000), 0);
        while (n_flying > 0) {
                struct ask ask = flying[--n_flying];

                answer_one(&ask);
        }
}

/* Answers what is asked until @n reports are there. */
static void run_until_told(size_t n)
{
        uint64_t end = usec_now() + 30 * SEC;

        while (n_told < n && usec_now() < end)
                run_once();
        cr_assert_geq(n_told, n);
}

/* Answers whatever is asked in @usec. */
static void run_for(uint64_t usec)
{
        for (uint64_t end = usec_now() + usec; usec_now() < end;)
                run_once();
}

static void forget_asked(void)
{
        asked[0] = '\0';
        n_asked = 0;
}

/* The next round, as its task has it: seconds from now. */
static double next_round(void)
{
        double soonest = 1e9;

        for (enum dns_queue q = 0; q < DNS_N_QUEUES; q++) {
                const struct due_item *item = due_queue_first(&tasks->queues[q]);
                double seconds = item ? ((double)item->due_usec - (double)usec_now()) / 1e6 : 1e9;

                soonest = seconds < soonest ? seconds : soonest;
        }
        return soonest;
}

/* A and AAAA come one after the other. */
Test(dns_hosts, round_waits_a_little_for_the_other_family)
{
        uint64_t before = usec_now();

        tell_addresses(AF_INET, "1");
        cr_assert_not_null(due_queue_first(&tasks->queues[DNS_HOSTS]));
        cr_expect_geq(due_queue_first(&tasks->queues[DNS_HOSTS])->due_usec, before + SEC / 50);
}

Test(dns_hosts, service_srv_tells_all_with_one_question)
{
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 81, "web-0");
        add_srv(SERVICE, 80, "10-0-0-2");
        add_host("web-0", AF_INET, 1);
        add_host("web-0", AF_INET6, 1);
        add_host("10-0-0-2", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        tell_addresses(AF_INET6, "1");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0 2=10-0-0-2 1=web-0");
        cr_expect_str_eq(asked, "SRV " SERVICE, "A and AAAA begin one round");
        cr_expect(next_round() > 269 && next_round() < 331, "%f", next_round());

        /* The same again is no news; others are, at once. */
        forget_asked();
        tell_addresses(AF_INET, "12");
        run_for(SEC / 10);
        cr_expect_eq(n_asked, 0);
        tell_addresses(AF_INET, "1");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 1=web-0");
        cr_expect_eq(n_asked, 1);
}

Test(dns_hosts, named_ports_are_asked_for_first)
{
        const struct khs_port ports[] = {
                grpc, { .kind = KHS_PORT_NUMBER, .number = 80 }, http, grpc, { .kind = KHS_PORT_BASE, .number = 1 }
        };

        cr_assert_eq(dns_hosts_set_ports(hosts, ports, 5), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv("_grpc._tcp." SERVICE, 9001, "web-1");
        add_srv("_http._tcp." SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:grpc=9000:http=80 2=web-1:grpc=9001");
        cr_expect_str_eq(asked, "SRV _grpc._tcp." SERVICE "\nSRV _http._tcp." SERVICE "\nSRV " SERVICE);
}

/* Both in the network of one node; only the first has the port that is asked for. */
Test(dns_hosts, pod_without_the_named_port_is_known_beside_one_that_has_it)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:grpc=9000 1=web-1");
}

Test(dns_hosts, service_srv_is_asked_where_ports_leave_addresses_open)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv(SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:grpc=9000 2=web-1");
        cr_expect_str_eq(asked, "SRV _grpc._tcp." SERVICE "\nSRV " SERVICE);
}

Test(dns_hosts, ports_that_change_are_asked_for_anew)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv("_http._tcp." SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        run_for(SEC / 10);
        cr_expect_eq(n_told, 1, "the same ports");
        cr_assert_eq(dns_hosts_set_ports(hosts, &http, 1), 0);
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0:http=80");
}

/* Also in the middle of a round, whose answers would be of another port. */
Test(dns_hosts, ports_may_change_while_they_are_asked_for)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv("_http._tcp." SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        while (n_flying == 0)
                cr_assert_geq(sd_event_run(event, 10000), 0);
        cr_assert_eq(dns_hosts_set_ports(hosts, &http, 1), 0);
        cr_expect_eq(n_flying, 0);
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:http=80");
        cr_assert_eq(dns_hosts_set_ports(hosts, NULL, 0), 0);
        add_srv(SERVICE, 80, "web-0");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0");
}

Test(dns_hosts, missing_addresses_are_asked_for_singly_and_only_once)
{
        without_additional = true;
        for (uint8_t i = 1; i < 9; i++) {
                char host[16];

                snprintf(host, sizeof(host), "web-%u", i);
                add_srv(SERVICE, 80, host);
                add_host(host, AF_INET, i);
        }
        tell_addresses(AF_INET, "12345678");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-1 2=web-2 3=web-3 4=web-4 5=web-5 6=web-6 7=web-7 8=web-8");
        cr_expect_eq(n_asked, 9);
        cr_expect_leq(n_flying_max, 4);
        cr_expect(next_round() > 276 && next_round() < 340, "a second for each: %f", next_round());

        /* One more pod: one more question. */
        forget_asked();
        add_srv(SERVICE, 80, "web-9");
        add_host("web-9", AF_INET, 9);
        tell_addresses(AF_INET, "2345689");
        run_until_told(2);
        cr_expect_str_eq(told, "2=web-2 3=web-3 4=web-4 5=web-5 6=web-6 8=web-8 9=web-9");
        cr_expect_leq(n_asked, 4, "SRV, web-9, and hosts whose address has gone: %s", asked);
}

/* However often the addresses change meanwhile. */
Test(dns_hosts, all_are_asked_for_singly_again_after_their_time)
{
        uint64_t due;

        without_additional = true;
        for (uint8_t i = 1; i < 4; i++) {
                char host[16];

                snprintf(host, sizeof(host), "web-%u", i);
                add_srv(SERVICE, 80, host);
                add_host(host, AF_INET, i);
        }
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        due = due_queue_first(&tasks->queues[DNS_HOSTS])->due_usec;
        for (size_t i = 2; i < 16; i++) {
                tell_addresses(AF_INET, i % 2 ? "12" : "1");
                run_until_told(i);
                cr_expect_leq(due_queue_first(&tasks->queues[DNS_HOSTS])->due_usec, due, "round %zu", i);
        }
}

/* Pods in the network of their node. */
Test(dns_hosts, hosts_that_share_an_address_are_all_told)
{
        add_srv(SERVICE, 80, "web-1");
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 80, "web-2");
        add_host("web-1", AF_INET, 1);
        add_host("web-1", AF_INET6, 1);
        add_host("web-0", AF_INET, 1);
        add_host("web-0", AF_INET6, 1);
        add_host("web-2", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        tell_addresses(AF_INET6, "1");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0 1=web-1 2=web-2 1=web-0 1=web-1");
        cr_expect_eq(n_asked, 1);
}

/* Where every address has its host, one that came without an address may share another one's. */
Test(dns_hosts, hosts_that_share_an_address_are_asked_for_singly)
{
        without_additional = true;
        add_srv(SERVICE, 80, "web-2");
        add_srv(SERVICE, 80, "web-1");
        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 1);
        add_host("web-2", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0 1=web-1 2=web-2");
        cr_expect_eq(n_asked, 4, "%s", asked);
        cr_expect(next_round() > 200);

        /* Once. */
        forget_asked();
        add_srv(SERVICE, 80, "web-3");
        add_host("web-3", AF_INET, 2);
        tell_addresses(AF_INET, "1");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 1=web-1");
        forget_asked();
        tell_addresses(AF_INET, "12");
        run_until_told(3);
        cr_expect_str_eq(told, "1=web-0 1=web-1 2=web-2 2=web-3");
        cr_expect_null(strstr(asked, "web-0"), "%s", asked);
        cr_expect_null(strstr(asked, "web-1"), "%s", asked);
}

Test(dns_hosts, question_for_a_shared_row_that_failed_is_asked_again)
{
        without_additional = true;
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 1);
        snprintf(failing_name, sizeof(failing_name), "web-1." SERVICE);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0!", "there may be others");
        cr_expect(next_round() < 1.2, "%f", next_round());
        failing_name[0] = '\0';
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 1=web-1");
        cr_expect(next_round() > 200);
}

Test(dns_hosts, ptr_where_srv_is_empty)
{
        add_ptr(1, "web-0." SERVICE);
        add_ptr(2, "web-0.other.default.svc.cluster.local");
        add_ptr(3, "web-1." SERVICE);
        tell_addresses(AF_INET, "1234");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0 3=web-1");
        cr_expect_eq(n_asked, 5, "%s", asked);
        cr_expect_not_null(strstr(asked, "PTR 4.0.0.10.in-addr.arpa"));

        /* Each address once. */
        forget_asked();
        add_ptr(5, "web-2." SERVICE);
        tell_addresses(AF_INET, "12345");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 3=web-1 5=web-2");
        cr_expect_str_eq(asked, "SRV " SERVICE "\nPTR 5.0.0.10.in-addr.arpa");
        cr_expect(next_round() > 200);
}

Test(dns_hosts, no_ptr_where_srv_names_hosts)
{
        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        add_ptr(2, "web-1." SERVICE);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0", "of the other nothing is known");
        cr_expect_str_eq(asked, "SRV " SERVICE);
        cr_expect(next_round() < 1.2, "an answer behind the addresses: soon again, %f", next_round());
        forget_asked();
        add_srv(SERVICE, 80, "web-1");
        add_host("web-1", AF_INET, 2);
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 2=web-1");
        cr_expect(next_round() > 200);
}

/* More than a message holds: what it says is used, and the rest is asked for one by one. */
Test(dns_hosts, truncated_srv_is_completed_by_ptr)
{
        mode_of_srv = CUT;
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 2);
        add_ptr(2, "web-1." SERVICE);
        tell_addresses(AF_INET, "123");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0! 2=web-1", "PTR names all hosts of an address, half of SRV does not");
        cr_expect_eq(n_asked, 3);
        cr_expect(next_round() > 200);
}

Test(dns_hosts, truncated_ports_are_unknown_where_they_are_missing)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, (struct khs_port[]){ grpc, http }, 2), 0);
        mode_of_srv = CUT;
        snprintf(cut_name, sizeof(cut_name), "_grpc._tcp." SERVICE);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv("_grpc._tcp." SERVICE, 9000, "web-1");
        add_srv("_http._tcp." SERVICE, 80, "web-0");
        add_srv("_http._tcp." SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 2);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:grpc=9000:http=80! 2=web-1:http=80?!");
}

Test(dns_hosts, failure_takes_nothing_back_and_is_tried_again)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, (struct khs_port[]){ grpc, http }, 2), 0);
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        mode_of_srv = SERVFAIL;
        tell_addresses(AF_INET, "1");
        run_for(SEC / 2);
        cr_expect_eq(n_told, 0, "nothing was learned");
        cr_expect_str_eq(asked, "SRV _grpc._tcp." SERVICE "\nSRV " SERVICE);
        cr_expect(next_round() < 1.2, "%f", next_round());

        /* One port's answer is missing: hosts are known all the same, ports stay as they were. */
        snprintf(cut_name, sizeof(cut_name), "_grpc._tcp." SERVICE);
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0?");
        cr_expect(next_round() > 1 && next_round() < 2.3, "%f", next_round());
        mode_of_srv = ANSWER;
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0:grpc=9000");
        cr_expect(next_round() > 200);
}

static unsigned int count_asked(const char *what)
{
        unsigned int n = 0;

        for (const char *at = asked; (at = strstr(at, what)) != NULL; at++)
                n++;
        return n;
}

/* knot's word for an answer that does not fit into 64 KiB. */
Test(dns_hosts, srv_that_always_fails_is_replaced_by_ptr)
{
        cr_assert_eq(dns_hosts_set_ports(hosts, &grpc, 1), 0);
        mode_of_srv = SERVFAIL;
        add_ptr(1, "web-0." SERVICE);
        add_ptr(1, "web-1." SERVICE);
        add_ptr(2, "web-2." SERVICE);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0? 1=web-1? 2=web-2?");
        cr_expect_geq(count_asked("SRV " SERVICE), 3, "%s", asked);
        cr_expect_geq(count_asked("SRV _grpc"), 3, "%s", asked);
        cr_expect_eq(count_asked("PTR"), 2);
        cr_expect_null(strstr(strstr(asked, "PTR"), "SRV"));
        cr_expect(next_round() > 200, "%f", next_round());

        /* From now on at once, and what is known is not asked for again; SRV is. */
        forget_asked();
        add_ptr(3, "web-3." SERVICE);
        tell_addresses(AF_INET, "123");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0? 1=web-1? 2=web-2? 3=web-3?");
        cr_expect_str_eq(asked, "SRV _grpc._tcp." SERVICE "\nSRV " SERVICE "\nPTR 3.0.0.10.in-addr.arpa");

        /* Once it answers, it is believed as ever, and the next failures are failures again. */
        mode_of_srv = ANSWER;
        add_srv("_grpc._tcp." SERVICE, 9000, "web-5");
        add_srv(SERVICE, 80, "web-5");
        add_host("web-5", AF_INET, 2);
        forget_asked();
        tell_addresses(AF_INET, "2");
        run_until_told(3);
        cr_expect_str_eq(told, "2=web-5:grpc=9000");
        tell_addresses(AF_INET, "23");
        run_until_told(4);
        cr_expect_str_eq(told, "2=web-5:grpc=9000", "of the other nothing is known");
        mode_of_srv = SERVFAIL;
        forget_asked();
        tell_addresses(AF_INET, "12");
        run_for(SEC / 4);
        cr_expect_eq(n_told, 4);
        cr_expect_eq(count_asked("PTR"), 0, "%s", asked);
}

/* A server that answers nothing is asked for nothing more. */
Test(dns_hosts, srv_that_fails_like_everything_else_is_not_replaced)
{
        const struct finding failure = { .family = AF_INET, .kind = FINDING_FAILURE, .reason = KHS_REASON_SERVFAIL };

        mode_of_srv = SERVFAIL;
        add_ptr(1, "web-0." SERVICE);
        tell_addresses(AF_INET, "1");
        dns_hosts_addresses(hosts, &failure);
        for (uint64_t end = usec_now() + 50 * SEC; count_asked("SRV") < 4 && usec_now() < end;)
                run_once();
        run_for(SEC / 4);
        cr_expect_geq(count_asked("SRV"), 4);
        cr_expect_eq(count_asked("PTR"), 0);
        cr_expect_eq(n_told, 0);
}

Test(dns_hosts, single_questions_without_answer_end_the_round)
{
        mode_of_single = SERVFAIL;
        tell_addresses(AF_INET, "123456789");
        run_for(SEC / 2);
        cr_expect_leq(n_asked, 1 + 4 + 3, "%s", asked);
        cr_expect_geq(n_asked, 1 + 4);
        cr_expect_eq(n_told, 0);
        cr_expect(next_round() < 1.2);
        mode_of_single = ANSWER;
        add_ptr(9, "web-0." SERVICE);
        run_until_told(1);
        cr_expect_str_eq(told, "9=web-0");
}

/* coredns#6518: 1 in 6 answers a false NXDOMAIN, also for names with records. */
Test(dns_hosts, negatives_are_believed_when_they_have_come_three_times)
{
        uint64_t start;

        cr_assert_eq(dns_hosts_set_ports(hosts, (struct khs_port[]){ grpc, http }, 2), 0);
        add_srv("_http._tcp." SERVICE, 80, "web-0");
        add_srv("_grpc._tcp." SERVICE, 9000, "web-0");
        add_host("web-0", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0:grpc=9000:http=80");

        n_zone = 1;
        add_host("web-0", AF_INET, 1);
        add_host("web-0", AF_INET6, 1);
        tell_addresses(AF_INET6, "1");
        start = usec_now();
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0:http=80?! 1=web-0:http=80?!", "no reason to forget a port");
        cr_expect(next_round() < 1.2, "%f", next_round());
        while (strchr(told, '?'))
                run_until_told(n_told + 1);
        cr_expect_geq(usec_now() - start, 4 * SEC);
        cr_expect_str_eq(told, "1=web-0:http=80 1=web-0:http=80");
        cr_expect(next_round() > 200);
}

/* Not to ask a thousand PTR questions for a mistake, nor to believe their answers. */
Test(dns_hosts, false_negative_of_the_service_asks_nothing_else)
{
        unsigned int n_srv = 0;

        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        add_ptr(1, "web-7." SERVICE);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        zone[0].type = 0;
        forget_asked();
        tell_addresses(AF_INET, "12");
        run_for(SEC / 4);
        cr_expect_str_eq(asked, "SRV " SERVICE);
        cr_expect_eq(n_told, 1);
        zone[0].type = DNS_TYPE_SRV;
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0");

        /* Counted from the beginning: three answers without, then PTR. */
        zone[0].type = 0;
        forget_asked();
        while (strcmp(told, "1=web-7") != 0)
                run_until_told(n_told + 1);
        for (const char *at = asked; strncmp(at, "SRV", 3) == 0; at = strchr(at, '\n') + 1)
                n_srv++;
        cr_expect_geq(n_srv, 3, "%s", asked);
}

Test(dns_hosts, address_whose_ptr_failed_is_asked_about_again)
{
        mode_of_single = SERVFAIL;
        add_ptr(1, "web-0." SERVICE);
        tell_addresses(AF_INET, "1");
        run_for(SEC / 4);
        cr_expect_eq(n_asked, 2);
        cr_expect(next_round() < 1.2, "%f", next_round());
        mode_of_single = ANSWER;
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0");
}

Test(dns_hosts, lost_questions_are_failures)
{
        mode_of_srv = LOST;
        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        run_for(SEC / 2);
        cr_expect_eq(n_told, 0);
        mode_of_srv = ANSWER;
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0");
}

/* What the service model may have forgotten meanwhile is told again. */
Test(dns_hosts, the_same_addresses_after_a_negative_are_news)
{
        const struct finding negative = { .family = AF_INET, .kind = FINDING_NEGATIVE };

        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        dns_hosts_addresses(hosts, &negative);
        run_for(SEC / 10);
        cr_expect_eq(n_told, 1);
        tell_addresses(AF_INET, "1");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0");
}

Test(dns_hosts, addresses_that_change_during_a_round_begin_another)
{
        add_srv(SERVICE, 80, "web-0");
        add_srv(SERVICE, 80, "web-1");
        add_host("web-0", AF_INET, 1);
        add_host("web-1", AF_INET, 2);
        tell_addresses(AF_INET, "1");
        while (n_flying == 0)
                cr_assert_geq(sd_event_run(event, 10000), 0);
        tell_addresses(AF_INET, "12");
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0");
        run_until_told(2);
        cr_expect_str_eq(told, "1=web-0 2=web-1");
}

/* Nor does a change that came in the middle of a round before. */
Test(dns_hosts, without_a_server_it_waits_longer_and_longer)
{
        const struct address address = { AF_INET, 53, { 127, 0, 0, 1 } };
        unsigned int n_woken = 0;

        add_ptr(1, "web-0." SERVICE);
        tell_addresses(AF_INET, "1");
        run_until_told(1);
        tell_addresses(AF_INET, "12");
        while (n_flying == 0)
                cr_assert_geq(sd_event_run(event, 10000), 0);
        tell_addresses(AF_INET, "1");
        cr_assert_eq(dns_pool_set(&pool, NULL, 0), 0);
        flying[0].query->path = NULL;
        flying[--n_flying].query->done(flying[0].query, -ECANCELED, NULL, 0, NULL);
        forget_asked();
        for (uint64_t end = usec_now() + SEC; usec_now() < end;)
                n_woken += sd_event_run(event, 10000) > 0;
        cr_expect_eq(n_asked, 0);
        cr_expect_leq(n_woken, 5, "%u", n_woken);
        cr_assert_eq(dns_pool_set(&pool, &address, 1), 0);
        tell_addresses(AF_INET, "12");
        run_until_told(n_told + 1);
        cr_expect_str_eq(told, "1=web-0");
}

Test(dns_hosts, family_that_is_forgotten_is_not_told)
{
        add_srv(SERVICE, 80, "web-0");
        add_host("web-0", AF_INET, 1);
        add_host("web-0", AF_INET6, 1);
        tell_addresses(AF_INET, "1");
        tell_addresses(AF_INET6, "1");
        dns_hosts_forget(hosts, AF_INET);
        run_until_told(1);
        cr_expect_str_eq(told, "1=web-0");
}

static void tell_many(struct dns_hosts *to, uint32_t n)
{
        struct finding result = { .family = AF_INET, .kind = FINDING_ANSWER, .n_addrs = n };
        uint8_t bytes[1000][4];

        for (uint32_t i = 0; i < n; i++)
                memcpy(bytes[i], (uint8_t[]){ 10, 1, (uint8_t)(i >> 8), (uint8_t)i }, 4);
        result.addrs = bytes;
        dns_hosts_addresses(to, &result);
}

static void on_address(struct dns_addresses *family, const struct finding *result)
{
        (void)family;
        cr_assert_eq(result->kind, FINDING_ANSWER);
}

/* Whatever is owed, addresses get half of the questions that the rate allows, and hosts the other. */
Test(dns_hosts, hosts_and_addresses_take_turns)
{
        static struct dns_addresses families[100];
        uint64_t n_hosts_asked, n_addresses_asked;

        memcpy(add(SERVICE, DNS_TYPE_A)->bytes, (uint8_t[]){ 10, 0, 0, 1 }, 4);
        tasks->query_rate = 200;
        for (size_t i = 0; i < 100; i++) {
                families[i] = (struct dns_addresses){ .key = "web.default",
                                                      .family = AF_INET,
                                                      .min_usec = SEC / 20,
                                                      .max_usec = SEC / 20,
                                                      .report = on_address };
                cr_assert_eq(dns_addresses_start(&families[i], tasks, true), 0);
        }
        tell_many(hosts, 1000);
        run_for(SEC / 2);
        n_hosts_asked = tasks->stats.n_host_queries;
        n_addresses_asked = tasks->stats.n_queries - n_hosts_asked;
        run_for(2 * SEC);
        n_hosts_asked = tasks->stats.n_host_queries - n_hosts_asked;
        n_addresses_asked = tasks->stats.n_queries - tasks->stats.n_host_queries - n_addresses_asked;
        cr_expect_leq(n_hosts_asked, n_addresses_asked + 4, "%lu and %lu", (unsigned long)n_hosts_asked,
                      (unsigned long)n_addresses_asked);
        cr_expect_geq(n_hosts_asked + 4, n_addresses_asked * 9 / 10, "%lu and %lu", (unsigned long)n_hosts_asked,
                      (unsigned long)n_addresses_asked);
        cr_expect_leq(n_hosts_asked + n_addresses_asked, 2 * 200 * 2 + 60);
        for (size_t i = 0; i < 100; i++)
                dns_addresses_stop(&families[i]);
}

Test(dns_hosts, an_eighth_of_the_flight_at_most_is_for_hosts)
{
        struct dns_hosts *more[20];

        for (size_t i = 0; i < 20; i++) {
                cr_assert_eq(dns_hosts_new(&more[i], tasks, &srv, "web.default", on_report, NULL), 0);
                tell_many(more[i], 10);
        }
        for (uint64_t end = usec_now() + 30 * SEC; n_flying < DNS_HOST_FLIGHT_MAX && usec_now() < end;) {
                cr_assert_geq(sd_event_run(event, 1000), 0);
                if (n_flying == 20 && n_asked == 20) { /* SRV of each: nothing, so PTR comes next */
                        n_flying_max = 0;
                        for (size_t n = 20; n > 0; n--) {
                                struct ask ask = flying[0];

                                flying[0] = flying[--n_flying];
                                answer_one(&ask);
                        }
                }
        }
        for (int i = 0; i < 20; i++)
                cr_assert_geq(sd_event_run(event, 1000), 0);
        cr_expect_eq(n_flying, DNS_HOST_FLIGHT_MAX);
        cr_expect_eq(n_flying_max, DNS_HOST_FLIGHT_MAX);
        cr_expect_not_null(strstr(asked, "PTR"));
        for (uint64_t end = usec_now() + 30 * SEC; (n_flying > 0 || next_round() < 1) && usec_now() < end;)
                run_once();
        cr_expect_eq(n_asked, 20 + 20 * 10);
        for (size_t i = 0; i < 20; i++)
                dns_hosts_free(more[i]);
}
