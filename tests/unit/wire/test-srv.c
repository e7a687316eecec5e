/* Host names from SRV and PTR: what servers say, what broken and hostile ones might. */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns-fixture.h"
#include "wire/packet.h"
#include "wire/rewrite.h"
#include "wire/srv.h"

#define SERVICE "web.default.svc.cluster.local"
#define GRPC    "_grpc._tcp." SERVICE
#define PTR     "1.0.1.10.in-addr.arpa"

static const uint8_t pod0[] = { 10, 1, 0, 0 }, pod1[] = { 10, 1, 0, 1 }, six[16] = { 0xfd, [15] = 1 };
static struct dns_name domain;
static struct dns_name service;
static struct dns_srv srv;

static void setup(void)
{
        cr_assert_eq(dns_name_parse(&domain, "cluster.local"), 0);
        cr_assert_eq(dns_name_parse(&service, SERVICE), 0);
}

TestSuite(dns_srv, .init = setup);

/* @target: text, or raw bytes where it begins with a zero length. */
static void target(struct reply *reply, const char *owner, uint16_t port, const char *text)
{
        uint8_t data[6 + DNS_NAME_WIRE_MAX] = { 0, 0, 0, 100, (uint8_t)(port >> 8), (uint8_t)port };
        struct dns_name name;

        cr_assert_eq(dns_name_parse(&name, text), 0);
        memcpy(data + 6, name.wire, name.n);
        record(reply, 0, owner, DNS_TYPE_SRV, 30, data, 6U + name.n);
}

static void points_to(struct reply *reply, const char *text)
{
        struct dns_name name;

        cr_assert_eq(dns_name_parse(&name, text), 0);
        record(reply, 0, NULL, DNS_TYPE_PTR, 30, name.wire, name.n);
}

static struct dns_answer judge(const struct dns_question *question, const struct reply *reply)
{
        uint8_t *copy = copy_of(reply);
        struct dns_answer answer;

        memset(&srv, 0x55, 64);
        if (dns_question_type(question) == DNS_TYPE_PTR)
                answer = dns_ptr_read(question, &service, copy, reply->n, &srv);
        else
                answer = dns_srv_read(&domain, question, &service, copy, reply->n, &srv);
        free(copy);
        cr_assert_leq(srv.n_targets, DNS_SRV_TARGETS_MAX);
        cr_assert_leq(srv.n_addrs, DNS_SRV_ADDRS_MAX);
        for (uint32_t i = 0; i < srv.n_addrs; i++)
                cr_assert_lt(srv.addrs[i].target, srv.n_targets);
        return answer;
}

#define cr_fails(question, reply, why)                                                                                 \
        do {                                                                                                           \
                struct dns_answer a_ = judge(question, reply);                                                         \
                cr_expect_eq(a_.kind, FINDING_FAILURE);                                                                \
                cr_expect_eq(a_.reason, why, "reason %u", a_.reason);                                                  \
                cr_expect_eq(srv.n_targets, 0);                                                                        \
                cr_expect_eq(srv.n_addrs, 0);                                                                          \
        } while (0)

Test(dns_srv, hosts_with_their_ports_and_addresses)
{
        struct dns_question question = question_of(GRPC, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        target(&reply, NULL, 9001, "web-1." SERVICE);
        target(&reply, GRPC, 9000, "WEB-0.web.Default.svc.cluster.local");
        target(&reply, NULL, 9001, "web-1." SERVICE);
        record(&reply, 1, "cluster.local", 2, 5, "\x02ns\x00", 4);
        record(&reply, 2, "web-0." SERVICE, DNS_TYPE_A, 30, pod0, 4);
        record(&reply, 2, "web-1." SERVICE, DNS_TYPE_AAAA, 30, six, 16);
        record(&reply, 2, "Web-1." SERVICE, DNS_TYPE_A, 30, pod1, 4);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 2);
        cr_expect_str_eq(srv.targets[0].host, "web-0");
        cr_expect_eq(srv.targets[0].port, 9000);
        cr_expect_str_eq(srv.targets[1].host, "web-1");
        cr_expect_eq(srv.targets[1].port, 9001);
        cr_assert_eq(srv.n_addrs, 3);
        cr_expect_eq(srv.addrs[0].target, 0);
        cr_expect_eq(srv.addrs[0].family, AF_INET);
        cr_expect_arr_eq(srv.addrs[0].bytes, pod0, 4);
        cr_expect_eq(srv.addrs[1].target, 1);
        cr_expect_eq(srv.addrs[1].family, AF_INET6);
        cr_expect_arr_eq(srv.addrs[1].bytes, six, 16);
        cr_expect_arr_eq(srv.addrs[2].bytes, pod1, 4);
}

