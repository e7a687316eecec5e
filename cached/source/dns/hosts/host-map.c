/*
 *     rows     sorted as the addresses are: found by binary search
 *     links    which host has which row's address; unordered and with duplicates until they are put in order:
 *              by row, then by the host's name
 *     hosts    in the order in which they were heard of; found by binary search in `order`, which has their
 *              numbers sorted by name
 *     numbers  hosts x ports
 *
 * Memory is bounded: rows by KHS_MAX_ADDRS of each family, hosts by DNS_HOST_MAP_MAX, links by LINKS_MAX.
 * Where a bound is hit the map says -E2BIG and stays true: it lacks something, and nothing in it is wrong.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/util.h"
#include "source/dns/hosts/host-map.h"

#define NO_HOST    UINT32_MAX
#define HOSTS_ROOM 16U /* to begin with */
#define LINKS_ROOM 64U
#define LINKS_MAX  65536U /* half as many are always taken, which is three for each host and more; most have two */

struct row {
        uint8_t family;
        bool settled; /* it has no host, as far as can be known */
        bool known;   /* it has one */
        bool whole;   /* all that it has are known */
        uint8_t bytes[16];
};

struct link {
        uint32_t row, host;
};

struct host {
        char name[KHS_LABEL_MAX + 1];
        bool has[2];     /* an address of that family is known, in a row or not */
        bool brought[2]; /* SRV brought its addresses of that family with it */
};

struct dns_host_map {
        uint32_t n_rows, n4, n_open[2];
        struct row *rows;
        uint32_t n_links, links_room;
        struct link *links;
        bool links_full;
        uint32_t n_hosts, n_room;
        struct host *hosts;
        uint32_t *order;
        uint32_t n_ports;
        uint16_t *numbers; /* 0: none */
};

/* ---- rows ---- */

int dns_host_map_new(struct dns_host_map **ret, const struct dns_host_addrs addrs[static 2], uint32_t n_ports)
{
        struct dns_host_map *map = calloc(1, sizeof(*map));
        uint32_t n = addrs[0].n + addrs[1].n;

        if (!map)
                return -ENOMEM;
        map->rows = calloc(n ? n : 1, sizeof(*map->rows));
        if (!map->rows) {
                free(map);
                return -ENOMEM;
        }
        map->n_rows = n;
        map->n_ports = n_ports;
        for (size_t six = 0; six < 2; six++) {
                map->n_open[six] = addrs[six].n;
                for (uint32_t i = 0; i < addrs[six].n; i++) {
                        struct row *row = &map->rows[six ? addrs[0].n + i : i];
                        uint8_t family = six ? AF_INET6 : AF_INET;

                        *row = (struct row){ .family = family };
                        memcpy(row->bytes, addrs[six].bytes + i * address_size(family), address_size(family));
                }
        }
        map->n4 = addrs[0].n;
        *ret = map;
        return 0;
}

struct dns_host_map *dns_host_map_free(struct dns_host_map *map)
{
        if (map) {
                free(map->rows);
                free(map->links);
                free(map->hosts);
                free(map->order);
                free(map->numbers);
                free(map);
        }
        return NULL;
}

static struct row *map_find_row(const struct dns_host_map *map, uint8_t family, const uint8_t *bytes)
{
        uint32_t low = family == AF_INET ? 0 : map->n4, high = family == AF_INET ? map->n4 : map->n_rows;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                int order = address_compare(family, map->rows[middle].bytes, bytes);

