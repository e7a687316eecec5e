/* SRV and PTR, see wire/srv.h. */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/packet.h"
#include "wire/srv.h"

#define SRV_FIXED 6U /* priority, weight, port */

/* ---- names ---- */

/* A label, behind a prefix of its own, in front of a name. */
static int prepend(struct dns_name *ret, const char *prefix, const char *label, const struct dns_name *name)
{
        size_t n_prefix = strlen(prefix), n = n_prefix + strlen(label);
        struct dns_name longer;

        if (n == 0 || n > KHS_LABEL_MAX || 1 + n + name->n > DNS_NAME_WIRE_MAX)
                return -EINVAL;
        longer.wire[0] = (uint8_t)n;
        memcpy(longer.wire + 1, prefix, n_prefix);
        memcpy(longer.wire + 1 + n_prefix, label, n - n_prefix);
        memcpy(longer.wire + 1 + n, name->wire, name->n);
        longer.n = (uint8_t)(1 + n + name->n);
        *ret = longer;
        return 0;
}

int dns_srv_name(struct dns_name *ret, const struct khs_port *port, const struct dns_name *service)
{
        struct dns_name name;
        int r = prepend(&name, "_", port->udp ? "udp" : "tcp", service);

        return r < 0 ? r : prepend(ret, "_", port->name, &name);
}

int dns_host_name(struct dns_name *ret, const char *host, const struct dns_name *service)
{
        return prepend(ret, "", host, service);
}

void dns_ptr_name(struct dns_name *ret, uint8_t family, const uint8_t *bytes)
{
        char text[sizeof("255.255.255.255.in-addr.arpa") + 32 * 2] = "";
        size_t n = 0;

        if (family == AF_INET) {
                snprintf(text, sizeof(text), "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
        } else {
                for (size_t i = 16; i-- > 0; n += 4)
                        snprintf(text + n, sizeof(text) - n, "%x.%x.", bytes[i] & 15U, bytes[i] >> 4U);
                snprintf(text + n, sizeof(text) - n, "ip6.arpa");
        }
        (void)dns_name_parse(ret, text);
}

/* The host that a name means, if it is one label below the service. */
static bool host_of(const struct dns_name *name, const struct dns_name *service, char ret[static KHS_LABEL_MAX + 1])
{
        size_t n = name->wire[0];

        if (n == 0 || name->n != 1 + n + service->n || memcmp(name->wire + 1 + n, service->wire, service->n) != 0)
                return false;
        for (size_t i = 0; i < n; i++) {
                char c = (char)name->wire[1 + i];

                if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
                        return false;
                ret[i] = c;
        }
        ret[n] = '\0';
        return true;
}

/* ---- the answer section ---- */

/* The name that fills a record's data from @skip on, to its last byte. */
static bool get_data_name(const struct dns_view *view, const struct dns_record *record, size_t skip,
                          struct dns_name *ret)
{
        struct dns_view data = { view->packet, record->data + record->n_data, record->data + skip };

        return record->n_data > skip && dns_view_get_name(&data, ret) && data.at == data.n;
}

static int compare_targets(const void *a, const void *b)
{
        const struct dns_srv_target *x = a, *y = b;
        int order = strcmp(x->host, y->host);

        return order != 0 ? order : (x->port > y->port) - (x->port < y->port);
}

static void sort_targets(struct dns_srv *srv)
{
        uint32_t n = 0;

        qsort(srv->targets, srv->n_targets, sizeof(srv->targets[0]), compare_targets);
        for (uint32_t i = 0; i < srv->n_targets; i++)
                if (n == 0 || compare_targets(&srv->targets[i], &srv->targets[n - 1]) != 0)
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
static bool take_target(struct reading *r, const struct dns_record *record)
{
        size_t skip = r->type == DNS_TYPE_SRV ? SRV_FIXED : 0;
        struct dns_srv_target *target;
        struct dns_name name;

        if (dns_record_is_alias(record, &r->name))
                return false;
        if (record->class != DNS_CLASS_IN || record->type != r->type || !dns_name_equal(&record->owner, &r->name))
                return true;
        if (!get_data_name(&r->view, record, skip, &name))
                return false;
        r->n_records++;
        if (r->srv->n_targets == DNS_SRV_TARGETS_MAX) {
                r->cut = true;
                return true;
        }
        target = &r->srv->targets[r->srv->n_targets];
        if (!host_of(&name, r->service, target->host))
                return true;
        target->port = r->type == DNS_TYPE_SRV ? dns_get16(r->view.packet + record->data + 4) : 0;
        r->srv->n_targets++;
        return true;
}

/* Return: false if the answer is worth nothing. */
static bool read_targets(struct reading *r)
{
        size_t n_records = dns_view_count(&r->view, DNS_SECTION_ANSWER);
        struct dns_record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(&r->view, &record)) {
                        r->view.at = r->view.n; /* cut here: nothing comes behind it */
                        return r->cut;
                }
                if (!take_target(r, &record))
                        return false;
        }
        return r->n_records == 0 || dns_reply_rcode(&r->view) == DNS_RCODE_NOERROR;
}

