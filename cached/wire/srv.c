/*
 * A reply is read in one pass: the answer section gives the targets, which are then sorted; the additional
 * section is matched with them by binary search, since a service of thousands of pods fills 64 KiB.
 *
 * A truncated SRV reply is read as far as it goes, and a section that ends early is then no error: what it
 * names exists. A whole reply that cannot be read to its end is refused as a whole.
 */

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "wire/srv.h"

#define SRV_FIXED 6U /* priority, weight, port */

/* ---- the answer section ---- */

/* The name that fills a record's data from @skip on, to its last byte. */
static bool srv_get_name(const struct dns_view *view, const struct dns_record *record, size_t skip,
                         struct dns_name *ret)
{
        struct dns_view data = { view->packet, record->data + record->n_data, record->data + skip };

        return record->n_data > skip && dns_view_get_name(&data, ret) && data.at == data.n;
}

static int srv_compare(const void *a, const void *b)
{
        const struct dns_srv_target *x = a, *y = b;
        int order = strcmp(x->host, y->host);

        return order != 0 ? order : (x->port > y->port) - (x->port < y->port);
}

static void srv_sort(struct dns_srv *srv)
{
        uint32_t n = 0;

        qsort(srv->targets, srv->n_targets, sizeof(srv->targets[0]), srv_compare);
        for (uint32_t i = 0; i < srv->n_targets; i++)
                if (n == 0 || srv_compare(&srv->targets[i], &srv->targets[n - 1]) != 0)
                        srv->targets[n++] = srv->targets[i];
        srv->n_targets = n;
}

/* What is being read, and what of it. */
struct reading {
        struct dns_view view;
        struct dns_name name; /* that was asked for */
        const struct dns_name *service;
        uint16_t type;
        struct dns_srv *srv;
        uint32_t n_records; /* that were asked for, whether they count or not */
        bool cut;           /* there is more than can be read */
};

/* Return: false if it spoils the whole answer. */
static bool reading_take_target(struct reading *r, const struct dns_record *record)
{
        size_t skip = r->type == DNS_TYPE_SRV ? SRV_FIXED : 0;
        struct dns_srv_target *target;
        struct dns_name name;
        enum dns_relation relation = dns_answer_relation(record, &r->name, r->type);

        if (relation == DNS_OTHER)
                return true;
        if (relation == DNS_ALIAS || !srv_get_name(&r->view, record, skip, &name))
                return false;
        r->n_records++;
        if (r->srv->n_targets == DNS_SRV_TARGETS_MAX) {
                r->cut = true;
                return true;
        }
        target = &r->srv->targets[r->srv->n_targets];
        if (!dns_name_get_host(&name, r->service, target->host))
                return true;
        target->port = r->type == DNS_TYPE_SRV ? dns_get16(r->view.packet + record->data + 4) : 0;
        r->srv->n_targets++;
        return true;
}

/* Return: false if the answer is worth nothing. */
static bool reading_targets(struct reading *r)
{
        size_t n_records = dns_view_count(&r->view, DNS_SECTION_ANSWER);
        struct dns_record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(&r->view, &record)) {
                        r->view.at = r->view.n; /* cut here: nothing comes behind it */
                        return r->cut;
                }
                if (!reading_take_target(r, &record))
                        return false;
        }
        return r->n_records == 0 || dns_view_rcode(&r->view) == DNS_RCODE_NOERROR;
}

/* ---- the additional section ---- */