                if (order == 0)
                        return &map->rows[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static bool row_is_open(const struct row *row)
{
        return !row->known && !row->settled;
}

static void row_settle(struct dns_host_map *map, struct row *row)
{
        map->n_open[row->family == AF_INET6] -= row_is_open(row);
        row->settled = true;
}

/* ---- links ---- */

static int map_compare_links(const void *a, const void *b, void *userdata)
{
        const struct dns_host_map *map = userdata;
        const struct link *x = a, *y = b;

        if (x->row != y->row)
                return x->row < y->row ? -1 : 1;
        return x->host == y->host ? 0 : strcmp(map->hosts[x->host].name, map->hosts[y->host].name);
}

static void map_order_links(struct dns_host_map *map)
{
        uint32_t n = 0;

        if (map->n_links > 0)
                qsort_r(map->links, map->n_links, sizeof(*map->links), map_compare_links, map);
        for (uint32_t i = 0; i < map->n_links; i++)
                if (n == 0 || map_compare_links(&map->links[i], &map->links[n - 1], map) != 0)
                        map->links[n++] = map->links[i];
        map->n_links = n;
}

/* By taking duplicates out, or else by twice the room: each link is put in order a few times at most. */
static int map_make_room(struct dns_host_map *map)
{
        uint32_t n_room = map->links_room ? 2 * map->links_room : LINKS_ROOM;
        struct link *links;

        map_order_links(map);
        if (map->links_room > 0 && map->n_links <= map->links_room / 2)
                return 0;
        map->links_full = n_room > LINKS_MAX;
        if (map->links_full)
                return -E2BIG;
        links = reallocarray(map->links, n_room, sizeof(*links));
        if (!links)
                return -ENOMEM;
        map->links = links;
        map->links_room = n_room;
        return 0;
}

static int map_add_link(struct dns_host_map *map, struct row *row, uint32_t host)
{
        int r = map->links_full ? -E2BIG : map->n_links == map->links_room ? map_make_room(map) : 0;

        if (r < 0)
                return r;
        map->links[map->n_links++] = (struct link){ (uint32_t)(row - map->rows), host };
        map->n_open[row->family == AF_INET6] -= row_is_open(row);
        row->known = true;
        return 0;
}

/* ---- hosts ---- */

/* Return: whether there is such a host; *ret_place is where it stands in the order, or would stand. */
static bool map_find_place(const struct dns_host_map *map, const char *name, uint32_t *ret_place)
{
        uint32_t low = 0, high = map->n_hosts;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (strcmp(map->hosts[map->order[middle]].name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_place = low;
        return low < map->n_hosts && strcmp(map->hosts[map->order[low]].name, name) == 0;
}

/* Twice the room. What is there stays good when some of the arrays can't grow. */
static int map_grow(struct dns_host_map *map)
{
        uint32_t n_room = map->n_room ? 2 * map->n_room : HOSTS_ROOM, *order;
        struct host *hosts = reallocarray(map->hosts, n_room, sizeof(*hosts));
        uint16_t *numbers;

        map->hosts = hosts ? hosts : map->hosts;
        order = reallocarray(map->order, n_room, sizeof(*order));
        map->order = order ? order : map->order;
        numbers = reallocarray(map->numbers, (size_t)n_room * (map->n_ports ? map->n_ports : 1), sizeof(*numbers));
        map->numbers = numbers ? numbers : map->numbers;
        if (!hosts || !order || !numbers)
                return -ENOMEM;
        map->n_room = n_room;
        return 0;
}

static uint32_t map_find_host(const struct dns_host_map *map, const char *name)
{
        uint32_t place;

        return map_find_place(map, name, &place) ? map->order[place] : NO_HOST;
}

static int map_add_host(struct dns_host_map *map, const char *name, uint32_t *ret)
{
        uint32_t place, host = map->n_hosts;

        if (map_find_place(map, name, &place)) {
                *ret = map->order[place];
                return 0;
        }
        if (host == DNS_HOST_MAP_MAX)
                return -E2BIG;
        if (host == map->n_room && map_grow(map) < 0)
                return -ENOMEM;
        map->hosts[host] = (struct host){ .has = { false, false } };
        strcpy(map->hosts[host].name, name);
        memset(map->numbers + (size_t)host * map->n_ports, 0, map->n_ports * sizeof(*map->numbers));
        memmove(map->order + place + 1, map->order + place, (host - place) * sizeof(*map->order));
        map->order[place] = host;
        map->n_hosts++;
        *ret = host;
        return 0;
}

const char *dns_host_map_name(const struct dns_host_map *map, uint32_t host)
{
        return map->hosts[host].name;
}

/* ---- answers ---- */

int dns_host_map_take_addr(struct dns_host_map *map, uint32_t host, uint8_t family, const uint8_t *bytes)
{
        struct row *row = map_find_row(map, family, bytes);

        map->hosts[host].has[family == AF_INET6] = true;
        return row ? map_add_link(map, row, host) : 0;
}

int dns_host_map_take_srv(struct dns_host_map *map, const struct dns_srv *srv, uint32_t port)
{
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                uint32_t host;
                int r = map_add_host(map, srv->targets[i].host, &host);

                if (r < 0)
                        return r;
                if (port < map->n_ports && map->numbers[(size_t)host * map->n_ports + port] == 0)
                        map->numbers[(size_t)host * map->n_ports + port] = srv->targets[i].port;
        }
        for (uint32_t i = 0; i < srv->n_addrs; i++) {
                const struct dns_srv_addr *addr = &srv->addrs[i];
                uint32_t host = map_find_host(map, srv->targets[addr->target].host);
                int r = dns_host_map_take_addr(map, host, addr->family, addr->bytes);

                if (r < 0)
                        return r;
                map->hosts[host].brought[addr->family == AF_INET6] = true;
        }
        return 0;
}

int dns_host_map_take_ptr(struct dns_host_map *map, uint32_t row, const struct dns_srv *srv, bool whole)
{
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                uint32_t host;
                int r = map_add_host(map, srv->targets[i].host, &host);

                if (r == 0)
                        r = dns_host_map_take_addr(map, host, map->rows[row].family, map->rows[row].bytes);
                if (r < 0)
                        return r;
        }
        if (srv->n_targets == 0)
                row_settle(map, &map->rows[row]);
        map->rows[row].whole = whole;
        return 0;
}

static bool host_was_brought(const struct host *host)
{
        return host->brought[0] || host->brought[1];
}

/* The old hosts of one row, but for those that are known to be elsewhere now; its links are next in the old order. */
static int map_take_row(struct dns_host_map *map, struct row *row, const struct dns_host_map *old,
                        const struct row *was, uint32_t *cursor, bool any_host)
{
        uint32_t number = (uint32_t)(was - old->rows);
        bool open = row_is_open(row), six = row->family == AF_INET6;

        any_host = any_host && open;
        while (*cursor < old->n_links && old->links[*cursor].row < number)
                (*cursor)++;
        for (; *cursor < old->n_links && old->links[*cursor].row == number; (*cursor)++) {
                const char *name = old->hosts[old->links[*cursor].host].name;
                uint32_t host = map_find_host(map, name);
                int r = host == NO_HOST && any_host ? map_add_host(map, name, &host) : 0;

                if (r == 0 && host != NO_HOST &&
                    (open ? !map->hosts[host].brought[six] : !host_was_brought(&map->hosts[host])))
                        r = dns_host_map_take_addr(map, host, row->family, row->bytes);
                if (r < 0)
                        return r;
        }
        if (any_host && was->settled)
                row_settle(map, row);
        row->whole = row->whole || (any_host && was->whole);
        return 0;
}

int dns_host_map_take_map(struct dns_host_map *map, struct dns_host_map *old, bool any_host)
{
        uint32_t cursor = 0;

        map_order_links(old);
        for (uint32_t i = 0; i < map->n_rows; i++) {
                struct row *row = &map->rows[i];
                const struct row *was = map_find_row(old, row->family, row->bytes);
                int r = was ? map_take_row(map, row, old, was, &cursor, any_host) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- what is left to ask ---- */

uint32_t dns_host_map_n_open(const struct dns_host_map *map, uint8_t family)
{
        uint32_t n = family == AF_INET6 ? 0 : map->n_open[0];

        return family == AF_INET ? n : n + map->n_open[1];
}

bool dns_host_map_next_host(const struct dns_host_map *map, uint32_t *cursor, uint32_t *ret_host, uint8_t *ret_family)
{
        const uint32_t n_rows[] = { map->n4, map->n_rows - map->n4 };

        while (*cursor < 2 * map->n_hosts) {
                uint32_t host = *cursor / 2, six = *cursor % 2;

                (*cursor)++;
                if (map->hosts[host].has[six] ||
                    (map->n_open[six] == 0 && (host_was_brought(&map->hosts[host]) || n_rows[six] == 0)))
                        continue;
                *ret_host = host;
                *ret_family = six ? AF_INET6 : AF_INET;
                return true;
        }
        return false;
}

bool dns_host_map_next_row(const struct dns_host_map *map, uint32_t *cursor, uint32_t *ret_row)
{
        while (*cursor < map->n_rows && !row_is_open(&map->rows[*cursor]))
                (*cursor)++;
        *ret_row = *cursor;
        return (*cursor)++ < map->n_rows;
}

void dns_host_map_row(const struct dns_host_map *map, uint32_t row, uint8_t *ret_family, const uint8_t **ret_bytes)
{
        *ret_family = map->rows[row].family;
        *ret_bytes = map->rows[row].bytes;
}

/* ---- findings ---- */

void dns_host_findings_deinit(struct dns_host_findings *findings)
{
        free(findings->endpoints);
        free(findings->ports);
        *findings = (struct dns_host_findings){ .n_endpoints = 0 };
}

/* The ports of one host. Return: how many. */
static uint32_t map_report_ports(const struct dns_host_map *map, uint32_t host, const struct khs_port *ports,
                                 struct khs_row_port *ret)
{
        const uint16_t *numbers = map->numbers + (size_t)host * map->n_ports;
        uint32_t n = 0;

        for (uint32_t i = 0; i < map->n_ports; i++)
                if (numbers[i] > 0)
                        ret[n++] = (struct khs_row_port){
                                .name = ports[i].name,
                                .number = numbers[i],
                                .protocol = ports[i].udp ? IPPROTO_UDP : IPPROTO_TCP,
                        };
        return n;
}

static bool map_has_same_numbers(const struct dns_host_map *map, uint32_t a, uint32_t b)
{
        return memcmp(map->numbers + (size_t)a * map->n_ports, map->numbers + (size_t)b * map->n_ports,
                      map->n_ports * sizeof(*map->numbers)) == 0;
}

int dns_host_map_report(struct dns_host_map *map, const struct khs_port *ports, bool hosts_complete,
                        bool ports_complete, struct dns_host_findings *ret)
{
        struct dns_host_findings findings = { .n_endpoints = 0 };
        uint32_t n_ports = 0;

        for (uint32_t i = 0; i < map->n_hosts; i++) /* whose address could be any */
                hosts_complete = hosts_complete && (map->hosts[i].has[0] || map->hosts[i].has[1]);
        map_order_links(map);
        findings.endpoints = calloc(map->n_links ? map->n_links : 1, sizeof(*findings.endpoints));
        findings.ports = calloc((size_t)(map->n_links ? map->n_links : 1) * (map->n_ports ? map->n_ports : 1),
                                sizeof(*findings.ports));
        if (!findings.endpoints || !findings.ports) {
                dns_host_findings_deinit(&findings);
                return -ENOMEM;
        }
        findings.n_endpoints = map->n_links;
        for (uint32_t i = 0; i < map->n_links; i++) {
                const struct row *row = &map->rows[map->links[i].row];
                struct finding_endpoint *e = &findings.endpoints[i];
                uint32_t host = map->links[i].host;

                *e = (struct finding_endpoint){ .family = row->family,
                                                .others_unknown = !hosts_complete && !row->whole,
                                                .host = map->hosts[host].name };
                memcpy(e->bytes, row->bytes, sizeof(e->bytes));
                if (i > 0 && map_has_same_numbers(map, host, map->links[i - 1].host)) {
                        e->ports = e[-1].ports;
                        e->n_ports = e[-1].n_ports;
                } else {
                        e->ports = findings.ports + n_ports;
                        e->n_ports = map_report_ports(map, host, ports, findings.ports + n_ports);
                        n_ports += e->n_ports;
                }
                e->ports_unknown = !ports_complete && e->n_ports < map->n_ports;
        }
        *ret = findings;
        return 0;
}
