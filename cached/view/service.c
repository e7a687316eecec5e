/*
 * Reading one record as a whole.
 *
 * A record may be replaced while it is read. So everything is copied first, and counts only if the record's seq says
 * afterwards that it is still the same; if not, the key is looked up again. Every number comes from a
 * file that may be damaged: the readers of lib/read bound what they return, and nothing else is believed.
 *
 *     record ------> state, policy, times
 *     addresses ---> endpoints[0 .. n4 + n6)
 *     rows --------> host, node, zone, conditions, ports of these, and of the shared ones behind them
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "read/attrs.h"
#include "table/policy.h"
#include "view/service.h"

#define MAX_TRIES  8
#define MAX_PORTS  65536U /* of all sets of one service */
#define N_SETS     256U   /* a row's port_set is a byte */
#define STRING_MAX 256U

struct reading {
        const struct view_table *table;
        const struct khs_found *found;
        struct khs_attrs_at attrs;
        struct view_service *service;
        size_t text_room, ports_room;

        /* Where what most rows have in common has been read to. */
        struct {
                bool known;
                uint32_t first, n;
        } sets[N_SETS];
        uint32_t zones[256];
        uint32_t node_number, node;
};

/* ---- what grows ---- */

static int service_add_text(struct reading *r, const char *text, size_t n, uint32_t *ret)
{
        struct view_service *s = r->service;

        if (n == 0) {
                *ret = 0;
                return 0;
        }
        if (s->n_text + n + 2 > r->text_room) {
                size_t room = (r->text_room + n + 2) * 2;
                char *larger = realloc(s->text, room);

                if (!larger)
                        return -ENOMEM;
                s->text = larger;
                r->text_room = room;
        }
        if (s->n_text == 0)
                s->text[s->n_text++] = '\0'; /* offset 0 is nobody's */
        *ret = (uint32_t)s->n_text;
        memcpy(s->text + s->n_text, text, n);
        s->text[s->n_text + n] = '\0';
        s->n_text += n + 1;
        return 0;
}

