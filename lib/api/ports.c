/*
 * Ports are what getaddrinfo() lacks. Where all endpoints have the same one, it stands in the record; otherwise each
 * endpoint's is looked up in the attributes, by name or by ordinal.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "api/ports.h"

/* Whether endpoints may have ports of their own, as far as can be said without a look at them. */
static bool ports_may_differ(const struct khs_lookup *l, const struct khs_port *wanted)
{
        const struct khs_record *record = &l->found.record;

        return wanted->kind != KHS_PORT_NUMBER && record->attrs != 0 &&
               (wanted->kind != KHS_PORT_NONE || (uint16_t)record->port == 0);
}

static uint16_t ports_common(const struct khs_lookup *l, const struct khs_port *wanted)
{
        if (wanted->kind == KHS_PORT_NONE)
                return (uint16_t)l->found.record.port;
        return wanted->kind == KHS_PORT_NUMBER ? wanted->number : 0;
}

/*
 * Ports out of the attributes, if these can say one of any endpoint. They may be gone, then so is the
 * record. A pod's are open, and stay what it was found by.
 */
static bool ports_open(struct khs_lookup *l, const struct khs_port *wanted)
{
        const struct khs_attrs *head = &l->attrs.head;

        if (l->n_pod == 0 && khs_attrs_open(l->view, &l->found, &l->attrs) < 0)
                return false;
        return wanted->kind == KHS_PORT_BASE || head->ports > head->port_sets ||
               (wanted->kind == KHS_PORT_NONE && (head->port_base > 0 || head->row_ports > 0));
}

void khs_ports_plan(struct khs_ports *ret, struct khs_lookup *l, const struct khs_port *wanted)
{
        ret->attrs = NULL;
        ret->number = ports_common(l, wanted);
        if (!ports_may_differ(l, wanted) || !ports_open(l, wanted))
                return;
        *ret = (struct khs_ports){ .wanted = wanted, .attrs = &l->attrs };
        khs_lookup_shared(l);
}

bool khs_ports_plan_rows(struct khs_ports *ret, struct khs_lookup *l, const struct khs_port *wanted)
{
        bool known = true;

        khs_ports_plan(ret, l, wanted);
        if (!ret->attrs) {
                known = l->n_pod > 0 || khs_attrs_open(l->view, &l->found, &l->attrs) == 0;
                if (known)
                        khs_lookup_shared(l);
        }
        l->v4.first = l->v6.first = 0;
        return known;
}

static uint16_t ports_from_base(uint32_t base, int32_t ordinal)
{
        return base > 0 && ordinal >= 0 && (uint32_t)ordinal <= UINT16_MAX - base ? (uint16_t)(base + (uint32_t)ordinal)
                                                                                  : 0;
}

/* Most endpoints of a service have the same ports. */
static uint16_t ports_in_set(struct khs_ports *ports, const struct khs_lookup *l, const struct khs_attr_row *row)
{
        const struct khs_port *wanted = ports->wanted;

        if (row->port_set != ports->set) {
                bool named = wanted->kind == KHS_PORT_NAME;

                ports->set = row->port_set;
                ports->in_set = khs_attrs_port(l->view, ports->attrs, row, named ? wanted->name : NULL,
                                               strlen(wanted->name), wanted->udp ? IPPROTO_UDP : IPPROTO_TCP);
        }
        return ports->in_set;
}

uint16_t khs_ports_of_row(struct khs_ports *ports, const struct khs_lookup *l, uint32_t number,
                          const struct khs_attr_row *row)
{
        uint32_t base = ports->attrs->head.port_base;

        if (ports->wanted->kind == KHS_PORT_BASE)
                base = ports->wanted->number;
        else if (ports->wanted->kind == KHS_PORT_NONE && base == 0 && row->port_set == 0)
                return khs_attrs_row_port(l->view, ports->attrs, number);
        else if (ports->wanted->kind == KHS_PORT_NAME || base == 0)
                return ports_in_set(ports, l, row);
        return ports_from_base(base, khs_attr_ordinal(row));
}

uint16_t khs_ports_of(struct khs_ports *ports, const struct khs_lookup *l, int family, uint32_t i)
{
        uint32_t number = khs_lookup_row(l, family, i);
        struct khs_attr_row row;

        if (number == KHS_NO_ROW)
                return 0;
        khs_attrs_row(l->view, ports->attrs, number, &row);
        return khs_ports_of_row(ports, l, number, &row);
}
