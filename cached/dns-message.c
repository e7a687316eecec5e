/*
 * DNS messages, see dns-message.h.
 *
 * Why not ares_parse_a_reply() and friends: they cut long answers in silence, take quadratic time,
 * follow CNAMEs anywhere and forget who owned the SOA of a negative. This reader takes a pointer
 * and a length, believes nothing else, and keeps these invariants:
 *
 *   - every read goes through struct view, which knows where the message ends;
 *   - a compression pointer must point before the name it stands in, and a name has at most
 *     NAME_HOPS_MAX of them: 64 KiB of pointers to pointers cost as much as an honest answer;
 *   - only records whose owner is the name that was asked count. A CNAME or DNAME is refused: the
 *     addresses of a headless service are under its own name, and an alias leads out of the cluster.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "address-filter.h"
#include "dns-message.h"

#define HEADER_SIZE   12U
#define NAME_HOPS_MAX 128 /* a name has at most 127 labels, an honest one a pointer or two */
#define CLASS_IN      1U
#define OPT_SIZE      11U

enum rcode { RCODE_NOERROR = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };

struct view {
        const uint8_t *packet;
        size_t n, at;
};

struct record {
        uint16_t type, class, n_data;
        uint32_t ttl_s;
        size_t data;
        struct dns_name owner;
};

static uint8_t lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static uint16_t get16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
        return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

int dns_name_parse(struct dns_name *ret, const char *text)
{
        struct dns_name name = {0};
        size_t n = 0;

        while (*text) {
                size_t n_label = strcspn(text, ".");

                if (n_label == 0 || n_label > 63 || n + n_label + 2 > DNS_NAME_WIRE_MAX)
                        return -EINVAL;
                name.wire[n++] = (uint8_t)n_label;
                for (size_t i = 0; i < n_label; i++)
                        name.wire[n++] = lower((uint8_t)text[i]);
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
                uint8_t *c = &question->packet[HEADER_SIZE + i];

                /* Lengths of labels are below 64, so only letters are touched. */
                if (*c >= 'a' && *c <= 'z' && (bits[i / 8] >> (i % 8) & 1))
                        *c = (uint8_t)(*c - 'a' + 'A');
        }
        question->mixed_case = true;
}

void dns_question_build(struct dns_question *ret, const struct dns_name *name, uint16_t type, bool udp,
                        const uint8_t random[34])
{
        struct dns_question question = {.n_name = name->n};
        uint8_t *p = question.packet;
        size_t n = HEADER_SIZE;

        memcpy(p, random, 2);
        p[2] = 1; /* RD: a resolver in front of the cluster's would not ask on without it */
        put16(p + 4, 1);
        memcpy(p + n, name->wire, name->n);
        n += name->n;
        put16(p + n, type);
        put16(p + n + 2, CLASS_IN);
        n += 4;
        if (udp) {
                randomize_case(&question, random + 2);
                put16(p + 10, 1);
                put16(p + n + 1, DNS_TYPE_OPT); /* owner: the root, one zero byte */
                put16(p + n + 3, DNS_EDNS_SIZE);
                n += OPT_SIZE; /* extended rcode, version, flags, no options */
        }
        question.n = (uint16_t)n;
        *ret = question;
}

static bool view_get(struct view *view, size_t n, const uint8_t **ret)
{
        if (n > view->n - view->at)
                return false;
        *ret = view->packet + view->at;
        view->at += n;
        return true;
}

/* Reads a name, follows pointers, and leaves the view behind it. */
static bool view_get_name(struct view *view, struct dns_name *ret)
{
        size_t at = view->at, start = view->at, end = 0, n = 0;

        for (unsigned int hops = 0; hops <= NAME_HOPS_MAX;) {
                uint8_t length;

                if (at >= view->n)
                        return false;
                length = view->packet[at];
                if (length >= 0xc0) {
                        if (at + 2 > view->n)
                                return false;
                        end = end ? end : at + 2;
                        at = get16(view->packet + at) & 0x3fffU;
                        if (at >= start || at < HEADER_SIZE)
                                return false;
                        start = at;
                        hops++;
                        continue;
                }
                if (length > 63 || at + 1 + length > view->n || n + 1 + length > DNS_NAME_WIRE_MAX)
                        return false;
                ret->wire[n++] = length;
                for (size_t i = 1; i <= length; i++)
                        ret->wire[n++] = lower(view->packet[at + i]);
                at += 1U + length;
                if (length == 0) {
                        ret->n = (uint8_t)n;
                        view->at = end ? end : at;
                        return true;
                }
        }
        return false;
}

static bool view_get_record(struct view *view, struct record *ret)
{
        const uint8_t *p;

        if (!view_get_name(view, &ret->owner) || !view_get(view, 10, &p))
                return false;
        ret->type = get16(p);
        ret->class = get16(p + 2);
        ret->ttl_s = get32(p + 4);
        if (ret->ttl_s >> 31) /* RFC 2181, 8 */
                ret->ttl_s = 0;
        ret->n_data = get16(p + 8);
        ret->data = view->at;
        return view_get(view, ret->n_data, &p);
}

bool dns_reply_matches(const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                       bool *ret_case)
{
        const uint8_t *ours = question->packet + HEADER_SIZE, *theirs = packet + HEADER_SIZE;
        size_t n = question->n_name;

        if (n_packet < HEADER_SIZE + n + 4)
                return false;
        if ((packet[2] & 0xf8) != 0x80 || get16(packet + 4) != 1) /* QR, opcode QUERY, one question */
                return false;
        for (size_t i = 0; i < n; i++)
                if (lower(ours[i]) != lower(theirs[i]))
                        return false;
        *ret_case = memcmp(ours, theirs, n) == 0;
        return memcmp(ours + n, theirs + n, 4) == 0;
}

