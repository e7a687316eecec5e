/*
 * The previous daemon is dead, and its file does not change any more, but nothing in it is believed before it
 * is checked: the reader checks every offset, a record is taken only if its CRC is right, and one that is
 * damaged costs only its own service. What a record's attributes say is taken as far as it is in order.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "model/service-row.h"
#include "publish/predecessor.h"
#include "read/attrs.h"
#include "read/crc.h"
#include "read/map.h"
#include "table/boot-id.h"
#include "table/clock.h"

#define MAX_ROWS (2 * KHS_MAX_ADDRS)
#define MAX_PORTS                                                                                                      \
        (4096 + MAX_ROWS) /* in all port sets of a record, and of rows without; further ones are learned anew */
#define MAX_PORT_SETS 255
#define MAX_STRING    256 /* with the NUL */

struct predecessor {
        struct khs_table_file file;
        uint32_t version;
        uint32_t ahead_ds; /* our CLOCK_BOOTTIME, of its writer's: they may be in two time namespaces */
        uint32_t v4[KHS_MAX_ADDRS];
        uint8_t v6[KHS_MAX_ADDRS][16];

        /* Attributes of the record at hand. */
        struct khs_row_endpoint endpoints[MAX_ROWS];
        uint16_t shared[MAX_ROWS];
        struct khs_row_port ports[MAX_PORTS];
        uint32_t n_ports;
        struct {
                const struct khs_row_port *ports; /* NULL: not read yet */
                uint32_t n;
        } port_sets[MAX_PORT_SETS + 1];
        char strings[(MAX_ROWS + MAX_PORTS) * MAX_STRING]; /* only what is used is ever touched */
        size_t n_strings;
};

static bool predecessor_is_of_this_boot(const struct khs_view *view)
{
        uint32_t theirs[4];
        uint8_t boot_id[16];

        khs_view_copy(view, offsetof(struct khs_table_static, boot_id) / 4, theirs, 4);
        return khs_boot_id(boot_id) && memcmp(boot_id, theirs, sizeof(boot_id)) == 0;
}

static bool predecessor_is_of_zone(const struct khs_view *view, const char *zone)
{
        return strlen(zone) == view->n_zone && memcmp(view->zone, zone, view->n_zone) == 0;
}

/*
 * Either clock may be right, as for readers: a time namespace shifts the one, an administrator sets the other.
 * Return: false if both say that the last heartbeat is still to come.
 */
static bool predecessor_set_clock(struct predecessor *p)
{
        const struct khs_view *view = &p->file.view;
        uint32_t boot = khs_view_load(view, offsetof(struct khs_table_header, beat_boot_ds) / 4);
        uint32_t real = khs_view_load(view, offsetof(struct khs_table_header, beat_real_ds) / 4);
        uint32_t now = khs_clock_ds(CLOCK_BOOTTIME);
        int32_t age = (int32_t)(now - boot), age_real = (int32_t)(khs_clock_ds(CLOCK_REALTIME) - real);

        if (age < -KHS_BEAT_DS || (age_real >= -KHS_BEAT_DS && age_real < age - KHS_BEAT_DS))
                age = age_real;
        p->ahead_ds = now - boot - (uint32_t)age;
        return age >= -KHS_BEAT_DS;
}

static uint32_t predecessor_highest_version(const struct khs_view *view)
{
        struct khs_found found;
        uint32_t cursor = 0, version = 0;
        char key[256];

        while (khs_view_next(view, &cursor, &found, key) == 0) {
                if (found.record.version > version)
                        version = found.record.version;
        }
        return version;
}

int predecessor_open(struct predecessor **ret, const char *dir, const char *zone)
{
        struct predecessor *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *ret = NULL;
        r = khs_table_open(dir, KHS_OPEN_OWN, NULL, &p->file);
        if (r < 0) {
                if (r != -ENOENT)
                        log_message(LOG_WARNING, "%s/" KHS_TABLE_NAME " cannot be read back: %s; starting without it",
                                    dir, strerror(-r));
                free(p);
                return 0;
        }
        if (!predecessor_is_of_this_boot(&p->file.view) || !predecessor_is_of_zone(&p->file.view, zone) ||
            !predecessor_set_clock(p)) {
                log_message(LOG_INFO,
                            "%s/" KHS_TABLE_NAME " is of another boot, cluster domain or time; starting without it",
                            dir);
                predecessor_close(p);
                return 0;
        }
        p->version = predecessor_highest_version(&p->file.view);
        *ret = p;
        return 0;
}

struct predecessor *predecessor_close(struct predecessor *p)
{
        if (p) {
                khs_table_close(&p->file);
                free(p);
        }
        return NULL;
}

bool predecessor_shares_clock(const struct predecessor *p)
{
        return p && p->ahead_ds == 0;
}

uint32_t predecessor_generation(const struct predecessor *p)
{
        return p ? khs_view_generation(&p->file.view) : 0;
}

uint32_t predecessor_version(const struct predecessor *p)
{
        return p ? p->version : 0;
}

bool predecessor_next(const struct predecessor *p, uint32_t *cursor, char ret[static 256])
{
        struct khs_found found;

        while (p && khs_view_next(&p->file.view, cursor, &found, ret) == 0) {
                if (!(found.record.key & KHS_REC_ALIAS))
                        return true;
        }
        return false;
}

static const char *predecessor_load_string(struct predecessor *p, const struct khs_attrs_at *attrs, uint32_t offset)
{
        char *ret = p->strings + p->n_strings;
        size_t n = khs_attrs_string(&p->file.view, attrs, offset, ret);

        p->n_strings += n + 1;
        return n > 0 ? ret : NULL;
}

