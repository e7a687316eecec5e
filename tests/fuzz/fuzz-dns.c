/*
 * Answers of DNS servers: any bytes. The first byte of the input says which question they answer, and how
 * much of them is made right beforehand, so that not only the first check is reached:
 *
 *     1 AAAA, not A    2 sent by UDP: mixed case    4 read as SRV and PTR, too    8 only text, a name
 *     16 the message's header and question are those of an answer; its counts come from the input
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "wire/answer.h"
#include "wire/rewrite.h"
#include "wire/srv.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

#define NAME   "user-svc.default.svc.cluster.local"
#define DOMAIN "cluster.local"

enum { AAAA = 1, UDP = 2, HOSTS = 4, TEXT = 8, FRAME = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_name(const uint8_t *data, size_t size)
{
        struct dns_name name = { .n = 77 }, domain;
        char *text = malloc(size + 1);
        size_t n_labels = 0;
        int r;

        CHECK(text && dns_name_parse(&domain, DOMAIN) == 0);
        memcpy(text, data, size);
        text[size] = '\0';
        r = dns_name_parse(&name, text);
        CHECK(r == 0 || (r == -EINVAL && name.n == 77));
        if (r == 0) {
                for (size_t at = 0; name.wire[at]; at += name.wire[at] + 1U, n_labels++)
                        CHECK(name.wire[at] < 64 && at + name.wire[at] + 1U < name.n);
                CHECK(n_labels > 0 && name.wire[name.n - 1] == 0);
                CHECK(dns_name_below(&name, &name));
                if (dns_name_below(&name, &domain))
                        CHECK(memcmp(name.wire + name.n - domain.n, domain.wire, domain.n) == 0);
        }
        free(text);
}

/* Of exactly its size: what reads beyond it is seen. */
static uint8_t *make_packet(const struct dns_question *question, const uint8_t *data, size_t size, bool frame,
                            size_t *ret_n)
{
        size_t n_question = 12U + question->n_name + 4U;
        uint8_t *packet;

        if (!frame || size < 8) {
                packet = malloc(size > 0 ? size : 1);
                CHECK(packet);
                memcpy(packet, data, size);
                *ret_n = size;
                return packet;
        }
        /* 0-1 flags, 2-7 counts of the three sections, then records */
        packet = malloc(n_question + size - 8);
        CHECK(packet);
        memcpy(packet, question->packet, n_question);
        memcpy(packet + 2, data, 2);
        packet[2] = (uint8_t)((packet[2] & 0x07) | 0x80);
        memcpy(packet + 6, data + 2, 6);
        memcpy(packet + n_question, data + 8, size - 8);
        *ret_n = n_question + size - 8;
        return packet;
}

static void check_addresses(const struct dns_answer *answer, const uint8_t *addrs, uint8_t family,
                            const uint8_t *packet, size_t n_packet)
{
        size_t n = address_size(family);

        CHECK(answer->n_addrs >= 1 && answer->n_addrs <= KHS_MAX_ADDRS);
        for (size_t i = 0; i < answer->n_addrs; i++) {
                CHECK(i == 0 || memcmp(addrs + (i - 1) * n, addrs + i * n, n) < 0);
                CHECK(memmem(packet, n_packet, addrs + i * n, n));
        }
}

static void check_answer(const struct dns_question *question, const uint8_t *packet, size_t n_packet, uint8_t family,
                         const struct dns_answer *answer, const uint8_t *addrs)
{
        bool same_case = false, matches = dns_question_matches(question, packet, n_packet, &same_case);

        CHECK(answer->kind == FINDING_ANSWER || answer->kind == FINDING_NEGATIVE || answer->kind == FINDING_FAILURE);
        if (answer->kind == FINDING_FAILURE) {
                CHECK(answer->reason != KHS_REASON_NONE && answer->reason < KHS_REASON_RESTART);
                return;
        }
        /* An answer to this question, in its case, not a part of one. */
        CHECK(matches && (packet[2] & 0x82) == 0x80 && !answer->ask_tcp);
        CHECK(same_case || !(question->dress & DNS_MIXED_CASE));
        CHECK(answer->ttl_s >> 31 == 0);
        if (answer->kind == FINDING_ANSWER) {
                CHECK(answer->reason == KHS_REASON_NONE && (packet[3] & 0x0f) == 0);
                check_addresses(answer, addrs, family, packet, n_packet);
        } else {
                CHECK(answer->n_addrs == 0 && (packet[3] & 0x0f) % 3 == 0);
                CHECK(answer->reason == ((packet[3] & 0x0f) ? KHS_REASON_NXDOMAIN : KHS_REASON_NODATA));
        }
}