static struct dns_answer failure(enum khs_reason reason)
{
        return (struct dns_answer){.kind = SOURCE_FAILURE, .reason = (uint8_t)reason};
}

static struct dns_name question_name(const struct dns_question *question)
{
        struct dns_name name = {.n = question->n_name};

        for (size_t i = 0; i < name.n; i++)
                name.wire[i] = lower(question->packet[HEADER_SIZE + i]);
        return name;
}

/* Looks for the SOA that tells whose negative this is, and for how long (RFC 2308, 5). */
static struct dns_answer read_negative(const struct dns_rules *rules, const struct dns_name *name,
                                       struct view *view, uint8_t rcode)
{
        struct dns_answer answer = {.kind = SOURCE_NEGATIVE};
        size_t n_records = get16(view->packet + 8);
        struct record record;

        answer.reason = rcode == RCODE_NXDOMAIN ? KHS_REASON_NXDOMAIN : KHS_REASON_NODATA;
        for (size_t i = 0; i < n_records; i++) {
                uint32_t minimum;

                if (!view_get_record(view, &record))
                        return failure(KHS_REASON_MALFORMED);
                if (record.type != DNS_TYPE_SOA || record.class != CLASS_IN)
                        continue;
                if (!dns_name_below(&record.owner, &rules->domain) || !dns_name_below(name, &record.owner))
                        continue;
                if (record.n_data < 22) /* two root names and five numbers */
                        return failure(KHS_REASON_MALFORMED);
                minimum = get32(view->packet + record.data + record.n_data - 4);
                minimum = minimum >> 31 ? 0 : minimum;
                answer.ttl_s = minimum < record.ttl_s ? minimum : record.ttl_s;
                return answer;
        }
        return failure(KHS_REASON_FOREIGN);
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
                        const struct record *record, const uint8_t *data, struct dns_answer *answer,
                        uint8_t *addrs)
{
        size_t size = type == DNS_TYPE_A ? 4 : 16;
        uint8_t family = type == DNS_TYPE_A ? AF_INET : AF_INET6;

        if (record->class != CLASS_IN)
                return true;
        if (record->type == DNS_TYPE_DNAME && dns_name_below(name, &record->owner)) {
                *answer = failure(KHS_REASON_MALFORMED);
                return false;
        }
        if (record->owner.n != name->n || memcmp(record->owner.wire, name->wire, name->n) != 0)
                return true;
        if (record->type == DNS_TYPE_CNAME || (record->type == type && record->n_data != size)) {
                *answer = failure(KHS_REASON_MALFORMED);
                return false;
        }
        if (record->type != type)
                return true;

        if (record->ttl_s < answer->ttl_s)
                answer->ttl_s = record->ttl_s;
        if (!address_is_pod(family, data, rules->allow_cidr, rules->n_allow_cidr)) {
                answer->n_dropped++;
                return true;
        }
        if (answer->n_addrs >= KHS_MAX_ADDRS) {
                *answer = failure(KHS_REASON_TRUNCATED);
                return false;
        }
        memcpy(addrs + answer->n_addrs++ * size, data, size);
        return true;
}

static struct dns_answer read_sections(const struct dns_rules *rules, const struct dns_question *question,
                                       struct view *view, uint8_t *addrs)
{
        struct dns_answer answer = {.kind = SOURCE_ANSWER, .ttl_s = UINT32_MAX};
        struct dns_name name = question_name(question);
        uint16_t type = get16(question->packet + HEADER_SIZE + question->n_name);
        uint8_t rcode = view->packet[3] & 0x0f;
        size_t n_records = get16(view->packet + 6);
        struct record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!view_get_record(view, &record))
                        return failure(KHS_REASON_MALFORMED);
                if (!take_record(rules, &name, type, &record, view->packet + record.data, &answer, addrs))
                        return answer;
        }
        if (answer.n_addrs + answer.n_dropped == 0)
                return read_negative(rules, &name, view, rcode);
        if (rcode != RCODE_NOERROR) /* "no such name", and here are its addresses */
                return failure(KHS_REASON_MALFORMED);
        if (answer.n_addrs == 0) {
                struct dns_answer filtered = failure(KHS_REASON_FILTERED);

                filtered.n_dropped = answer.n_dropped;
                return filtered;
        }
        answer.n_addrs = sort_unique(addrs, answer.n_addrs, type == DNS_TYPE_A ? 4 : 16);
        return answer;
}

void dns_answer_read(const struct dns_rules *rules, const struct dns_question *question,
                     const uint8_t *packet, size_t n_packet, struct dns_answer *ret, uint8_t *ret_addrs)
{
        struct view view = {.packet = packet, .n = n_packet};
        bool same_case = false;
        uint8_t rcode;

        if (!dns_reply_matches(question, packet, n_packet, &same_case)) {
                *ret = failure(KHS_REASON_MALFORMED);
                return;
        }
        rcode = packet[3] & 0x0f;
        view.at = HEADER_SIZE + question->n_name + 4;

        if (question->mixed_case && !same_case) {
                /* A forger who guessed the id, or a server that folds case: TCP tells them apart. */
                *ret = failure(KHS_REASON_MALFORMED);
                ret->ask_tcp = true;
        } else if (packet[2] & 0x02) { /* TC: a part is never published as the whole */
                *ret = failure(KHS_REASON_TRUNCATED);
                ret->ask_tcp = true;
        } else if (rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN) {
                *ret = read_sections(rules, question, &view, ret_addrs);
        } else {
                *ret = failure(rcode == RCODE_SERVFAIL ? KHS_REASON_SERVFAIL : KHS_REASON_REFUSED);
        }
}