/* ---- the additional section ---- */

/* The first target with this host, or NULL. */
static const struct dns_srv_target *find_target(const struct dns_srv *srv, const char *host)
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

static bool take_addr(struct reading *r, const struct dns_record *record)
{
        uint8_t family = record->type == DNS_TYPE_A ? AF_INET : AF_INET6;
        const struct dns_srv_target *target;
        char host[KHS_LABEL_MAX + 1];
        struct dns_srv_addr *addr;

        if (record->class != DNS_CLASS_IN || (record->type != DNS_TYPE_A && record->type != DNS_TYPE_AAAA) ||
            !host_of(&record->owner, r->service, host))
                return true;
        if (record->n_data != (family == AF_INET ? 4 : 16))
                return false;
        target = find_target(r->srv, host);
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

static bool read_addrs(struct reading *r)
{
        size_t n_skip = dns_view_count(&r->view, DNS_SECTION_AUTHORITY);
        size_t n_records = n_skip + dns_view_count(&r->view, DNS_SECTION_ADDITIONAL);
        struct dns_record record;

        for (size_t i = 0; i < n_records; i++) {
                if (!dns_view_get_record(&r->view, &record))
                        return r->cut;
                if (i >= n_skip && !take_addr(r, &record))
                        return false;
        }
        return true;
}

/* ---- answers ---- */

/* Return: whether there is an answer; else *ret says why not, and nothing was read. */
static bool reading_begin(struct reading *r, const struct dns_question *question, const struct dns_name *service,
                          const uint8_t *packet, size_t n_packet, struct dns_answer *ret, struct dns_srv *srv)
{
        srv->n_targets = srv->n_addrs = 0;
        if (!dns_reply_open(question, packet, n_packet, &r->view, ret))
                return false;
        r->name = dns_question_name(question);
        r->service = service;
        r->type = dns_question_type(question);
        r->srv = srv;
        r->n_records = 0;
        r->cut = dns_reply_is_cut(&r->view);
        if (read_targets(r)) {
                sort_targets(srv);
                return true;
        }
        srv->n_targets = 0;
        *ret = dns_failure(KHS_REASON_MALFORMED);
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

void dns_srv_read(const struct dns_rules *rules, const struct dns_question *question, const struct dns_name *service,
                  const uint8_t *packet, size_t n_packet, struct dns_answer *ret, struct dns_srv *ret_srv)
{
        struct reading r;

        if (!reading_begin(&r, question, service, packet, n_packet, ret, ret_srv))
                return;
        if (r.n_records == 0 && !r.cut) {
                *ret = dns_read_negative(rules, &r.name, &r.view);
                return;
        }
        if (!read_addrs(&r)) {
                ret_srv->n_targets = ret_srv->n_addrs = 0;
                *ret = dns_failure(KHS_REASON_MALFORMED);
                return;
        }
        *ret = reading_end(&r);
}

void dns_ptr_read(const struct dns_question *question, const struct dns_name *service, const uint8_t *packet,
                  size_t n_packet, struct dns_answer *ret, struct dns_srv *ret_srv)
{
        struct reading r;

        if (!reading_begin(&r, question, service, packet, n_packet, ret, ret_srv))
                return;
        *ret = reading_end(&r);
        if (r.n_records == 0 && !r.cut)
                *ret = (struct dns_answer){
                        .kind = FINDING_NEGATIVE,
                        .reason = dns_reply_rcode(&r.view) == DNS_RCODE_NXDOMAIN ? KHS_REASON_NXDOMAIN
                                                                                 : KHS_REASON_NODATA,
                };
}