/* What the @i-th row has without a port set: its first port, by its number. */
static void predecessor_load_row_port(struct predecessor *p, const struct khs_attrs_at *attrs, uint32_t i,
                                      struct khs_row_endpoint *ret)
{
        uint16_t number = khs_attrs_row_port(&p->file.view, attrs, i);

        if (number == 0 || p->n_ports == MAX_PORTS)
                return;
        ret->ports = &p->ports[p->n_ports];
        ret->n_ports = 1;
        p->ports[p->n_ports++] = (struct khs_row_port){ .number = number, .protocol = IPPROTO_TCP };
}

static void predecessor_load_ports(struct predecessor *p, const struct khs_attrs_at *attrs,
                                   const struct khs_attr_row *row, struct khs_row_endpoint *ret)
{
        struct khs_attr_port port;

        if (!p->port_sets[row->port_set].ports) {
                struct khs_row_port *ports = p->ports + p->n_ports;
                uint32_t n = 0;

                while (p->n_ports < MAX_PORTS && khs_attrs_port_at(&p->file.view, attrs, row, n, &port)) {
                        p->ports[p->n_ports++] = (struct khs_row_port){
                                .name = predecessor_load_string(p, attrs, port.name),
                                .number = port.number,
                                .protocol = port.protocol,
                        };
                        n++;
                }
                p->port_sets[row->port_set].ports = ports;
                p->port_sets[row->port_set].n = n;
        }
        ret->ports = p->port_sets[row->port_set].ports;
        ret->n_ports = p->port_sets[row->port_set].n;
}

/* Whose address each shared row has. Return: false if they are not in order. */
static bool predecessor_load_shared(struct predecessor *p, const struct khs_attrs_at *attrs)
{
        uint32_t n_addrs = khs_attrs_n_addresses(attrs);

        for (uint32_t i = 0; i < attrs->head.n_shared; i++) {
                uint32_t address = khs_attrs_address(&p->file.view, attrs, n_addrs + i);

                if (address >= n_addrs || (i > 0 && address < p->shared[i - 1]))
                        return false;
                p->shared[i] = (uint16_t)address;
        }
        return true;
}

/*
 * Host names, ports, and which endpoints are near. A daemon that speaks DNS could not confirm the nodes and zones of
 * pods.
 */
static void predecessor_load_endpoints(struct predecessor *p, const struct khs_found *found, struct khs_row *ret)
{
        struct khs_attrs_at attrs;

        if (khs_attrs_open(&p->file.view, found, &attrs) < 0 || !predecessor_load_shared(p, &attrs))
                return;
        p->n_strings = 0;
        p->n_ports = 0;
        memset(p->port_sets, 0, sizeof(p->port_sets));
        for (uint32_t i = 0; i < attrs.n_rows; i++) {
                struct khs_attr_row row;

                khs_attrs_row(&p->file.view, &attrs, i, &row);
                p->endpoints[i] = (struct khs_row_endpoint){
                        .host = predecessor_load_string(p, &attrs, row.host),
                        .flags = khs_attr_flags(&row),
                        .near = khs_attrs_is_near(&p->file.view, &attrs, i),
                        .ordinal = khs_attr_ordinal(&row),
                };
                if (row.port_set > 0)
                        predecessor_load_ports(p, &attrs, &row, &p->endpoints[i]);
                else
                        predecessor_load_row_port(p, &attrs, i, &p->endpoints[i]);
        }
        ret->endpoints = p->endpoints;
        ret->port_base = (uint16_t)attrs.head.port_base;
        ret->n_shared = attrs.head.n_shared;
        ret->shared = p->shared;
}

/* A consistent copy of the key's record. */
static int predecessor_load_row(struct predecessor *p, const char *key, struct khs_row *ret)
{
        const struct khs_view *view = &p->file.view;
        struct khs_found found;
        int r;

        r = khs_view_find(view, key, strlen(key), &found);
        if (r < 0)
                return r;
        if (found.record.key & KHS_REC_ALIAS)
                return -ENOENT;
        r = khs_found_intact(view, &found);
        if (r < 0)
                return r;
        khs_found_copy(view, &found, AF_INET, 0, found.record.n4, p->v4, 4);
        khs_found_copy(view, &found, AF_INET6, 0, found.record.n6, p->v6, 16);
        *ret = (struct khs_row){
                .key = key,
                .n_key = strlen(key),
                .flags = found.record.key & ~KHS_KEY_LEN_MASK,
                .n4 = found.record.n4,
                .n6 = found.record.n6,
                .v4 = p->v4,
                .v6 = p->v6,
                .policy = found.record.policy,
                .port = (uint16_t)found.record.port,
                .stale_until_ds = found.record.stale_until_ds + p->ahead_ds,
                .version = found.record.version,
                .status = found.record.status,
                .ttl_s = found.record.ttl_s,
        };
        predecessor_load_endpoints(p, &found, ret);
        return 0;
}

int predecessor_seed(struct predecessor *p, struct service *service, uint64_t now)
{
        struct khs_row row;
        int r;

        if (!p)
                return 0;
        r = predecessor_load_row(p, service->key, &row);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                log_service(LOG_WARNING, service->key, "damaged in the previous daemon's table, and resolved anew");
                return 0;
        }
        r = service_seed(service, &row, now);
        return r < 0 ? r : 1;
}
