/*
 * Answers of friendly, broken and hostile servers, byte by byte.
 */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dns-fixture.h"
#include "wire/answer.h"

#define NAME   "user-svc.default.svc.cluster.local"
#define DOMAIN "cluster.local"

static uint8_t addrs[KHS_MAX_ADDRS * 16U];
static struct dns_name domain;

static struct dns_question ask(uint16_t type, bool udp)
{
        cr_assert_eq(dns_name_parse(&domain, DOMAIN), 0);
        return question_of(NAME, type, udp);
}

static struct dns_answer judge(const struct dns_question *question, const struct reply *reply)
{
        struct dns_answer answer;
        uint8_t *copy = copy_of(reply);

        answer = dns_answer_read(&domain, question, copy, reply->n, addrs);
        free(copy);
        return answer;
}

#define cr_failure(answer, why)                                                                                        \
        do {                                                                                                           \
                struct dns_answer a_ = (answer);                                                                       \
                cr_assert_eq(a_.kind, FINDING_FAILURE);                                                                \
                cr_assert_eq(a_.reason, why, "reason %u", a_.reason);                                                  \
        } while (0)

static const uint8_t pod1[] = { 10, 1, 0, 1 }, pod2[] = { 10, 1, 0, 2 };

Test(dns_answer, addresses_are_sorted_and_unique_with_the_lowest_ttl)
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

Test(dns_answer, ttl_with_its_top_bit_set_is_zero)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_A, 0x80000001U, pod1, 4);
        cr_assert_eq(judge(&question, &reply).ttl_s, 0);
}

Test(dns_answer, four_thousand_addresses_are_taken)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        for (unsigned int i = 4000; i > 0; i--)
                record(&reply, 0, NULL, DNS_TYPE_A, 5, (uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 4);
        cr_assert_eq(judge(&question, &reply).n_addrs, 4000);
        for (unsigned int i = 1; i < 4000; i++)
                cr_assert_lt(memcmp(addrs + 4 * (i - 1), addrs + 4 * i, 4), 0);
}

Test(dns_answer, negatives_need_an_soa_of_the_cluster)
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

Test(dns_answer, aliases_are_refused)
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

Test(dns_answer, reply_must_be_to_the_question)
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

Test(dns_answer, udp_must_keep_the_case)
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

Test(dns_answer, rcodes_and_truncation)
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

Test(dns_answer, wrong_length_of_an_address_spoils_the_answer)
{
        struct dns_question question = ask(DNS_TYPE_A, false);
        struct reply reply = begin(&question, 0);

        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
        record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 3);
        cr_failure(judge(&question, &reply), KHS_REASON_MALFORMED);
}

Test(dns_answer, compression_is_bounded)
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

Test(dns_answer, every_cut_and_every_flipped_byte_is_survived)
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

Test(dns_answer, only_the_soa_of_the_domain_shows_it)
{
        static const struct {
                const char *owner;
                int section;
                bool shows;
        } cases[] = {
                { DOMAIN, 0, true },   { "CLUSTER.local", 0, true },
                { "local", 0, false }, { "svc.cluster.local", 0, false }, /* not of the name that was asked */
                { DOMAIN, 1, false }, /* "no such record here": anybody may say so */
                { NULL, 0, true },    /* a pointer to the question */
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct dns_question question = question_of(DOMAIN, DNS_TYPE_SOA, true);
                struct reply reply = begin(&question, 0);
                uint8_t data[22] = { 0 };

                cr_assert_eq(dns_name_parse(&domain, DOMAIN), 0);
                cr_expect_not(dns_answer_shows_domain(&domain, &question, reply.packet, reply.n), "case %zu", i);
                record(&reply, 0, NULL, DNS_TYPE_A, 5, pod1, 4);
                record(&reply, cases[i].section, cases[i].owner, DNS_TYPE_SOA, 5, data, sizeof(data));
                cr_expect_eq(dns_answer_shows_domain(&domain, &question, reply.packet, reply.n), cases[i].shows,
                             "case %zu", i);
                reply.packet[3] = 5; /* REFUSED */
                cr_expect_not(dns_answer_shows_domain(&domain, &question, reply.packet, reply.n), "case %zu", i);
        }
}
