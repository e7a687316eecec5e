/*
 * All that is known of a service's endpoints, in the caller's buffer:
 *
 *     element 0 | element 1 | ... | texts, each with its NUL, and arrays of ports, aligned to 4 bytes
 *          '--- host, node, zone, ports: offsets ---^
 *
 * The buffer is written twice, first with no room at all: that says how much is needed, so that a buffer which is too
 * small stays as it was. Zones and sets of ports, which endpoints have in common, are written once, a node's name once
 * for each run of its endpoints.
 *
 * No turn is taken, and the order is that of the table.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "api/handle.h"
#include "api/ports.h"

#define MAX_ENDPOINT_SIZE 4096U /* of an element, in a later version */
#define N_SETS            256U  /* a row's port_set is a byte, as is its zone */
#define STRING_MAX        256U

_Static_assert(sizeof(struct k8shsvc_endpoint) == 44, "ABI");
_Static_assert(sizeof(struct k8shsvc_port) == 8 && offsetof(struct k8shsvc_port, name) == 4, "ABI");
_Static_assert(K8SHSVC_READY == KHS_ATTR_READY && K8SHSVC_SERVING == KHS_ATTR_SERVING &&
                       K8SHSVC_TERMINATING == KHS_ATTR_TERMINATING,
               "ABI");

struct rows {
        const struct khs_lookup *l;
        bool known; /* whether there are attributes */
        struct khs_ports ports;

        char *buffer;
        size_t size;  /* of an element */
        size_t n_max; /* capacity; bytes behind it are counted, not written */
        size_t at;

        /* Where what endpoints have in common was written to. */
        uint32_t node, node_at;
        uint32_t zones[N_SETS];
        struct {
                uint32_t at;
                uint16_t n;
        } sets[N_SETS];
};

static void rows_store(struct rows *rows, size_t at, const void *bytes, size_t n)
{
        if (at <= rows->n_max && n <= rows->n_max - at)
                memcpy(rows->buffer + at, bytes, n);
}

/* What a smaller element lacks is left out, what a larger one has besides is 0. */
static void rows_store_element(struct rows *rows, size_t place, const struct k8shsvc_endpoint *endpoint)
{
        size_t n = rows->size < sizeof(*endpoint) ? rows->size : sizeof(*endpoint);

        if ((place + 1) * rows->size > rows->n_max)
                return;
        memset(rows->buffer + place * rows->size, 0, rows->size);
        memcpy(rows->buffer + place * rows->size, endpoint, n);
}

/* Return: the text's offset; 0: none. */
static uint32_t rows_add_text(struct rows *rows, const char *text, size_t n)
{
        size_t at = rows->at;

        if (n == 0)
                return 0;
        rows_store(rows, at, text, n + 1);
        rows->at += n + 1;
        return (uint32_t)at;
}

static void rows_add_ports(struct rows *rows, const struct khs_attr_row *row)
{
        const struct khs_lookup *l = rows->l;
        struct khs_attr_port port;
        char name[STRING_MAX];
        uint32_t n = 0;
        size_t at;

        while (khs_attrs_port_at(l->view, &l->attrs, row, n, &port))
                n++;
        if (n == 0)
                return;
        at = (rows->at + 3) / 4 * 4;
        rows->at = at + n * sizeof(struct k8shsvc_port);
        for (uint32_t i = 0; i < n && khs_attrs_port_at(l->view, &l->attrs, row, i, &port); i++) {
                struct k8shsvc_port out = { .number = port.number, .protocol = port.protocol };

                out.name = rows_add_text(rows, name, khs_attrs_string(l->view, &l->attrs, port.name, name));
                rows_store(rows, at + i * sizeof(out), &out, sizeof(out));
        }
        rows->sets[row->port_set].at = (uint32_t)at;
        rows->sets[row->port_set].n = (uint16_t)n;
}

