/*
 * Hosts of a round, see dns-host-map.h.
 *
 *     rows     sorted as the addresses are: found by binary search
 *     hosts    in the order in which they were heard of; found by a hash table with a random key,
 *              since a server may choose their names
 *     numbers  hosts x ports
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dns-host-map.h"
#include "siphash.h"
#include "util.h"

#define NO_HOST    UINT32_MAX
#define HOSTS_ROOM 16U /* to begin with */

struct row {
        uint8_t family;
        bool settled; /* it has no host, as far as can be known */
        bool shared;
        uint8_t bytes[16];
        uint32_t host;
};

struct host {
        char name[KHS_LABEL_MAX + 1];
        bool has[2]; /* an address of that family is known, in a row or not */
};

struct dns_host_map {
        uint32_t n_rows, n4, n_open[2];
        struct row *rows;
        uint32_t n_hosts, n_room; /* room is a power of two */
        struct host *hosts;
        uint32_t *slots; /* 2 x n_room: 1 + host; 0: free */
        uint8_t key[16];
        uint32_t n_ports;
        uint16_t *numbers; /* 0: none */
};

static size_t address_size(uint8_t family)
{
        return family == AF_INET ? 4 : 16;
}

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

                        *row = (struct row){.family = six ? AF_INET6 : AF_INET, .host = NO_HOST};
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
        return row->host == NO_HOST && !row->settled;
}

/* Of several hosts with one address the first by name is told: the same one each time. */
static void row_set_host(struct dns_host_map *map, struct row *row, uint32_t host)
{
        map->n_open[row->family == AF_INET6] -= is_open(row);
        row->shared = row->shared || (row->host != NO_HOST && row->host != host);
        if (row->host == NO_HOST || strcmp(map->hosts[host].name, map->hosts[row->host].name) < 0)
                row->host = host;
}

static void row_settle(struct dns_host_map *map, struct row *row)
{
        map->n_open[row->family == AF_INET6] -= is_open(row);
        row->settled = true;
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
        map->hosts[*ret] = (struct host){.has = {false, false}};
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

void dns_host_map_take_addr(struct dns_host_map *map, uint32_t host, uint8_t family, const uint8_t *bytes)
{
        struct row *row = find_row(map, family, bytes);

        map->hosts[host].has[family == AF_INET6] = true;
        if (row)
                row_set_host(map, row, host);
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

                dns_host_map_take_addr(map, find_host(map, srv->targets[addr->target].host), addr->family, addr->bytes);
        }
        return 0;
}

int dns_host_map_take_ptr(struct dns_host_map *map, uint32_t row, const struct dns_srv *srv)
{
        for (uint32_t i = 0; i < srv->n_targets; i++) {
                uint32_t host;
                int r = add_host(map, srv->targets[i].host, &host);

                if (r < 0)
                        return r;
                dns_host_map_take_addr(map, host, map->rows[row].family, map->rows[row].bytes);
        }
        if (srv->n_targets == 0)
                row_settle(map, &map->rows[row]);
        return 0;
}

int dns_host_map_take_map(struct dns_host_map *map, const struct dns_host_map *old, bool any_host)
{
        for (uint32_t i = 0; i < map->n_rows; i++) {
                struct row *row = &map->rows[i];
                const struct row *was = is_open(row) ? find_row(old, row->family, row->bytes) : NULL;
                uint32_t host = NO_HOST;
                int r = 0;

                if (was && was->host != NO_HOST && any_host)
                        r = add_host(map, old->hosts[was->host].name, &host);
                else if (was && was->host != NO_HOST)
                        host = find_host(map, old->hosts[was->host].name);
                if (r < 0)
                        return r;
                if (host != NO_HOST) {
                        dns_host_map_take_addr(map, host, row->family, row->bytes);
                        row->shared = was->shared;
                } else if (was && was->settled && any_host) {
                        row_settle(map, row);
                }
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
        while (*cursor < 2 * map->n_hosts) {
                uint32_t host = *cursor / 2, six = *cursor % 2;

                (*cursor)++;
                if (map->n_open[six] == 0 || map->hosts[host].has[six])
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
        *findings = (struct dns_host_findings){.n_endpoints = 0};
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

int dns_host_map_tell(const struct dns_host_map *map, const struct khs_port *ports, bool ports_complete,
                      struct dns_host_findings *ret)
{
        struct dns_host_findings findings = {
                .endpoints = calloc(map->n_rows ? map->n_rows : 1, sizeof(*findings.endpoints)),
                .ports = calloc((size_t)(map->n_rows ? map->n_rows : 1) * (map->n_ports ? map->n_ports : 1),
                                sizeof(*findings.ports)),
        };
        const struct source_endpoint *last = NULL; /* with a host */
        uint32_t n_ports = 0, last_host = NO_HOST;

        if (!findings.endpoints || !findings.ports) {
                dns_host_findings_deinit(&findings);
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < map->n_rows; i++) {
                const struct row *row = &map->rows[i];
                struct source_endpoint *e = &findings.endpoints[findings.n_endpoints];

                if (is_open(row))
                        continue;
                *e = (struct source_endpoint){
                        .family = row->family, .shared = row->shared, .ports_unknown = !ports_complete};
                memcpy(e->bytes, row->bytes, sizeof(e->bytes));
                findings.n_endpoints++;
                if (row->host == NO_HOST)
                        continue;
                e->host = map->hosts[row->host].name;
                if (last && same_numbers(map, row->host, last_host)) {
                        e->ports = last->ports;
                        e->n_ports = last->n_ports;
                } else {
                        e->ports = findings.ports + n_ports;
                        e->n_ports = tell_ports(map, row->host, ports, findings.ports + n_ports);
                        n_ports += e->n_ports;
                }
                e->ports_unknown = !ports_complete && e->n_ports < map->n_ports;
                last = e;
                last_host = row->host;
        }
        *ret = findings;
        return 0;
}