/* CoreDNS lists a host once for each of the service's ports there. */
Test(dns_srv, host_with_several_ports_has_its_address_once_for_all)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        for (uint16_t port = 90; port > 80; port--) {
                target(&reply, NULL, port, "web-0." SERVICE);
                target(&reply, NULL, port, "10-1-0-1." SERVICE);
        }
        record(&reply, 2, "web-0." SERVICE, DNS_TYPE_A, 30, pod0, 4);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 20);
        cr_assert_eq(srv.n_addrs, 1);
        cr_expect_eq(srv.addrs[0].target, 10);
        cr_expect_str_eq(srv.targets[10].host, "web-0");
        cr_expect_eq(srv.targets[10].port, 81);
}

/* A forger, a neighbour, a typing error: nothing but this service's own hosts. */
Test(dns_srv, other_names_do_not_count)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        target(&reply, NULL, 80, "web-0." SERVICE);
        target(&reply, NULL, 80, "a.web-0." SERVICE);
        target(&reply, NULL, 80, SERVICE);
        target(&reply, NULL, 80, "web-1.other.default.svc.cluster.local");
        target(&reply, NULL, 80, "web-2.web.default.svc.cluster.locax");
        target(&reply, NULL, 80, "web-3.example.org");
        target(&reply, "other.default.svc.cluster.local", 80, "web-4." SERVICE);
        target(&reply, NULL, 80, "we*b." SERVICE);
        target(&reply, NULL, 80,
               "w\xc3\xa4"
               "b." SERVICE);
        record(&reply, 1, "web-0." SERVICE, DNS_TYPE_A, 30, pod1, 4);
        record(&reply, 2, "web-4." SERVICE, DNS_TYPE_A, 30, pod1, 4);
        record(&reply, 2, SERVICE, DNS_TYPE_A, 30, pod1, 4);
        record(&reply, 2, "a.web-0." SERVICE, DNS_TYPE_A, 30, pod1, 4);
        record(&reply, 2, "web-0.example.org", DNS_TYPE_A, 30, pod1, 4);
        record(&reply, 2, "web-0." SERVICE, 46, 30, "sig", 3);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 1);
        cr_expect_str_eq(srv.targets[0].host, "web-0");
        cr_expect_eq(srv.n_addrs, 0);
}

Test(dns_srv, label_with_a_zero_byte_is_no_host)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_SRV, 30, "\0\0\0\0\0\x50\x05we\0b0\xc0\x0c", 14);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_expect_eq(srv.n_targets, 0);
        record(&reply, 0, NULL, DNS_TYPE_SRV, 30, "\0\0\0\0\0\x50\x05web-0\xc0\x0c", 14);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 1, "a compressed target, against RFC 2782");
        cr_expect_str_eq(srv.targets[0].host, "web-0");
}