/* Host, node, zone, ports, conditions and ordinal of one row. */
static void rows_read_attributes(struct rows *rows, uint32_t number, struct k8shsvc_endpoint *ret)
{
        const struct khs_lookup *l = rows->l;
        struct khs_attr_row row;
        char text[STRING_MAX];

        khs_attrs_row(l->view, &l->attrs, number, &row);
        if (rows->ports.attrs)
                ret->addr.port = khs_ports_of_row(&rows->ports, l, number, &row);
        ret->ordinal = (uint32_t)khs_attr_ordinal(&row); /* -1, none, is K8SHSVC_NO_ORDINAL */
        ret->conditions = khs_attr_flags(&row) & (KHS_ATTR_READY | KHS_ATTR_SERVING | KHS_ATTR_TERMINATING);
        if (khs_attrs_is_near(l->view, &l->attrs, number))
                ret->conditions |= K8SHSVC_NEAR;
        ret->host = rows_add_text(rows, text, khs_attrs_string(l->view, &l->attrs, row.host, text));
        if (row.node != rows->node) {
                rows->node_at = rows_add_text(rows, text, khs_attrs_node(l->view, &l->attrs, row.node, text));
                rows->node = row.node;
        }
        ret->node = rows->node_at;
        if (row.zone > 0 && rows->zones[row.zone] == 0)
                rows->zones[row.zone] = rows_add_text(rows, text, khs_attrs_zone(l->view, &l->attrs, row.zone, text));
        ret->zone = rows->zones[row.zone];
        if (row.port_set > 0 && rows->sets[row.port_set].n == 0)
                rows_add_ports(rows, &row);
        ret->n_ports = rows->sets[row.port_set].n;
        ret->ports = rows->sets[row.port_set].at;
}

/* The i-th endpoint of one family, as element @place. */
static void rows_add(struct rows *rows, int family, uint32_t i, size_t place)
{
        struct k8shsvc_endpoint endpoint = {
                .addr = { .family = (uint8_t)family, .port = rows->ports.number },
                .ordinal = K8SHSVC_NO_ORDINAL,
        };
        uint32_t number = khs_lookup_row(rows->l, family, i), address[4] = { 0 };

        khs_lookup_address(rows->l, family, i, address);
        memcpy(endpoint.addr.addr, address, sizeof(address));
        if (rows->known && number != KHS_NO_ROW)
                rows_read_attributes(rows, number, &endpoint);
        rows_store_element(rows, place, &endpoint);
}

/* Return: the bytes that are needed. */
static size_t rows_write(struct rows *rows, size_t n_max)
{
        const struct khs_lookup *l = rows->l;

        rows->n_max = n_max;
        rows->at = rows->size * ((size_t)l->v4.count + l->v6.count);
        rows->node = rows->node_at = 0;
        memset(rows->zones, 0, sizeof(rows->zones));
        memset(rows->sets, 0, sizeof(rows->sets));
        for (uint32_t i = 0; i < l->v4.count; i++)
                rows_add(rows, AF_INET, i, i);
        for (uint32_t i = 0; i < l->v6.count; i++)
                rows_add(rows, AF_INET6, i, l->v4.count + i);
        return rows->at;
}

struct endpoints {
        const struct khs_port *port;
        void *buffer;
        size_t size, n_max;
        size_t n, n_bytes; /* how many there are, and what they take */
};

static int endpoints_plan(struct khs_lookup *l, void *user)
{
        struct endpoints *e = user;
        struct rows rows = { .l = l, .buffer = e->buffer, .size = e->size };

        rows.known = khs_ports_plan_rows(&rows.ports, l, e->port);
        e->n = (size_t)l->v4.count + l->v6.count;
        e->n_bytes = rows_write(&rows, 0);
        if (e->n_bytes > e->n_max)
                return -ENOBUFS;
        (void)rows_write(&rows, e->n_max);
        return KHS_PLAN_DONE;
}

KHS_PUBLIC int k8shsvc_endpoints(k8shsvc *h, const char *name, int family, size_t size, struct k8shsvc_endpoint *ret,
                                 size_t *n_bytes, size_t *n_ret)
{
        struct endpoints endpoints = { .buffer = ret, .size = size };
        struct khs_request request;
        int r;

        if (!h || !name || !n_bytes || !n_ret || (!ret && *n_bytes > 0) || (uintptr_t)ret % 4 != 0)
                return -EINVAL;
        if (size < sizeof(struct k8shsvc_addr) || size > MAX_ENDPOINT_SIZE || size % 4 != 0)
                return -EINVAL;
        r = khs_request_init(&request, h, name, family);
        if (r < 0)
                return r;
        request.query.far = true;
        endpoints.port = request.port;
        endpoints.n_max = *n_bytes;
        r = khs_lookup(&request.query, endpoints_plan, NULL, &endpoints);
        if (r == -ENOBUFS)
                *n_bytes = endpoints.n_bytes;
        if (r < 0)
                return khs_request_error(&request, r);
        *n_ret = endpoints.n;
        return 0;
}
