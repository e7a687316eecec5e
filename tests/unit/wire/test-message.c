/*
 * Answers of friendly, broken and hostile servers, byte by byte.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dns-fixture.h"
#include "model/filter.h"

#define NAME   "user-svc.default.svc.cluster.local"
#define DOMAIN "cluster.local"

static uint8_t addrs[KHS_MAX_ADDRS * 16U];
static struct dns_rules rules;

static struct dns_question ask(uint16_t type, bool udp)
{
        cr_assert_eq(dns_name_parse(&rules.domain, DOMAIN), 0);
        return question_of(NAME, type, udp);
}

static struct dns_answer judge(const struct dns_question *question, const struct reply *reply)
{
        struct dns_answer answer;
        uint8_t *copy = copy_of(reply);

        dns_answer_read(&rules, question, copy, reply->n, &answer, addrs);
        free(copy);
        return answer;
}

#define cr_failure(answer, why)                                                                                        \
        do {                                                                                                           \
                struct dns_answer a_ = (answer);                                                                       \
                cr_assert_eq(a_.kind, FINDING_FAILURE);                                                                \
                cr_assert_eq(a_.reason, why, "reason %u", a_.reason);                                                  \
        } while (0)

static const uint8_t pod1[] = { 10, 1, 0, 1 }, pod2[] = { 10, 1, 0, 2 }, local[] = { 127, 0, 0, 1 };

Test(dns_message, query_is_what_the_rfc_says)
{
        static const uint8_t opt[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0 };
        struct dns_question tcp = ask(DNS_TYPE_AAAA, false), udp = ask(DNS_TYPE_A, true);
        const char wire[] = "\x08user-svc\x07"
                            "default\x03svc\x07"
                            "cluster\x05local";

        cr_assert_eq(tcp.n, 12 + sizeof(wire) + 4);
        cr_assert_arr_eq(tcp.packet, "\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
        cr_assert_arr_eq(tcp.packet + 12, wire, sizeof(wire));
        cr_assert_arr_eq(tcp.packet + 12 + sizeof(wire), "\x00\x1c\x00\x01", 4);
        cr_assert_eq(udp.n, tcp.n + 11);
        cr_assert_eq(udp.packet[11], 1);
        cr_assert_arr_eq(udp.packet + udp.n - 11, opt, 11);
        cr_assert(udp.mixed_case && !tcp.mixed_case);
        cr_assert_arr_neq(udp.packet + 12, wire, sizeof(wire));
        cr_assert_eq(strncasecmp((char *)udp.packet + 13, "user-svc", 8), 0);
}

Test(dns_message, names_are_checked)
{
        char label64[65] = { 0 }, longest[300] = { 0 };
        struct dns_name name, other;

        memset(label64, 'a', 64);
        for (int i = 0; i < 127; i++)
                strcat(longest, "a.");
        cr_assert_eq(dns_name_parse(&name, ""), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, "."), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, "a..b"), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, label64), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, label64 + 1), 0);
        cr_assert_eq(dns_name_parse(&name, longest), 0);
        cr_assert_eq(name.n, 255);
        strcat(longest, "a");
        cr_assert_eq(dns_name_parse(&name, longest), -EINVAL);

        cr_assert_eq(dns_name_parse(&name, "a.Cluster.LOCAL."), 0);
        cr_assert_eq(dns_name_parse(&other, "cluster.local"), 0);
        cr_assert(dns_name_below(&name, &other));
        cr_assert(dns_name_below(&other, &other));
        cr_assert_not(dns_name_below(&other, &name));
        cr_assert_eq(dns_name_parse(&name, "xcluster.local"), 0);
        cr_assert_not(dns_name_below(&name, &other));
}

Test(dns_message, addresses_are_sorted_and_unique_with_the_lowest_ttl)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);
        struct dns_answer answer;

        record(&reply, 0, NULL, DNS_TYPE_A, 30, pod2, 4);
        record(&reply, 0, "USER-svc.default.svc.cluster.local", DNS_TYPE_A, 7, pod1, 4);
        record(&reply, 0, NULL, DNS_TYPE_A, 30, pod2, 4);
        record(&reply, 0, "evil.default.svc.cluster.local", DNS_TYPE_A, 1, "\x0a\x63\x63\x63", 4);
        record(&reply, 0, NULL, 46, 1, "sig", 3);
        answer = judge(&question, &reply);
        cr_assert_eq(answer.kind, FINDING_ANSWER);
        cr_assert_eq(answer.reason, 0);
        cr_assert_eq(answer.ttl_s, 7);
        cr_assert_eq(answer.n_addrs, 2);
        cr_assert_arr_eq(addrs, pod1, 4);
        cr_assert_arr_eq(addrs + 4, pod2, 4);
}

Test(dns_message, ttl_with_its_top_bit_set_is_zero)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_A, 0x80000001U, pod1, 4);
        cr_assert_eq(judge(&question, &reply).ttl_s, 0);
}

Test(dns_message, four_thousand_addresses_are_taken)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        for (unsigned int i = 4000; i > 0; i--)
                record(&reply, 0, NULL, DNS_TYPE_A, 5, (uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 4);
        cr_assert_eq(judge(&question, &reply).n_addrs, 4000);
        for (unsigned int i = 1; i < 4000; i++)
                cr_assert_lt(memcmp(addrs + 4 * (i - 1), addrs + 4 * i, 4), 0);
}

Test(dns_message, addresses_that_cannot_be_pods_are_dropped)
{
        struct network pods = { .family = AF_INET, .prefix = 15, .bytes = { 10, 0 } };
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);
        struct dns_answer answer;

        record(&reply, 0, NULL, DNS_TYPE_A, 5, local, 4);
        answer = judge(&question, &reply);
        cr_failure(answer, KHS_REASON_FILTERED);
        cr_assert_eq(answer.n_dropped, 1);

        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        record(&reply, 0, NULL, DNS_TYPE_A, 5, "\x0a\x02\x00\x01", 4);
        answer = judge(&question, &reply);
        cr_assert_eq(answer.n_addrs, 2);

        rules.allow_cidr = &pods;
        rules.n_allow_cidr = 1;
        answer = judge(&question, &reply);
        cr_assert_eq(answer.n_addrs, 1);
        cr_assert_eq(answer.n_dropped, 2);
        cr_assert_arr_eq(addrs, pod1, 4);
}

Test(dns_message, address_list)
{
        static const struct {
                uint8_t family, bytes[16];
                bool ok;
        } cases[] = {
                { AF_INET, { 0, 1, 2, 3 }, false },
                { AF_INET, { 127, 1, 1, 1 }, false },
                { AF_INET, { 169, 254, 0, 1 }, false },
                { AF_INET, { 169, 253, 0, 1 }, true },
                { AF_INET, { 224, 0, 0, 1 }, false },
                { AF_INET, { 240, 0, 0, 1 }, false },
                { AF_INET, { 255, 255, 255, 255 }, false },
                { AF_INET, { 223, 255, 255, 255 }, true },
                { AF_INET6, { 0 }, false },
                { AF_INET6, { [15] = 1 }, false },
                { AF_INET6, { 0xfe, 0x80 }, false },
                { AF_INET6, { 0xfe, 0xbf }, false },
                { AF_INET6, { 0xfe, 0xc0 }, true },
                { AF_INET6, { 0xff, 2 }, false },
                { AF_INET6, { [10] = 0xff, 0xff, 10 }, false },
                { AF_INET6, { 0xfd, [15] = 1 }, true },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                cr_assert_eq(address_is_pod(cases[i].family, cases[i].bytes, NULL, 0), cases[i].ok, "case %zu", i);
}

Test(dns_message, negatives_need_an_soa_of_the_cluster)
{
        static const struct {
                const char *soa;
                enum khs_reason reason;
                uint8_t rcode;
        } cases[] = {
                { "cluster.local", KHS_REASON_NXDOMAIN, 3 },
                { "cluster.local", KHS_REASON_NODATA, 0 },
                { "svc.CLUSTER.local", KHS_REASON_NXDOMAIN, 3 },
                { "local", KHS_REASON_FOREIGN, 3 },
                { "evil.cluster.local", KHS_REASON_FOREIGN, 3 },
                { "xcluster.local", KHS_REASON_FOREIGN, 0 },
                { NULL, KHS_REASON_FOREIGN, 3 },
                { NULL, KHS_REASON_FOREIGN, 0 },
        };
        struct dns_question question = ask(DNS_TYPE_AAAA, false);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct reply reply = begin(&question, cases[i].rcode);
                bool foreign = cases[i].reason == KHS_REASON_FOREIGN;
                struct dns_answer answer;

                if (cases[i].soa)
                        soa(&reply, cases[i].soa, 30, 5);
                answer = judge(&question, &reply);
                cr_assert_eq(answer.kind, foreign ? FINDING_FAILURE : FINDING_NEGATIVE, "case %zu", i);
                cr_assert_eq(answer.reason, cases[i].reason, "case %zu", i);
                cr_assert_eq(answer.ttl_s, foreign ? 0 : 5, "case %zu", i);
        }
}

Test(dns_message, aliases_are_refused)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply cname = begin(&question, 0), dname = begin(&question, 0), many = begin(&question, 0);

        record(&cname, 0, NULL, DNS_TYPE_CNAME, 5,
               "\x04"
               "evil",
               6);
        record(&cname, 0, "evil", DNS_TYPE_A, 5, pod1, 4);
        cr_failure(judge(&question, &cname), KHS_REASON_MALFORMED);
        record(&dname, 0, DOMAIN, DNS_TYPE_DNAME, 5,
               "\x04"
               "evil",
               6);
        record(&dname, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        cr_failure(judge(&question, &dname), KHS_REASON_MALFORMED);
        for (int i = 0; i < 4000; i++)
                record(&many, 0, "x", DNS_TYPE_CNAME, 5, "\xc0\x0c", 2);
        cr_failure(judge(&question, &many), KHS_REASON_FOREIGN);
}

Test(dns_message, reply_must_be_to_the_question)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        /* offset of a byte in the reply and the value that spoils it */
        static const struct {
                size_t at;
                uint8_t value;
        } cases[] = { { 2, 0x05 }, { 2, 0x8d }, { 5, 0 }, { 5, 2 }, { 13, 'x' }, { 49, 28 }, { 51, 3 } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct reply reply = begin(&question, 0);

                record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
                cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
                reply.packet[cases[i].at] = cases[i].value;
                cr_failure(judge(&question, &reply), KHS_REASON_MALFORMED);
        }
}