/* By way of what c-ares 1.28 and newer reads, which forgives more: still nothing is taken that did not come. */
static void fuzz_records(const struct dns_name *domain, const struct dns_question *question, const uint8_t *packet,
                         size_t n_packet, uint8_t family)
{
#if DNS_HAVE_RECORDS
        static uint8_t addrs[KHS_MAX_ADDRS * 16U];
        ares_dns_record_t *records = NULL;
        struct dns_answer answer;
        uint8_t *again;
        size_t n_again;

        if (ares_dns_parse(packet, n_packet, 0, &records) != ARES_SUCCESS)
                return;
        if (dns_rewrite(records, &again, &n_again) == 0) {
                again = realloc(again, n_again); /* what reads beyond it is seen */
                CHECK(again);
                answer = dns_answer_read(domain, question, again, n_again, addrs);
                check_answer(question, again, n_again, family, &answer, addrs);
                if (answer.kind == FINDING_ANSWER)
                        check_addresses(&answer, addrs, family, packet, n_packet);
                free(again);
        }
        ares_dns_record_destroy(records);
#else
        (void)domain, (void)question, (void)packet, (void)n_packet, (void)family;
#endif
}

/* Targets that stand there are sorted and differ; each address leads to one of them. */
static void check_srv(const struct dns_srv *srv)
{
        CHECK(srv->n_targets <= DNS_SRV_TARGETS_MAX && srv->n_addrs <= DNS_SRV_ADDRS_MAX);
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                const struct dns_srv_target *target = &srv->targets[i];
                int order = i > 0 ? strcmp(target[-1].host, target->host) : -1;

                CHECK(target->host[0] && strlen(target->host) <= KHS_LABEL_MAX);
                CHECK(order < 0 || (order == 0 && target[-1].port < target->port));
        }
        for (uint32_t i = 0; i < srv->n_addrs; i++)
                CHECK(srv->addrs[i].target < srv->n_targets);
}

static void fuzz_hosts(const struct dns_name *domain, const struct dns_name *service, const uint8_t *data, size_t size,
                       uint8_t what, const uint8_t *random)
{
        static const uint16_t types[] = { DNS_TYPE_SRV, DNS_TYPE_PTR };
        static struct dns_srv srv;

        for (size_t i = 0; i < 2; i++) {
                struct dns_question question;
                struct dns_answer answer;
                uint8_t *packet;
                size_t n_packet;

                dns_question_build(&question, service, types[i], what & UDP ? DNS_MIXED_CASE | DNS_EDNS : DNS_PLAIN,
                                   random);
                packet = make_packet(&question, data, size, what & FRAME, &n_packet);
                answer = i == 0 ? dns_srv_read(domain, &question, service, packet, n_packet, &srv)
                                : dns_ptr_read(&question, service, packet, n_packet, &srv);
                check_srv(&srv);
                CHECK(answer.kind == FINDING_ANSWER || answer.reason != KHS_REASON_NONE);
                CHECK(answer.kind != FINDING_NEGATIVE || srv.n_targets == 0);
                (void)dns_answer_shows_domain(domain, &question, packet, n_packet);
                free(packet);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static uint8_t addrs[2][KHS_MAX_ADDRS * 16U];
        struct dns_question question;
        struct dns_answer answer, again;
        struct dns_name domain, name;
        uint8_t random[DNS_RANDOM_SIZE], *packet, what, family;
        size_t n_packet;

        if (size == 0)
                return 0;
        what = *data++;
        size--;
        if (what & TEXT) {
                fuzz_name(data, size);
                return 0;
        }
        family = what & AAAA ? AF_INET6 : AF_INET;
        memset(random, 0x5a, sizeof(random));
        CHECK(dns_name_parse(&domain, DOMAIN) == 0 && dns_name_parse(&name, NAME) == 0);
        dns_question_build(&question, &name, what & AAAA ? DNS_TYPE_AAAA : DNS_TYPE_A,
                           what & UDP ? DNS_MIXED_CASE | DNS_EDNS : DNS_PLAIN, random);
        packet = make_packet(&question, data, size, what & FRAME, &n_packet);

        answer = dns_answer_read(&domain, &question, packet, n_packet, addrs[0]);
        check_answer(&question, packet, n_packet, family, &answer, addrs[0]);
        again = dns_answer_read(&domain, &question, packet, n_packet, addrs[1]);
        CHECK(again.kind == answer.kind && again.reason == answer.reason && again.ttl_s == answer.ttl_s &&
              again.n_addrs == answer.n_addrs);
        fuzz_records(&domain, &question, packet, n_packet, family);
        free(packet);
        if (what & HOSTS)
                fuzz_hosts(&domain, &name, data, size, what, random);
        return 0;
}
