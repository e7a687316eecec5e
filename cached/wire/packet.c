/* Numbers, names and records, see wire/packet.h. */

#include <string.h>

#include "wire/packet.h"

#define NAME_HOPS_MAX 128 /* a name has at most 127 labels, an honest one a pointer or two */

static bool view_get(struct dns_view *view, size_t n, const uint8_t **ret)
{
        if (n > view->n - view->at)
                return false;
        *ret = view->packet + view->at;
        view->at += n;
        return true;
}

bool dns_view_get_name(struct dns_view *view, struct dns_name *ret)
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
                        at = dns_get16(view->packet + at) & 0x3fffU;
                        if (at >= start || at < DNS_HEADER_SIZE)
                                return false;
                        start = at;
                        hops++;
                        continue;
                }
                if (length > 63 || at + 1 + length > view->n || n + 1 + length > DNS_NAME_WIRE_MAX)
                        return false;
                ret->wire[n++] = length;
                for (size_t i = 1; i <= length; i++)
                        ret->wire[n++] = dns_lower(view->packet[at + i]);
                at += 1U + length;
                if (length == 0) {
                        ret->n = (uint8_t)n;
                        view->at = end ? end : at;
                        return true;
                }
        }
        return false;
}

bool dns_view_get_record(struct dns_view *view, struct dns_record *ret)
{
        const uint8_t *p;

        if (!dns_view_get_name(view, &ret->owner) || !view_get(view, 10, &p))
                return false;
        ret->type = dns_get16(p);
        ret->class = dns_get16(p + 2);
        ret->ttl_s = dns_get32(p + 4);
        if (ret->ttl_s >> 31) /* RFC 2181, 8 */
                ret->ttl_s = 0;
        ret->n_data = dns_get16(p + 8);
        ret->data = view->at;
        return view_get(view, ret->n_data, &p);
}

bool dns_reply_open(const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                    struct dns_view *ret_view, struct dns_answer *ret_answer)
{
        bool same_case = false;
        uint8_t rcode;

        if (!dns_reply_matches(question, packet, n_packet, &same_case)) {
                *ret_answer = dns_failure(KHS_REASON_MALFORMED);
                return false;
        }
        if (question->mixed_case && !same_case) {
                /* A forger who guessed the id, or a server that folds case: TCP tells them apart. */
                *ret_answer = dns_failure(KHS_REASON_MALFORMED);
                ret_answer->ask_tcp = true;
                return false;
        }
        *ret_view = (struct dns_view){ packet, n_packet, DNS_HEADER_SIZE + question->n_name + 4U };
        rcode = dns_reply_rcode(ret_view);
        if (rcode == DNS_RCODE_NOERROR || rcode == DNS_RCODE_NXDOMAIN || dns_reply_is_cut(ret_view))
                return true;
        *ret_answer = dns_failure(rcode == DNS_RCODE_SERVFAIL ? KHS_REASON_SERVFAIL : KHS_REASON_REFUSED);
        return false;
}

struct dns_name dns_question_name(const struct dns_question *question)
{
        struct dns_name name = { .n = question->n_name };

        for (size_t i = 0; i < name.n; i++)
                name.wire[i] = dns_lower(question->packet[DNS_HEADER_SIZE + i]);
        return name;
}

uint16_t dns_question_type(const struct dns_question *question)
{
        return dns_get16(question->packet + DNS_HEADER_SIZE + question->n_name);
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
        return a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

bool dns_record_is_alias(const struct dns_record *record, const struct dns_name *name)
{
        if (record->class != DNS_CLASS_IN)
                return false;
        if (record->type == DNS_TYPE_DNAME)
                return dns_name_below(name, &record->owner);
        return record->type == DNS_TYPE_CNAME && dns_name_equal(&record->owner, name);
}

/* Looks for the SOA that tells whose negative this is, and for how long (RFC 2308, 5). */
struct dns_answer dns_read_negative(const struct dns_rules *rules, const struct dns_name *name, struct dns_view *view)
{
        bool nxdomain = dns_reply_rcode(view) == DNS_RCODE_NXDOMAIN;
        struct dns_answer answer = { .kind = FINDING_NEGATIVE };
        size_t n_records = dns_view_count(view, DNS_SECTION_AUTHORITY);
        struct dns_record record;

        answer.reason = nxdomain ? KHS_REASON_NXDOMAIN : KHS_REASON_NODATA;
        for (size_t i = 0; i < n_records; i++) {
                uint32_t minimum;

                if (!dns_view_get_record(view, &record))
                        return dns_failure(KHS_REASON_MALFORMED);
                if (record.type != DNS_TYPE_SOA || record.class != DNS_CLASS_IN)
                        continue;
                if (!dns_name_below(&record.owner, &rules->domain) || !dns_name_below(name, &record.owner))
                        continue;
                if (record.n_data < 22) /* two root names and five numbers */
                        return dns_failure(KHS_REASON_MALFORMED);
                minimum = dns_get32(view->packet + record.data + record.n_data - 4);
                minimum = minimum >> 31 ? 0 : minimum;
                answer.ttl_s = minimum < record.ttl_s ? minimum : record.ttl_s;
                return answer;
        }
        return dns_failure(KHS_REASON_FOREIGN);
}