Test(dns_message, udp_must_keep_the_case)
{
        struct dns_question question = ask(DNS_TYPE_A, true);
        struct reply reply = begin(&question, 0);
        struct dns_answer answer;

        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        cr_assert_eq(judge(&question, &reply).kind, FINDING_ANSWER);
        reply.packet[13] ^= 0x20;
        answer = judge(&question, &reply);
        cr_failure(answer, KHS_REASON_MALFORMED);
        cr_assert(answer.ask_tcp);
}

Test(dns_message, rcodes_and_truncation)
{
        static const enum khs_reason reasons[] = {
                [1] = KHS_REASON_REFUSED,
                [2] = KHS_REASON_SERVFAIL,
                [4] = KHS_REASON_REFUSED,
                [5] = KHS_REASON_REFUSED,
        };
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply truncated = begin(&question, 0), liar = begin(&question, 3);
        struct dns_answer answer;

        for (uint8_t rcode = 1; rcode < 6; rcode++) {
                struct reply reply = begin(&question, rcode);

                if (reasons[rcode])
                        cr_failure(judge(&question, &reply), reasons[rcode]);
        }
        record(&truncated, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        truncated.packet[2] |= 2;
        answer = judge(&question, &truncated);
        cr_failure(answer, KHS_REASON_TRUNCATED);
        cr_assert(answer.ask_tcp);
        record(&liar, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        cr_failure(judge(&question, &liar), KHS_REASON_MALFORMED);
}

Test(dns_message, wrong_length_of_an_address_spoils_the_answer)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 3);
        cr_failure(judge(&question, &reply), KHS_REASON_MALFORMED);
}