Test(dns_srv, negatives_need_the_clusters_soa)
{
        struct dns_question question = question_of(GRPC, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 3);
        struct dns_answer answer;

        cr_fails(&question, &reply, KHS_REASON_FOREIGN);
        soa(&reply, "cluster.local", 5, 5);
        answer = judge(&question, &reply);
        cr_expect_eq(answer.kind, FINDING_NEGATIVE);
        cr_expect_eq(answer.reason, KHS_REASON_NXDOMAIN);
        reply = begin(&question, 0);
        soa(&reply, "cluster.local", 5, 5);
        cr_expect_eq(judge(&question, &reply).reason, KHS_REASON_NODATA);
        reply = begin(&question, 0);
        soa(&reply, "org", 5, 5);
        cr_fails(&question, &reply, KHS_REASON_FOREIGN);
        reply = begin(&question, 3);
        target(&reply, NULL, 80, "web-0." SERVICE);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        reply = begin(&question, 2);
        cr_fails(&question, &reply, KHS_REASON_SERVFAIL);
        reply = begin(&question, 5);
        cr_fails(&question, &reply, KHS_REASON_REFUSED);
}

Test(dns_srv, aliases_are_refused)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        target(&reply, NULL, 80, "web-0." SERVICE);
        record(&reply, 0, NULL, DNS_TYPE_CNAME, 30, "\x01x\x00", 3);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        reply = begin(&question, 0);
        record(&reply, 0, "default.svc.cluster.local", DNS_TYPE_DNAME, 30, "\x01x\x00", 3);
        target(&reply, NULL, 80, "web-0." SERVICE);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
}

Test(dns_srv, bad_data_spoils_the_answer)
{
        static const struct {
                uint16_t type;
                const char *data;
                size_t n;
        } rows[] = {
                { DNS_TYPE_SRV, "", 0 },
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50", 6 },
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50\x05web-0\xc0", 13 },
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50\x05web-0\xc0\x0c\x00", 15 }, /* a byte too many */
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50\x3fweb-0\xc0\x0c", 14 },     /* a label over the end */
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50\x05web-0\xff\xff", 14 },     /* a pointer ahead */
                { DNS_TYPE_SRV, "\0\0\0\0\0\x50\x45web-0\xc0\x0c", 14 },     /* an unknown kind of label */
        };
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct reply reply = begin(&question, 0);

                target(&reply, NULL, 80, "web-1." SERVICE);
                record(&reply, 0, NULL, rows[i].type, 30, rows[i].data, rows[i].n);
                record(&reply, 2, "web-1." SERVICE, DNS_TYPE_A, 30, pod1, 4);
                cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        }
        for (size_t n = 0; n < 8; n++) {
                struct reply reply = begin(&question, 0);

                if (n == 4)
                        continue;
                target(&reply, NULL, 80, "web-1." SERVICE);
                record(&reply, 2, "web-1." SERVICE, DNS_TYPE_A, 30, six, n);
                cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        }
}

Test(dns_srv, truncated_is_never_the_whole_but_what_it_says_is_true)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0), empty = begin(&question, 0);
        struct dns_answer answer;

        target(&reply, NULL, 80, "web-0." SERVICE);
        target(&reply, NULL, 80, "web-1." SERVICE);
        record(&reply, 2, "web-0." SERVICE, DNS_TYPE_A, 30, pod0, 4);
        reply.packet[2] |= 2;
        answer = judge(&question, &reply);
        cr_expect_eq(answer.kind, FINDING_FAILURE);
        cr_expect_eq(answer.reason, KHS_REASON_TRUNCATED);
        cr_expect(answer.ask_tcp);
        cr_expect_eq(srv.n_targets, 2);
        cr_expect_eq(srv.n_addrs, 1);

        /* Cut anywhere, also in the middle of a record. */
        for (size_t n = 12 + question.n_name + 4U; n < reply.n; n++) {
                struct reply part = { reply.packet, n };

                answer = judge(&question, &part);
                cr_expect_eq(answer.reason, KHS_REASON_TRUNCATED);
                cr_expect_eq(srv.n_addrs, 0);
        }
        empty.packet[2] |= 2;
        cr_expect_eq(judge(&question, &empty).reason, KHS_REASON_TRUNCATED, "nothing at all is no negative");
        cr_expect_eq(srv.n_targets, 0);
}

