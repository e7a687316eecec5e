/*
 * DNS messages, see wire/message.h.
 *
 * Why not ares_parse_a_reply() and friends: they cut long answers in silence, take quadratic time,
 * follow CNAMEs anywhere and forget who owned the SOA of a negative. This reader believes a pointer
 * and a length, by way of wire/packet.h, and takes only records whose owner is the name that was asked.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/filter.h"
#include "wire/packet.h"

#define OPT_SIZE 11U

int dns_name_parse(struct dns_name *ret, const char *text)
{
        struct dns_name name = { 0 };
        size_t n = 0;

        while (*text) {
                size_t n_label = strcspn(text, ".");

                if (n_label == 0 || n_label > 63 || n + n_label + 2 > DNS_NAME_WIRE_MAX)
                        return -EINVAL;
                name.wire[n++] = (uint8_t)n_label;
                for (size_t i = 0; i < n_label; i++)
                        name.wire[n++] = dns_lower((uint8_t)text[i]);
                text += n_label;
                text += *text == '.';
        }
        if (n == 0)
                return -EINVAL;
        name.n = (uint8_t)(n + 1);
        *ret = name;
        return 0;
}

bool dns_name_below(const struct dns_name *name, const struct dns_name *domain)
{
        size_t at = 0;

        /* From label to label: "xcluster.local" is not below "cluster.local". */
        while (name->n - at > domain->n)
                at += name->wire[at] + 1U;
        return name->n - at == domain->n && memcmp(name->wire + at, domain->wire, domain->n) == 0;
}

static void randomize_case(struct dns_question *question, const uint8_t *bits)
{
        for (size_t i = 0; i < question->n_name; i++) {
                uint8_t *c = &question->packet[DNS_HEADER_SIZE + i];

                /* Lengths of labels are below 64, so only letters are touched. */
                if (*c >= 'a' && *c <= 'z' && (bits[i / 8] >> (i % 8) & 1))
                        *c = (uint8_t)(*c - 'a' + 'A');
        }
        question->mixed_case = true;
}

void dns_question_build(struct dns_question *ret, const struct dns_name *name, uint16_t type, bool udp,
                        const uint8_t random[34])
{
        struct dns_question question = { .n_name = name->n };
        uint8_t *p = question.packet;
        size_t n = DNS_HEADER_SIZE;

        memcpy(p, random, 2);
        p[2] = 1; /* RD: a resolver in front of the cluster's would not ask on without it */
        dns_put16(p + 4, 1);
        memcpy(p + n, name->wire, name->n);
        n += name->n;
        dns_put16(p + n, type);
        dns_put16(p + n + 2, DNS_CLASS_IN);
        n += 4;
        if (udp) {
                randomize_case(&question, random + 2);
                dns_put16(p + 10, 1);
                dns_put16(p + n + 1, DNS_TYPE_OPT); /* owner: the root, one zero byte */
                dns_put16(p + n + 3, DNS_EDNS_SIZE);
                n += OPT_SIZE; /* extended rcode, version, flags, no options */
        }
        question.n = (uint16_t)n;
        *ret = question;
}

bool dns_reply_matches(const struct dns_question *question, const uint8_t *packet, size_t n_packet, bool *ret_case)
{
        const uint8_t *ours = question->packet + DNS_HEADER_SIZE, *theirs = packet + DNS_HEADER_SIZE;
        size_t n = question->n_name;

        if (n_packet < DNS_HEADER_SIZE + n + 4)
                return false;
        if ((packet[2] & 0xf8) != 0x80 || dns_get16(packet + 4) != 1) /* QR, opcode QUERY, one question */
                return false;
        for (size_t i = 0; i < n; i++)
                if (dns_lower(ours[i]) != dns_lower(theirs[i]))
                        return false;
        *ret_case = memcmp(ours, theirs, n) == 0;
        return memcmp(ours + n, theirs + n, 4) == 0;
}

static int compare4(const void *a, const void *b)
{
        return memcmp(a, b, 4);
}

static int compare16(const void *a, const void *b)
{
        return memcmp(a, b, 16);
}

static uint32_t sort_unique(uint8_t *addrs, uint32_t n_addrs, size_t size)
{
        uint32_t n = 1;

        qsort(addrs, n_addrs, size, size == 4 ? compare4 : compare16);
        for (uint32_t i = 1; i < n_addrs; i++)
                if (memcmp(addrs + i * size, addrs + (n - 1) * size, size) != 0)
                        memmove(addrs + n++ * size, addrs + i * size, size);
        return n;
}

/* One record of the answer section; false if it spoils the whole answer, with the reason in @answer. */
static bool take_record(const struct dns_rules *rules, const struct dns_name *name, uint16_t type,
                        const struct dns_record *record, const uint8_t *data, struct dns_answer *answer, uint8_t *addrs)
{
        size_t size = type == DNS_TYPE_A ? 4 : 16;
        uint8_t family = type == DNS_TYPE_A ? AF_INET : AF_INET6;

        if (dns_record_is_alias(record, name)) {
                *answer = dns_failure(KHS_REASON_MALFORMED);
                return false;
        }
        if (record->class != DNS_CLASS_IN || record->type != type || !dns_name_equal(&record->owner, name))
                return true;
        if (record->n_data != size) {
                *answer = dns_failure(KHS_REASON_MALFORMED);
                return false;
        }

        if (record->ttl_s < answer->ttl_s)
                answer->ttl_s = record->ttl_s;
        if (!address_is_pod(family, data, rules->allow_cidr, rules->n_allow_cidr)) {
                answer->n_dropped++;
                return true;
        }
        if (answer->n_addrs >= KHS_MAX_ADDRS) {
                *answer = dns_failure(KHS_REASON_TRUNCATED);
                return false;
        }
        memcpy(addrs + answer->n_addrs++ * size, data, size);
        return true;
}

static struct dns_answer read_sections(const struct dns_rules *rules, const struct dns_question *question,
                                       struct dns_view *view, uint8_t *addrs)
{
        struct dns_answer answer = { .kind = FINDING_ANSWER, .ttl_s = UINT32_MAX };
        struct dns_name name = dns_question_name(question);
        uint16_t type = dns_question_type(question);
        size_t n_records = dns_view_count(view, DNS_SECTION_ANSWER);
        struct dns_record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(view, &record))
                        return dns_failure(KHS_REASON_MALFORMED);
                if (!take_record(rules, &name, type, &record, view->packet + record.data, &answer, addrs))
                        return answer;
        }
        if (answer.n_addrs + answer.n_dropped == 0)
                return dns_read_negative(rules, &name, view);
        if (dns_reply_rcode(view) != DNS_RCODE_NOERROR) /* "no such name", and here are its addresses */
                return dns_failure(KHS_REASON_MALFORMED);
        if (answer.n_addrs == 0) {
                struct dns_answer filtered = dns_failure(KHS_REASON_FILTERED);

                filtered.n_dropped = answer.n_dropped;
                return filtered;
        }
        answer.n_addrs = sort_unique(addrs, answer.n_addrs, type == DNS_TYPE_A ? 4 : 16);
        return answer;
}

void dns_answer_read(const struct dns_rules *rules, const struct dns_question *question, const uint8_t *packet,
                     size_t n_packet, struct dns_answer *ret, uint8_t *ret_addrs)
{
        struct dns_view view;

        if (!dns_reply_open(question, packet, n_packet, &view, ret))
                return;
        if (dns_reply_is_cut(&view)) {
                *ret = dns_failure(KHS_REASON_TRUNCATED);
                ret->ask_tcp = true;
                return;
        }
        *ret = read_sections(rules, question, &view, ret_addrs);
}