/* The first target with this host, or NULL. */
static const struct dns_srv_target *srv_find(const struct dns_srv *srv, const char *host)
{
        uint32_t low = 0, high = srv->n_targets;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (strcmp(srv->targets[middle].host, host) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < srv->n_targets && strcmp(srv->targets[low].host, host) == 0 ? &srv->targets[low] : NULL;
}

static bool reading_take_addr(struct reading *r, const struct dns_record *record)
{
        uint8_t family = record->type == DNS_TYPE_A ? AF_INET : AF_INET6;
        const struct dns_srv_target *target;
        char host[KHS_LABEL_MAX + 1];
        struct dns_srv_addr *addr;

        if (record->class != DNS_CLASS_IN || (record->type != DNS_TYPE_A && record->type != DNS_TYPE_AAAA) ||
            !dns_name_get_host(&record->owner, r->service, host))
                return true;
        if (record->n_data != address_size(family))
                return false;
        target = srv_find(r->srv, host);
        if (!target)
                return true;
        if (r->srv->n_addrs == DNS_SRV_ADDRS_MAX) {
                r->cut = true;
                return true;
        }
        addr = &r->srv->addrs[r->srv->n_addrs++];
        *addr = (struct dns_srv_addr){ .target = (uint16_t)(target - r->srv->targets), .family = family };
        memcpy(addr->bytes, r->view.packet + record->data, record->n_data);
        return true;
}

static bool reading_addrs(struct reading *r)
{
        size_t n_skip = dns_view_count(&r->view, DNS_SECTION_AUTHORITY);
        size_t n_records = n_skip + dns_view_count(&r->view, DNS_SECTION_ADDITIONAL);
        struct dns_record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(&r->view, &record))
                        return r->cut;
                if (i >= n_skip && !reading_take_addr(r, &record))
                        return false;
        }
        return true;
}

/* ---- answers ---- */

/* Return: whether there is an answer; else *ret_failure says why not, and nothing was read. */
static bool reading_begin(struct reading *r, const struct dns_question *question, const struct dns_name *service,
                          const uint8_t *packet, size_t n_packet, struct dns_srv *srv, struct dns_answer *ret_failure)
{
        srv->n_targets = srv->n_addrs = 0;
        *r = (struct reading){
                .name = dns_question_name(question),
                .service = service,
                .type = dns_question_type(question),
                .srv = srv,
        };
        if (!dns_answer_open(question, packet, n_packet, &r->view, ret_failure))
                return false;
        r->cut = dns_view_is_cut(&r->view);
        if (reading_targets(r)) {
                srv_sort(srv);
                return true;
        }
        srv->n_targets = 0;
        *ret_failure = dns_failure(KHS_REASON_MALFORMED);
        return false;
}

static struct dns_answer reading_end(const struct reading *r)
{
        struct dns_answer answer = { .kind = FINDING_ANSWER };

        if (r->cut) {
                answer = dns_failure(KHS_REASON_TRUNCATED);
                answer.ask_tcp = true;
        }
        return answer;
}

struct dns_answer dns_srv_read(const struct dns_name *domain, const struct dns_question *question,
                               const struct dns_name *service, const uint8_t *packet, size_t n_packet,
                               struct dns_srv *ret_srv)
{
        struct dns_answer failure;
        struct reading r;

        if (!reading_begin(&r, question, service, packet, n_packet, ret_srv, &failure))
                return failure;
        if (r.n_records == 0 && !r.cut)
                return dns_answer_negative(domain, &r.name, &r.view);
        if (reading_addrs(&r))
                return reading_end(&r);
        ret_srv->n_targets = ret_srv->n_addrs = 0;
        return dns_failure(KHS_REASON_MALFORMED);
}

struct dns_answer dns_ptr_read(const struct dns_question *question, const struct dns_name *service,
                               const uint8_t *packet, size_t n_packet, struct dns_srv *ret_srv)
{
        bool nxdomain;
        struct dns_answer failure;
        struct reading r;

        if (!reading_begin(&r, question, service, packet, n_packet, ret_srv, &failure))
                return failure;
        if (r.n_records > 0 || r.cut)
                return reading_end(&r);
        nxdomain = dns_view_rcode(&r.view) == DNS_RCODE_NXDOMAIN;
        return (struct dns_answer){ .kind = FINDING_NEGATIVE,
                                    .reason = nxdomain ? KHS_REASON_NXDOMAIN : KHS_REASON_NODATA };
}