/* As many as 65,535 bytes hold, all alike and all different. */
Test(dns_srv, full_answers_are_read)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);
        unsigned int n = 0;

        while (reply.n + 25 <= 65535) {
                uint8_t data[12] = { [5] = 80, [6] = 3, [10] = 0xc0, [11] = 0x0c };

                memcpy(data + 7,
                       (char[]){ (char)('a' + n / 676 % 26), (char)('a' + n / 26 % 26), (char)('a' + n % 26) }, 3);
                record(&reply, 0, NULL, DNS_TYPE_SRV, 5, data, sizeof(data));
                n++;
        }
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_expect_eq(srv.n_targets, n);

        /* One host with all ports, asked for by all addresses: quadratic work would show. */
        reply = begin(&question, 0);
        for (n = 0; reply.n + 22 <= 35000; n++)
                record(&reply, 0, NULL, DNS_TYPE_SRV, 5,
                       (uint8_t[]){ 0, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 1, 'a', 0xc0, 0x0c }, 10);
        for (n = 0; reply.n + 40 <= 65535; n++)
                record(&reply, 2, "a." SERVICE, DNS_TYPE_A, 5, pod0, 4);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_expect_eq(srv.n_addrs, n);
        cr_expect_eq(srv.addrs[n - 1].target, 0);
}

/* No message that c-ares can hand over is longer than 65,535 bytes; this is what would happen. */
Test(dns_srv, more_than_there_is_room_for_is_truncated)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);

        for (unsigned int n = 0; n <= DNS_SRV_TARGETS_MAX; n++)
                record(&reply, 0, NULL, DNS_TYPE_SRV, 5,
                       (uint8_t[]){ 0, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 1, 'a', 0xc0, 0x0c }, 10);
        cr_expect_eq(judge(&question, &reply).reason, KHS_REASON_TRUNCATED);
        cr_expect_eq(srv.n_targets, DNS_SRV_TARGETS_MAX);

        reply = begin(&question, 0);
        target(&reply, NULL, 80, "a." SERVICE);
        for (unsigned int n = 0; n <= DNS_SRV_ADDRS_MAX; n++) {
                put(&reply,
                    "\x01"
                    "a\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x01\x00\x01",
                    18);
                reply.packet[10] = (uint8_t)((n + 1) >> 8);
                reply.packet[11] = (uint8_t)(n + 1);
        }
        cr_expect_eq(judge(&question, &reply).reason, KHS_REASON_TRUNCATED);
        cr_expect_eq(srv.n_addrs, DNS_SRV_ADDRS_MAX);
}

Test(dns_srv, ptr_names_the_host_in_this_service_only)
{
        struct dns_question question = question_of(PTR, DNS_TYPE_PTR, false);
        struct reply reply = begin(&question, 0);

        points_to(&reply, "web-1.other.default.svc.cluster.local");
        points_to(&reply, "Web-1." SERVICE);
        points_to(&reply, "node.example.org");
        points_to(&reply, SERVICE);
        points_to(&reply, "a.web-1." SERVICE);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 1);
        cr_expect_str_eq(srv.targets[0].host, "web-1");
        cr_expect_eq(srv.targets[0].port, 0);

        reply = begin(&question, 0);
        points_to(&reply, "node.example.org");
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_expect_eq(srv.n_targets, 0);

        reply = begin(&question, 3);
        cr_expect_eq(judge(&question, &reply).kind, FINDING_NEGATIVE, "whoever says so");
        reply = begin(&question, 0);
        cr_expect_eq(judge(&question, &reply).kind, FINDING_NEGATIVE);
        reply = begin(&question, 5);
        cr_fails(&question, &reply, KHS_REASON_REFUSED);
        reply = begin(&question, 0);
        record(&reply, 0, NULL, DNS_TYPE_CNAME, 30, "\x01x\x00", 3);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        reply = begin(&question, 0);
        record(&reply, 0, NULL, DNS_TYPE_PTR, 30, "", 0);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
}

