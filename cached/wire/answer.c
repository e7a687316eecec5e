/*
 * Why not ares_parse_a_reply() and friends: they cut long answers in silence, take quadratic time, follow
 * CNAMEs anywhere and forget who owned the SOA of a negative. This reader takes only records whose owner is
 * the name that was asked, and refuses a reply as a whole rather than serve a part of it.
 *
 * A negative counts only with an SOA of the cluster domain or of a zone below it. "There is no such name"
 * from an ordinary resolver, which does not know the cluster, would withdraw every address.
 */

#include <netinet/in.h>
#include <string.h>

#include "base/address.h"
#include "wire/answer.h"

bool dns_answer_open(const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                     struct dns_view *ret_view, struct dns_answer *ret_failure)
{
        bool same_case = false;
        uint8_t rcode;

        if (!dns_question_matches(question, packet, n_packet, &same_case)) {
                *ret_failure = dns_failure(KHS_REASON_MALFORMED);
                return false;
        }
        if ((question->dress & DNS_MIXED_CASE) && !same_case) {
                /* A forger who guessed the id, or a server that folds case: TCP tells them apart. */
                *ret_failure = dns_failure(KHS_REASON_MALFORMED);
                ret_failure->ask_tcp = true;
                return false;
        }
        *ret_view = (struct dns_view){ packet, n_packet, DNS_HEADER_SIZE + question->n_name + 4U };
        rcode = dns_view_rcode(ret_view);
        if (rcode == DNS_RCODE_NOERROR || rcode == DNS_RCODE_NXDOMAIN || dns_view_is_cut(ret_view))
                return true;
        *ret_failure = dns_failure(rcode == DNS_RCODE_SERVFAIL ? KHS_REASON_SERVFAIL : KHS_REASON_REFUSED);
        return false;
}

enum dns_relation dns_answer_relation(const struct dns_record *record, const struct dns_name *name, uint16_t type)
{
        if (record->class != DNS_CLASS_IN)
                return DNS_OTHER;
        if (record->type == DNS_TYPE_DNAME)
                return dns_name_below(name, &record->owner) ? DNS_ALIAS : DNS_OTHER;
        if ((record->type != type && record->type != DNS_TYPE_CNAME) || !dns_name_equal(&record->owner, name))
                return DNS_OTHER;
        return record->type == type ? DNS_ASKED : DNS_ALIAS;
}

/*
 * Looks for the cluster's SOA in the next @n_records. Return: 1 found, with its record; 0 not there;
 * -1 they can't be read.
 */
static int answer_find_soa(const struct dns_name *domain, const struct dns_name *name, struct dns_view *view,
                           size_t n_records, struct dns_record *ret)
{
        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(view, ret))
                        return -1;
                if (ret->type == DNS_TYPE_SOA && ret->class == DNS_CLASS_IN && dns_name_below(&ret->owner, domain) &&
                    dns_name_below(name, &ret->owner))
                        return ret->n_data < 22 ? -1 : 1; /* two root names and five numbers */
        }
        return 0;
}

struct dns_answer dns_answer_negative(const struct dns_name *domain, const struct dns_name *name, struct dns_view *view)
{
        size_t n_records = dns_view_count(view, DNS_SECTION_AUTHORITY);
        struct dns_answer answer = { .kind = FINDING_NEGATIVE };
        struct dns_record soa;
        uint32_t minimum;
        int found = answer_find_soa(domain, name, view, n_records, &soa);

        if (found <= 0)
                return dns_failure(found < 0 ? KHS_REASON_MALFORMED : KHS_REASON_FOREIGN);
        minimum = dns_get32(view->packet + soa.data + soa.n_data - 4);
        minimum = minimum >> 31 ? 0 : minimum;
        answer.ttl_s = minimum < soa.ttl_s ? minimum : soa.ttl_s; /* RFC 2308, 5 */
        answer.reason = dns_view_rcode(view) == DNS_RCODE_NXDOMAIN ? KHS_REASON_NXDOMAIN : KHS_REASON_NODATA;
        return answer;
}

bool dns_answer_shows_domain(const struct dns_name *domain, const struct dns_question *question, const uint8_t *packet,
                             size_t n_packet)
{
        struct dns_answer failure;
        struct dns_record soa;
        struct dns_view view;

        return dns_answer_open(question, packet, n_packet, &view, &failure) &&
               answer_find_soa(domain, domain, &view, dns_view_count(&view, DNS_SECTION_ANSWER), &soa) == 1;
}

/* One record of the answer section. Return: 0, or the enum khs_reason for which the whole answer is worthless. */
static enum khs_reason answer_take(struct dns_answer *answer, const struct dns_record *record,
                                   enum dns_relation relation, size_t size, const uint8_t *data, uint8_t *addrs)
{
        if (relation == DNS_OTHER)
                return KHS_REASON_NONE;
        if (relation == DNS_ALIAS || record->n_data != size)
                return KHS_REASON_MALFORMED;
        if (answer->n_addrs == KHS_MAX_ADDRS)
                return KHS_REASON_TRUNCATED;
        if (record->ttl_s < answer->ttl_s)
                answer->ttl_s = record->ttl_s;
        memcpy(addrs + answer->n_addrs++ * size, data, size);
        return KHS_REASON_NONE;
}

struct dns_answer dns_answer_read(const struct dns_name *domain, const struct dns_question *question,
                                  const uint8_t *packet, size_t n_packet, uint8_t *ret_addrs)
{
        struct dns_answer answer = { .kind = FINDING_ANSWER, .ttl_s = UINT32_MAX }, failure;
        struct dns_name name = dns_question_name(question);
        uint16_t type = dns_question_type(question);
        uint8_t family = type == DNS_TYPE_A ? AF_INET : AF_INET6;
        struct dns_record record;
        struct dns_view view;
        size_t n_records;

        if (!dns_answer_open(question, packet, n_packet, &view, &failure))
                return failure;
        if (dns_view_is_cut(&view)) {
                failure = dns_failure(KHS_REASON_TRUNCATED);
                failure.ask_tcp = true;
                return failure;
        }
        n_records = dns_view_count(&view, DNS_SECTION_ANSWER);
        for (size_t i = 0; i < n_records; i++) {
                enum khs_reason reason;

                if (!dns_view_get_record(&view, &record))
                        return dns_failure(KHS_REASON_MALFORMED);
                reason = answer_take(&answer, &record, dns_answer_relation(&record, &name, type), address_size(family),
                                     packet + record.data, ret_addrs);
                if (reason != KHS_REASON_NONE)
                        return dns_failure(reason);
        }
        if (answer.n_addrs == 0)
                return dns_answer_negative(domain, &name, &view);
        if (dns_view_rcode(&view) != DNS_RCODE_NOERROR) /* "no such name", and here are its addresses */
                return dns_failure(KHS_REASON_MALFORMED);
        answer.n_addrs = addresses_sort(family, ret_addrs, answer.n_addrs);
        return answer;
}