Test(dns_message, compression_is_bounded)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply self = begin(&question, 0), chain = begin(&question, 0), ahead = begin(&question, 0);
        size_t at = self.n;

        put16(&self, (unsigned int)(0xc000 | at)); /* to itself */
        put(&self, (uint8_t[10]){ 0 }, 10);
        self.packet[7] = 1;
        cr_failure(judge(&question, &self), KHS_REASON_MALFORMED);

        /* To a name that comes later: only names before it may be meant (RFC 1035, 4.1.4). */
        put16(&ahead, (unsigned int)(0xc000 | (ahead.n + 16)));
        put(&ahead, "\x00\x2e\x00\x01\x00\x00\x00\x05\x00\x04\x01\x61\x00\x00", 14);
        put(&ahead, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x01\x00\x01", 16);
        ahead.packet[7] = 2;
        cr_failure(judge(&question, &ahead), KHS_REASON_MALFORMED);

        /* Pointers to pointers, each to the one before: backwards, but too many. */
        record(&chain, 0, NULL, 46, 5, "", 0);
        chain.packet[chain.n - 1] = 0;
        chain.packet[chain.n - 2] = 2; /* 512 bytes of data */
        at = chain.n;
        put16(&chain, 0xc00c);
        for (unsigned int i = 1; i < 256; i++)
                put16(&chain, 0xc000 | (unsigned int)(at + 2 * (i - 1)));
        put16(&chain, 0xc000 | (unsigned int)(chain.n - 2));
        put(&chain, "\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x01\x00\x01", 14);
        chain.packet[7] = 2;
        cr_failure(judge(&question, &chain), KHS_REASON_MALFORMED);
}

Test(dns_message, every_cut_and_every_flipped_byte_is_survived)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        soa(&reply, DOMAIN, 5, 5);
        for (size_t n = 0; n < reply.n; n++) {
                struct reply cut = { reply.packet, n };

                if (n < 66) /* header, question and the address */
                        cr_failure(judge(&question, &cut), KHS_REASON_MALFORMED);
        }
        for (size_t i = 0; i < reply.n; i++)
                for (unsigned int bit = 0; bit < 8; bit++) {
                        reply.packet[i] ^= (uint8_t)(1U << bit);
                        (void)judge(&question, &reply);
                        reply.packet[i] ^= (uint8_t)(1U << bit);
                }
}
