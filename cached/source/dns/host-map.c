/*
 * Hosts of a round, see source/dns/host-map.h.
 *
 *     rows     sorted as the addresses are: found by binary search
 *     links    which host has which row's address; in no order and with duplicates, until they are put in
 *              order: by row, then by the host's name
 *     hosts    in the order in which they were heard of; found by a hash table with a random key,
 *              since a server may choose their names
 *     numbers  hosts x ports
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/dns/host-map.h"
#include "table/siphash.h"

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
        bool has[2];  /* an address of that family is known, in a row or not */
        bool told[2]; /* SRV brought its addresses of that family with it */
};

struct dns_host_map {
        uint32_t n_rows, n4, n_open[2];
        struct row *rows;
        uint32_t n_links, links_room;
        struct link *links;
        bool links_full;
        uint32_t n_hosts, n_room; /* room is a power of two */
        struct host *hosts;
        uint32_t *slots; /* 2 x n_room: 1 + host; 0: free */
        uint8_t key[16];
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
        (void)random_fill(map->key, sizeof(map->key)); /* without it, slow at worst */
        map->n_rows = n;
        map->n_ports = n_ports;
        for (size_t six = 0; six < 2; six++) {
                map->n_open[six] = addrs[six].n;
                for (uint32_t i = 0; i < addrs[six].n; i++) {
                        struct row *row = &map->rows[six ? addrs[0].n + i : i];
                        size_t size = six ? 16 : 4;

                        *row = (struct row){ .family = six ? AF_INET6 : AF_INET };
                        memcpy(row->bytes, addrs[six].bytes + i * size, size);
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
                free(map->slots);
                free(map->numbers);
                free(map);
        }
        return NULL;
}

static struct row *find_row(const struct dns_host_map *map, uint8_t family, const uint8_t *bytes)
{
        uint32_t low = family == AF_INET ? 0 : map->n4, high = family == AF_INET ? map->n4 : map->n_rows;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                int order = memcmp(map->rows[middle].bytes, bytes, address_size(family));