Test(dns_srv, another_question_or_case_is_no_answer)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false),
                            other = question_of(GRPC, DNS_TYPE_SRV, false);
        struct dns_question udp = question_of(SERVICE, DNS_TYPE_SRV, true);
        struct reply reply = begin(&other, 0);
        struct dns_answer answer;

        target(&reply, NULL, 80, "web-0." SERVICE);
        cr_fails(&question, &reply, KHS_REASON_MALFORMED);
        reply = begin(&question, 0);
        target(&reply, NULL, 80, "web-0." SERVICE);
        answer = judge(&udp, &reply);
        cr_expect_eq(answer.reason, KHS_REASON_MALFORMED);
        cr_expect(answer.ask_tcp);
        cr_expect_eq(srv.n_targets, 0);
}

Test(dns_srv, every_cut_and_every_flipped_bit_is_survived)
{
        struct dns_question question = question_of(GRPC, DNS_TYPE_SRV, false),
                            ptr = question_of(PTR, DNS_TYPE_PTR, false);
        struct reply reply = begin(&question, 0), names = begin(&ptr, 0);

        target(&reply, NULL, 9000, "web-0." SERVICE);
        record(&reply, 0, NULL, DNS_TYPE_SRV, 30, "\0\0\0\0\0\x50\x05web-1\xc0\x17", 14);
        soa(&reply, "cluster.local", 5, 5);
        record(&reply, 2, "web-0." SERVICE, DNS_TYPE_A, 30, pod0, 4);
        record(&reply, 2, "web-1." SERVICE, DNS_TYPE_AAAA, 30, six, 16);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_targets, 2);
        cr_assert_eq(srv.n_addrs, 2);
        points_to(&names, "web-0." SERVICE);

        for (size_t n = 0; n < reply.n; n++) {
                struct reply cut = { reply.packet, n };

                cr_fails(&question, &cut, KHS_REASON_MALFORMED);
        }
        for (size_t n = 0; n < names.n; n++) {
                struct reply cut = { names.packet, n };

                cr_fails(&ptr, &cut, KHS_REASON_MALFORMED);
        }
        for (size_t i = 0; i < reply.n; i++)
                for (unsigned int bit = 0; bit < 8; bit++) {
                        reply.packet[i] ^= (uint8_t)(1U << bit);
                        (void)judge(&question, &reply);
                        reply.packet[i] ^= (uint8_t)(1U << bit);
                }
        for (size_t i = 0; i < names.n; i++)
                for (unsigned int bit = 0; bit < 8; bit++) {
                        names.packet[i] ^= (uint8_t)(1U << bit);
                        (void)judge(&ptr, &names);
                        names.packet[i] ^= (uint8_t)(1U << bit);
                }
}

#if DNS_HAVE_RECORDS

/* Return: whether c-ares can read it, and we write what it has read. */
static bool rewrite(const struct reply *reply, struct reply *ret)
{
        ares_dns_record_t *records = NULL;
        int r = -EBADMSG;

        if (ares_dns_parse(reply->packet, reply->n, 0, &records) == ARES_SUCCESS)
                r = dns_rewrite(records, &ret->packet, &ret->n);
        ares_dns_record_destroy(records);
        cr_assert(r == 0 || r == -EBADMSG);
        return r == 0;
}

static void says_the_same(const struct dns_question *question, const struct reply *reply)
{
        static struct dns_srv before;
        struct dns_answer expected = judge(question, reply), answer;
        struct reply again;

        before = srv;
        cr_assert(rewrite(reply, &again));
        answer = judge(question, &again);
        free(again.packet);
        cr_expect_eq(answer.kind, expected.kind);
        cr_expect_eq(answer.reason, expected.reason);
        cr_expect_eq(answer.ttl_s, expected.ttl_s);
        cr_assert_eq(srv.n_targets, before.n_targets);
        cr_assert_eq(srv.n_addrs, before.n_addrs);
        for (uint32_t i = 0; i < srv.n_targets; i++) {
                cr_assert_str_eq(srv.targets[i].host, before.targets[i].host);
                cr_assert_eq(srv.targets[i].port, before.targets[i].port);
        }
        cr_expect_eq(memcmp(srv.addrs, before.addrs, srv.n_addrs * sizeof(srv.addrs[0])), 0);
}