static int service_add_port(struct reading *r, const struct khs_attr_port *port)
{
        struct view_service *s = r->service;
        char name[STRING_MAX];
        uint32_t offset;
        int error;

        if (s->n_ports == r->ports_room) {
                size_t room = r->ports_room * 2 + 8;
                struct view_port *larger = reallocarray(s->ports, room, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                s->ports = larger;
                r->ports_room = room;
        }
        error = service_add_text(r, name, khs_attrs_string(&r->table->file.view, &r->attrs, port->name, name), &offset);
        if (error < 0)
                return error;
        s->ports[s->n_ports++] =
                (struct view_port){ .name = offset, .number = port->number, .protocol = port->protocol };
        return 0;
}

/* ---- endpoints ---- */

static int service_read_ports(struct reading *r, const struct khs_attr_row *row, struct view_endpoint *ret)
{
        typeof(&r->sets[0]) set = &r->sets[row->port_set];
        struct khs_attr_port port;
        int error;

        if (!set->known) {
                set->first = r->service->n_ports;
                for (uint32_t i = 0; r->service->n_ports < MAX_PORTS &&
                                     khs_attrs_port_at(&r->table->file.view, &r->attrs, row, i, &port);
                     i++) {
                        error = service_add_port(r, &port);
                        if (error < 0)
                                return error;
                }
                set->n = r->service->n_ports - set->first;
                set->known = true;
        }
        ret->first_port = set->first;
        ret->n_ports = set->n;
        return 0;
}

static int service_read_place(struct reading *r, const struct khs_attr_row *row, struct view_endpoint *ret)
{
        const struct khs_view *view = &r->table->file.view;
        char text[STRING_MAX];
        int error = 0;

        if (row->node != r->node_number) {
                error = service_add_text(r, text, khs_attrs_node(view, &r->attrs, row->node, text), &r->node);
                r->node_number = row->node;
        }
        if (error == 0 && row->zone > 0 && r->zones[row->zone] == 0)
                error = service_add_text(r, text, khs_attrs_zone(view, &r->attrs, row->zone, text),
                                         &r->zones[row->zone]);
        ret->node = r->node;
        ret->zone = r->zones[row->zone];
        return error;
}

/* The port that a program gets which asks for none. */
static uint16_t service_read_default_port(const struct view_service *s, const struct view_endpoint *e)
{
        if (s->port > 0)
                return s->port;
        if (s->port_base > 0)
                return e->ordinal >= 0 && e->ordinal <= UINT16_MAX - s->port_base
                               ? (uint16_t)(s->port_base + e->ordinal)
                               : 0;
        return e->n_ports > 0 ? s->ports[e->first_port].number : e->port;
}

/* DNS knows nothing of zones and nodes, and other orders do not ask. */
static bool service_knows_near(const struct view_service *s)
{
        uint32_t order = khs_policy_order(s->policy);

        return s->source == KHS_SOURCE_KUBERNETES && (order == KHS_ORDER_ZONE || order == KHS_ORDER_NODE);
}

static int service_read_row(struct reading *r, uint32_t i)
{
        const struct khs_view *view = &r->table->file.view;
        struct view_endpoint *e = &r->service->endpoints[i];
        uint32_t address = khs_attrs_address(view, &r->attrs, i);
        struct khs_attr_row row;
        char host[STRING_MAX];
        int error;

        if (i != address && address >= i)
                return -EBADMSG;
        if (i != address) {
                e->family = r->service->endpoints[address].family;
                e->near = r->service->endpoints[address].near;
                memcpy(e->address, r->service->endpoints[address].address, sizeof(e->address));
        }
        khs_attrs_row(view, &r->attrs, i, &row);
        e->ordinal = khs_attr_ordinal(&row);
        e->port = row.port_set == 0 ? khs_attrs_row_port(view, &r->attrs, i) : 0;
        if (service_knows_near(r->service))
                e->near = khs_attrs_is_near(view, &r->attrs, i) ? VIEW_YES : VIEW_NO;
        e->flags = khs_attr_flags(&row);
        e->is_condition_known = e->flags != 0 || r->service->source == KHS_SOURCE_KUBERNETES;
        error = service_add_text(r, host, khs_attrs_string(view, &r->attrs, row.host, host), &e->host);
        if (error == 0)
                error = service_read_place(r, &row, e);
        if (error == 0)
                error = service_read_ports(r, &row, e);
        return error;
}

static void service_read_addresses(struct reading *r)
{
        struct view_service *s = r->service;
        const struct khs_view *view = &r->table->file.view;

        for (uint32_t i = 0; i < s->n4 + s->n6; i++)
                s->endpoints[i] = (struct view_endpoint){
                        .family = i < s->n4 ? AF_INET : AF_INET6,
                        .near = VIEW_UNKNOWN,
                        .ordinal = -1,
                };
        if (s->n4 > 0)
                khs_found_copy(view, r->found, AF_INET, 0, s->n4, s->endpoints[0].address, sizeof(*s->endpoints));
        if (s->n6 > 0)
                khs_found_copy(view, r->found, AF_INET6, 0, s->n6, s->endpoints[s->n4].address, sizeof(*s->endpoints));
        s->n_endpoints = s->n4 + s->n6;
}

static int service_read_endpoints(struct reading *r)
{
        struct view_service *s = r->service;
        int error = khs_attrs_open(&r->table->file.view, r->found, &r->attrs);

        if (error == -ENOENT)
                r->attrs.n_rows = 0;
        else if (error < 0)
                return error;
        else
                s->port_base = r->attrs.head.port_base;
        s->endpoints = calloc((size_t)s->n4 + s->n6 + r->attrs.n_rows + 1, sizeof(*s->endpoints));
        if (!s->endpoints)
                return -ENOMEM;
        service_read_addresses(r);
        for (uint32_t i = 0; i < r->attrs.n_rows; i++) {
                error = service_read_row(r, i);
                if (error < 0)
                        return error;
                s->n_endpoints = i < s->n_endpoints ? s->n_endpoints : i + 1;
        }
        for (uint32_t i = 0; i < s->n_endpoints; i++)
                s->endpoints[i].port = service_read_default_port(s, &s->endpoints[i]);
        return 0;
}

/* ---- the record ---- */

static void service_fill(struct view_service *s, const struct view_table *table, const struct khs_record *record)
{
        s->state = (uint8_t)record->status;
        s->reason = (uint8_t)(record->status >> 8);
        s->source = (uint8_t)(record->status >> 16);
        s->servable = (int32_t)(record->stale_until_ds - table->now_ds) >= 0;
        s->v4_known = !(record->key & KHS_REC_V4_UNKNOWN);
        s->v6_known = !(record->key & KHS_REC_V6_UNKNOWN);
        s->hosts_complete = record->key & KHS_REC_HOSTS_COMPLETE;
        s->truncated = record->key & KHS_REC_TRUNCATED;
        s->policy = record->policy;
        s->age_ds = (int32_t)(table->now_ds - record->since_ds) > 0 ? table->now_ds - record->since_ds : 0;
        s->ttl_s = record->ttl_s;
        s->version = record->version;
        s->tag = record->tag;
        s->port = (uint16_t)record->port;
        s->n4 = record->n4;
        s->n6 = record->n6;
}

int view_service_read(const struct view_table *table, const struct khs_found *found, const char *key,
                      enum view_depth depth, struct view_service *ret)
{
        struct view_service service = { 0 };
        struct reading r = { .table = table, .found = found, .service = &service };
        int error;

        strcpy(service.key, key);
        service_fill(&service, table, &found->record);
        error = depth == VIEW_WHOLE ? service_read_endpoints(&r) : 0;
        if (!khs_found_valid(&table->file.view, found))
                error = -EAGAIN;
        if (error < 0)
                view_service_deinit(&service);
        else
                *ret = service;
        return error;
}

int view_service_find(const struct view_table *table, const char *key, enum view_depth depth, struct view_service *ret)
{
        size_t n_key = strlen(key);
        struct khs_found found;
        int r;

        if (n_key > KHS_KEY_MAX)
                return -ENOENT;
        for (int i = 0; i < MAX_TRIES; i++) {
                r = khs_view_find(&table->file.view, key, n_key, &found);
                if (r == 0 && found.record.key & KHS_REC_ALIAS)
                        r = -ENOENT;
                if (r == 0)
                        r = view_service_read(table, &found, key, depth, ret);
                if (r != -EAGAIN && r != -EBUSY)
                        return r;
        }
        return -EBUSY;
}

void view_service_deinit(struct view_service *service)
{
        free(service->endpoints);
        free(service->ports);
        free(service->text);
}

uint32_t view_service_n_served(const struct view_service *service, int family)
{
        const struct view_endpoint *first = service->endpoints + (family == AF_INET ? 0 : service->n4);
        uint32_t n = family == AF_INET ? service->n4 : service->n6, n_near = 0;

        while (n_near < n && first[n_near].near == VIEW_YES)
                n_near++;
        return n_near > 0 ? n_near : n;
}

uint16_t view_service_named_port(const struct view_service *service, const struct view_endpoint *endpoint,
                                 const char *name, uint8_t protocol)
{
        for (uint32_t i = 0; i < endpoint->n_ports; i++) {
                const struct view_port *port = &service->ports[endpoint->first_port + i];
                const char *text = view_service_text(service, port->name);

                if (port->protocol == protocol && text && strcmp(text, name) == 0)
                        return port->number;
        }
        return 0;
}