                if (order == 0)
                        return &map->rows[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static bool is_open(const struct row *row)
{
        return !row->known && !row->settled;
}

static void row_settle(struct dns_host_map *map, struct row *row)
{
        map->n_open[row->family == AF_INET6] -= is_open(row);
        row->settled = true;
}

/* ---- links ---- */

static int compare_links(const void *a, const void *b, void *userdata)
{
        const struct dns_host_map *map = userdata;
        const struct link *x = a, *y = b;

        if (x->row != y->row)
                return x->row < y->row ? -1 : 1;
        return x->host == y->host ? 0 : strcmp(map->hosts[x->host].name, map->hosts[y->host].name);
}

static void order_links(struct dns_host_map *map)
{
        uint32_t n = 0;

        if (map->n_links > 0)
                qsort_r(map->links, map->n_links, sizeof(*map->links), compare_links, map);
        for (uint32_t i = 0; i < map->n_links; i++)
                if (n == 0 || compare_links(&map->links[i], &map->links[n - 1], map) != 0)
                        map->links[n++] = map->links[i];
        map->n_links = n;
}

/* By taking duplicates out, or else by twice the room: each link is put in order a few times at most. */
static int links_make_room(struct dns_host_map *map)
{
        uint32_t n_room = map->links_room ? 2 * map->links_room : LINKS_ROOM;
        struct link *links;

        order_links(map);
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

static int add_link(struct dns_host_map *map, struct row *row, uint32_t host)
{
        int r = map->links_full ? -E2BIG : map->n_links == map->links_room ? links_make_room(map) : 0;

        if (r < 0)
                return r;
        map->links[map->n_links++] = (struct link){ (uint32_t)(row - map->rows), host };
        map->n_open[row->family == AF_INET6] -= is_open(row);
        row->known = true;
        return 0;
}

/* ---- hosts ---- */

/* The slot of a name: its own, or the free one where it would be. */
static uint32_t *find_slot(const struct dns_host_map *map, const char *name)
{
        uint32_t mask = 2 * map->n_room - 1;
        uint32_t i = (uint32_t)khs_siphash13(map->key, name, strlen(name)) & mask;

        while (map->slots[i] && strcmp(map->hosts[map->slots[i] - 1].name, name) != 0)
                i = (i + 1) & mask;
        return &map->slots[i];
}

/* Twice the room. The old arrays are good until all new ones are there. */
static int grow(struct dns_host_map *map)
{
        uint32_t n_room = map->n_room ? 2 * map->n_room : HOSTS_ROOM, *slots;
        struct host *hosts = reallocarray(map->hosts, n_room, sizeof(*hosts));
        uint16_t *numbers;

        if (!hosts)
                return -ENOMEM;
        map->hosts = hosts;
        numbers = reallocarray(map->numbers, (size_t)n_room * (map->n_ports ? map->n_ports : 1), sizeof(*numbers));
        if (!numbers)
                return -ENOMEM;
        map->numbers = numbers;
        slots = calloc(2 * (size_t)n_room, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        free(map->slots);
        map->slots = slots;
        map->n_room = n_room;
        for (uint32_t i = 0; i < map->n_hosts; i++)
                *find_slot(map, map->hosts[i].name) = i + 1;
        return 0;
}

static uint32_t find_host(const struct dns_host_map *map, const char *name)
{
        return map->n_room ? *find_slot(map, name) - 1 : NO_HOST; /* a free slot: 0 - 1 is NO_HOST */
}

static int add_host(struct dns_host_map *map, const char *name, uint32_t *ret)
{
        int r;

        *ret = find_host(map, name);
        if (*ret != NO_HOST)
                return 0;
        if (map->n_hosts == DNS_HOST_MAP_MAX)
                return -E2BIG;
        if (map->n_hosts == map->n_room) {
                r = grow(map);
                if (r < 0)
                        return r;
        }
        *ret = map->n_hosts++;
        map->hosts[*ret] = (struct host){ .has = { false, false } };
        memcpy(map->hosts[*ret].name, name, strlen(name));
        memset(map->numbers + (size_t)*ret * map->n_ports, 0, map->n_ports * sizeof(*map->numbers));
        *find_slot(map, name) = *ret + 1;
        return 0;
}

const char *dns_host_map_name(const struct dns_host_map *map, uint32_t host)
{
        return map->hosts[host].name;
}

/* ---- answers ---- */

int dns_host_map_take_addr(struct dns_host_map *map, uint32_t host, uint8_t family, const uint8_t *bytes)
{
        struct row *row = find_row(map, family, bytes);

        map->hosts[host].has[family == AF_INET6] = true;
        return row ? add_link(map, row, host) : 0;
}

int dns_host_map_take_srv(struct dns_host_map *map, const struct dns_srv *srv, uint32_t port)
{
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                uint32_t host;
                int r = add_host(map, srv->targets[i].host, &host);

                if (r < 0)
                        return r;
                if (port < map->n_ports && map->numbers[(size_t)host * map->n_ports + port] == 0)
                        map->numbers[(size_t)host * map->n_ports + port] = srv->targets[i].port;
        }
        for (uint32_t i = 0; i < srv->n_addrs; i++) {
                const struct dns_srv_addr *addr = &srv->addrs[i];
                uint32_t host = find_host(map, srv->targets[addr->target].host);
                int r = dns_host_map_take_addr(map, host, addr->family, addr->bytes);

                if (r < 0)
                        return r;
                map->hosts[host].told[addr->family == AF_INET6] = true;
        }
        return 0;
}

int dns_host_map_take_ptr(struct dns_host_map *map, uint32_t row, const struct dns_srv *srv, bool whole)
{
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                uint32_t host;
                int r = add_host(map, srv->targets[i].host, &host);

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

static bool is_told(const struct host *host)
{
        return host->told[0] || host->told[1];
}

/* The old hosts of one row, but for those that are told to be elsewhere now; its links are next in the old order. */
static int take_row(struct dns_host_map *map, struct row *row, const struct dns_host_map *old, const struct row *was,
                    uint32_t *cursor, bool any_host)
{
        uint32_t number = (uint32_t)(was - old->rows);
        bool open = is_open(row), six = row->family == AF_INET6;

        any_host = any_host && open;
        while (*cursor < old->n_links && old->links[*cursor].row < number)
                (*cursor)++;
        for (; *cursor < old->n_links && old->links[*cursor].row == number; (*cursor)++) {
                const char *name = old->hosts[old->links[*cursor].host].name;
                uint32_t host = find_host(map, name);
                int r = host == NO_HOST && any_host ? add_host(map, name, &host) : 0;

                if (r == 0 && host != NO_HOST && (open ? !map->hosts[host].told[six] : !is_told(&map->hosts[host])))
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

        order_links(old);
        for (uint32_t i = 0; i < map->n_rows; i++) {
                struct row *row = &map->rows[i];
                const struct row *was = find_row(old, row->family, row->bytes);
                int r = was ? take_row(map, row, old, was, &cursor, any_host) : 0;

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
                    (map->n_open[six] == 0 && (is_told(&map->hosts[host]) || n_rows[six] == 0)))
                        continue;
                *ret_host = host;
                *ret_family = six ? AF_INET6 : AF_INET;
                return true;
        }
        return false;
}

bool dns_host_map_next_row(const struct dns_host_map *map, uint32_t *cursor, uint32_t *ret_row)
{
        while (*cursor < map->n_rows && !is_open(&map->rows[*cursor]))
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
static uint32_t tell_ports(const struct dns_host_map *map, uint32_t host, const struct khs_port *ports,
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

static bool same_numbers(const struct dns_host_map *map, uint32_t a, uint32_t b)
{
        return memcmp(map->numbers + (size_t)a * map->n_ports, map->numbers + (size_t)b * map->n_ports,
                      map->n_ports * sizeof(*map->numbers)) == 0;
}

int dns_host_map_tell(struct dns_host_map *map, const struct khs_port *ports, bool hosts_complete, bool ports_complete,
                      struct dns_host_findings *ret)
{
        struct dns_host_findings findings = { .n_endpoints = 0 };
        uint32_t n_ports = 0;

        for (uint32_t i = 0; i < map->n_hosts; i++) /* whose address could be any */
                hosts_complete = hosts_complete && (map->hosts[i].has[0] || map->hosts[i].has[1]);
        order_links(map);
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
                if (i > 0 && same_numbers(map, host, map->links[i - 1].host)) {
                        e->ports = e[-1].ports;
                        e->n_ports = e[-1].n_ports;
                } else {
                        e->ports = findings.ports + n_ports;
                        e->n_ports = tell_ports(map, host, ports, findings.ports + n_ports);
                        n_ports += e->n_ports;
                }
                e->ports_unknown = !ports_complete && e->n_ports < map->n_ports;
        }
        *ret = findings;
        return 0;
}