/* Both families: in the bytes that c-ares makes of it, the second address of a host has a name out of nowhere. */
Test(dns_srv, full_answers_of_cares_records_say_the_same)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0);
        char name[64];

        for (int i = 0; i < 450; i++) {
                (void)snprintf(name, sizeof(name), "web-%d.%s", i, SERVICE);
                target(&reply, NULL, 80, name);
        }
        for (int i = 0; i < 450; i++) {
                (void)snprintf(name, sizeof(name), "web-%d.%s", i, SERVICE);
                record(&reply, 2, name, DNS_TYPE_A, 30, (uint8_t[]){ 10, 1, (uint8_t)(i >> 8), (uint8_t)i }, 4);
                if (i < 200)
                        record(&reply, 2, name, DNS_TYPE_AAAA, 30, six, 16);
        }
        cr_assert_leq(reply.n, 65535);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        cr_assert_eq(srv.n_addrs, 650);
        says_the_same(&question, &reply);
}

Test(dns_srv, other_answers_of_cares_records_say_the_same)
{
        struct dns_question question = question_of(SERVICE, DNS_TYPE_SRV, false),
                            ptr = question_of(PTR, DNS_TYPE_PTR, false);
        struct reply reply = begin(&question, 3);

        soa(&reply, "cluster.local", 30, 5);
        says_the_same(&question, &reply);
        reply = begin(&question, 0);
        soa(&reply, "cluster.local", 30, 5);
        says_the_same(&question, &reply);
        reply = begin(&question, 2);
        says_the_same(&question, &reply);
        reply = begin(&question, 0);
        reply.packet[2] |= 0x02;
        target(&reply, NULL, 80, "web-0." SERVICE);
        says_the_same(&question, &reply);
        reply = begin(&question, 0);
        record(&reply, 0, NULL, 5, 30, "\0", 1); /* CNAME, DNAME */
        says_the_same(&question, &reply);
        reply = begin(&question, 0);
        record(&reply, 0, "cluster.local", 39, 30, "\0", 1);
        says_the_same(&question, &reply);
        /* bytes that a name's text has to escape */
        reply = begin(&question, 0);
        record(&reply, 0, NULL, DNS_TYPE_SRV, 30,
               "\0\0\0\0\0\x50\x03"
               "a.b\xc0\x0c",
               12);
        record(&reply, 0, NULL, DNS_TYPE_SRV, 30,
               "\0\0\0\0\0\x50\x04"
               "\x01\\\xff(\xc0\x0c",
               13);
        target(&reply, NULL, 80, "web-0." SERVICE);
        says_the_same(&question, &reply);
        cr_expect_eq(srv.n_targets, 1);

        reply = begin(&ptr, 0);
        points_to(&reply, "web-0." SERVICE);
        says_the_same(&ptr, &reply);
        cr_expect_eq(srv.n_targets, 1);
}

Test(dns_srv, every_flipped_bit_is_survived_by_way_of_cares_records)
{
        struct dns_question question = question_of(GRPC, DNS_TYPE_SRV, false);
        struct reply reply = begin(&question, 0), again;
        unsigned int n = 0;

        target(&reply, NULL, 9000, "web-0." SERVICE);
        soa(&reply, "cluster.local", 5, 5);
        record(&reply, 2, "web-0." SERVICE, DNS_TYPE_A, 30, pod0, 4);
        for (size_t i = 0; i < reply.n * 8; i++) {
                reply.packet[i / 8] ^= (uint8_t)(1U << i % 8);
                if (rewrite(&reply, &again)) {
                        (void)judge(&question, &again);
                        free(again.packet);
                        n++;
                }
                reply.packet[i / 8] ^= (uint8_t)(1U << i % 8);
        }
        cr_expect_gt(n, 100);
}

#endif
