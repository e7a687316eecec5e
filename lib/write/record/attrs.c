/*
 * Host names, nodes, zones and ports take ten times the room of the addresses, so each string is stored
 * once. Nodes and zones are few and repeat: a hash table finds them again. Host names are many and seldom
 * equal, and have to be sorted anyway: equal ones meet there. No step takes longer than n log n, whatever
 * the names are.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "table/bytes.h"
#include "write/record/attrs.h"
#include "write/record/near.h"

#define MAX_ROWS  KHS_ROWS_MAX
#define MAX_PORTS 4096  /* in all port sets together */
#define N_SLOTS   32768 /* for the strings of MAX_ROWS nodes and zones, at most 2/3 full */
#define MAX_BYTE  255

/*
 * What host names are sorted by: the first bytes after their common prefix, then the row of the address,
 * then their own row.
 */
struct sort_item {
        uint64_t prefix;
        uint32_t row;
        uint16_t address;
};

/* A list that grows until it is full: the offsets of nodes or zones. */
struct list {
        uint32_t n, max;
        uint32_t *items;
};

struct khs_attrs_scratch {
        struct sort_item sorted[MAX_ROWS], other[MAX_ROWS];
        struct {
                uint32_t string; /* offset in the pool; 0: free */
                uint16_t number;
                bool zone;
        } slots[N_SLOTS];
        uint32_t n_slots; /* in use for the row at hand: a power of two */
        uint32_t nodes[MAX_ROWS], zones[MAX_BYTE];
        struct {
                const struct khs_row_port *ports;
                uint32_t n, first;
        } port_sets[MAX_BYTE];
        uint32_t n_port_sets;
        struct khs_attr_port ports[MAX_PORTS];
        uint32_t n_ports;
        uint16_t row_ports[MAX_ROWS];
        bool unnumbered; /* some row has ports, but no port set: row_ports is used */
        uint8_t pool[KHS_MAX_UNITS * KHS_UNIT];
        uint32_t n_pool;
        bool full; /* something did not fit */
};

struct khs_attrs_scratch *khs_attrs_scratch_new(void)
{
        return calloc(1, sizeof(struct khs_attrs_scratch));
}

static size_t attrs_length(const char *string)
{
        return string ? strlen(string) : 0;
}

static uint32_t attrs_n_rows(const struct khs_row *row)
{
        return row->n4 + row->n6 + row->n_shared;
}

uint64_t khs_attrs_words_max(const struct khs_row *row)
{
        uint64_t n = attrs_n_rows(row), bytes;

        if (!row->endpoints)
                return 0;
        bytes = sizeof(struct khs_attrs) + n * (sizeof(struct khs_attr_row) + 2 + 2) + row->n_shared * 2ULL + 2 + 2 + 4;
        for (uint64_t i = 0; i < n; i++) {
                const struct khs_row_endpoint *e = &row->endpoints[i];

                bytes += attrs_length(e->host) + attrs_length(e->node) + attrs_length(e->zone) + 3 + 3 * 4;
                for (uint32_t p = 0; p < e->n_ports; p++)
                        bytes += sizeof(struct khs_attr_port) + attrs_length(e->ports[p].name) + 1;
        }
        return (bytes + 3) / 4;
}

/* ---- strings ---- */

/* Adds a string to the pool. Return: its offset; 0: it is empty, too long, or does not fit. */
static uint32_t attrs_add_string(struct khs_attrs_scratch *s, const char *string, size_t n)
{
        uint32_t at = s->n_pool;

        if (n == 0 || n > MAX_BYTE)
                return 0;
        if (n + 1 > sizeof(s->pool) - at) {
                s->full = true;
                return 0;
        }
        s->pool[at] = (uint8_t)n;
        memcpy(s->pool + at + 1, string, n);
        s->n_pool = at + 1 + (uint32_t)n;
        return at;
}

/* Eight bytes a step. An attacker does not choose the names of nodes and zones. */
static uint32_t attrs_hash(const char *string, size_t n)
{
        uint64_t h = n;

        for (; n > 8; n -= 8, string += 8)
                h = (h ^ khs_load64(string)) * 0x9E3779B97F4A7C15ULL;
        h = (h ^ (n == 8 ? khs_load64(string) : khs_load_tail(string, n))) * 0x9E3779B97F4A7C15ULL;
        return (uint32_t)(h >> 32);
}

/* The number of a node or zone, counted from 1; 0: it has none, or there are too many. */
static uint32_t attrs_number(struct khs_attrs_scratch *s, const char *string, bool zone, struct list *list)
{
        size_t n = attrs_length(string);
        uint32_t slot, at;

        if (n == 0 || n > MAX_BYTE)
                return 0;
        for (slot = attrs_hash(string, n) & (s->n_slots - 1); s->slots[slot].string;
             slot = (slot + 1) & (s->n_slots - 1)) {
                at = s->slots[slot].string;
                if (s->slots[slot].zone == zone && s->pool[at] == n && memcmp(s->pool + at + 1, string, n) == 0)
                        return s->slots[slot].number;
        }
        if (list->n == list->max)
                return 0;
        at = attrs_add_string(s, string, n);
        if (at == 0)
                return 0;
        list->items[list->n++] = at;
        s->slots[slot].string = at;
        s->slots[slot].number = (uint16_t)list->n;
        s->slots[slot].zone = zone;
        return list->n;
}

/* ---- ports ---- */

static bool attrs_same_ports(const struct khs_row_port *a, const struct khs_row_port *b, uint32_t n)
{
        for (uint32_t i = 0; a != b && i < n; i++) {
                size_t n_name = attrs_length(a[i].name);

                if (a[i].number != b[i].number || a[i].protocol != b[i].protocol || n_name != attrs_length(b[i].name) ||
                    (n_name > 0 && memcmp(a[i].name, b[i].name, n_name) != 0))
                        return false;
        }
        return true;
}

/* The number of a port set, counted from 1; 0: it is empty, or there are too many. */
static uint32_t attrs_port_set(struct khs_attrs_scratch *s, const struct khs_row_port *ports, uint32_t n)
{
        uint32_t i;

        for (i = s->n_port_sets; i > 0; i--) {
                if (s->port_sets[i - 1].n == n && attrs_same_ports(s->port_sets[i - 1].ports, ports, n))
                        return i;
        }
        if (n == 0 || n > MAX_PORTS - s->n_ports || s->n_port_sets == MAX_BYTE)
                return 0;
        s->port_sets[s->n_port_sets].ports = ports;
        s->port_sets[s->n_port_sets].n = n;
        s->port_sets[s->n_port_sets].first = s->n_ports;
        for (i = 0; i < n; i++)
                s->ports[s->n_ports++] = (struct khs_attr_port){
                        .number = ports[i].number,
                        .protocol = ports[i].protocol,
                        .name = attrs_add_string(s, ports[i].name ? ports[i].name : "", attrs_length(ports[i].name)),
                };
        return ++s->n_port_sets;
}

/* ---- hosts ---- */

/* Length of the prefix that all host names share. */
static size_t attrs_common_prefix(const struct khs_row *row, const struct sort_item *items, uint32_t n)
{
        const char *first = row->endpoints[items[0].row].host;
        size_t common = strlen(first);

        for (uint32_t i = 1; i < n; i++) {
                const char *host = row->endpoints[items[i].row].host;
                size_t j = 0;

                while (j < common && host[j] == first[j])
                        j++;
                common = j;
        }
        return common;
}

/* Up to eight bytes as a number that compares as they do; a prefix is smaller. */
static uint64_t attrs_big_endian(const char *bytes)
{
        uint64_t value = 0;

        for (unsigned int i = 0; i < 8; i++) {
                value = value << 8 | (uint8_t)*bytes;
                bytes += *bytes != '\0';
        }
        return value;
}

static bool attrs_goes_before(const struct khs_row *row, const struct sort_item *a, const struct sort_item *b)
{
        int order;

        if (a->prefix != b->prefix)
                return a->prefix < b->prefix;
        order = strcmp(row->endpoints[a->row].host, row->endpoints[b->row].host);
        if (order != 0)
                return order < 0;
        return a->address != b->address ? a->address < b->address : a->row < b->row;
}

/* Merges the sorted runs from[a..b) and from[b..c). */
static void attrs_merge(const struct khs_row *row, const struct sort_item *from, uint32_t a, uint32_t b, uint32_t c,
                        struct sort_item *to)
{
        uint32_t i = a, j = b;

        for (uint32_t k = a; k < c; k++)
                to[k] = j == c || (i < b && attrs_goes_before(row, &from[i], &from[j])) ? from[i++] : from[j++];
}

/* Rows with a host name, sorted by it and then by their address. A merge sort: n log n. */
static const struct sort_item *attrs_sort_hosts(struct khs_attrs_scratch *s, const struct khs_row *row, uint32_t *ret_n)
{
        struct sort_item *from = s->sorted, *to = s->other, *swap;
        uint32_t n = 0;
        size_t common;

        for (uint32_t i = 0; i < attrs_n_rows(row); i++) {
                size_t n_host = attrs_length(row->endpoints[i].host);

                if (n_host < 1 || n_host > MAX_BYTE)
                        continue;
                from[n].address = i < row->n4 + row->n6 ? (uint16_t)i : row->shared[i - row->n4 - row->n6];
                from[n++].row = i;
        }
        *ret_n = n;
        if (n == 0)
                return from;
        common = attrs_common_prefix(row, from, n);
        for (uint32_t i = 0; i < n; i++)
                from[i].prefix = attrs_big_endian(row->endpoints[from[i].row].host + common);
        for (uint32_t width = 1; width < n; width *= 2) {
                for (uint32_t i = 0; i < n; i += 2 * width) {
                        uint32_t middle = i + width < n ? i + width : n, end = i + 2 * width < n ? i + 2 * width : n;

                        attrs_merge(row, from, i, middle, end, to);
                }
                swap = from;
                from = to;
                to = swap;
        }
        return from;
}

/* ---- the whole ---- */

static void attrs_begin(struct khs_attrs_scratch *s, uint32_t n_rows)
{
        s->n_slots = 64;
        while (s->n_slots < N_SLOTS && s->n_slots < 3 * n_rows)
                s->n_slots *= 2;
        memset(s->slots, 0, s->n_slots * sizeof(s->slots[0]));
        memset(s->pool, 0, 4);
        s->n_pool = 4; /* no string has the offset 0 */
        s->n_port_sets = 0;
        s->n_ports = 0;
        s->unnumbered = false;
        s->full = false;
}

static uint32_t attrs_state(const struct khs_row_endpoint *e)
{
        bool none = e->ordinal < 0 || (uint32_t)e->ordinal > KHS_ORDINAL_MAX;

        return e->flags | (none ? KHS_ORDINAL_NONE : (uint32_t)e->ordinal) << KHS_ORDINAL_SHIFT;
}

/* Rows and, behind them, the row numbers by host, and whose address shared ones have. */
static void attrs_encode_rows(struct khs_attrs_scratch *s, const struct khs_row *row, struct khs_attr_row *rows,
                              uint16_t *by_host, struct list *nodes, struct list *zones)
{
        uint32_t n_rows = attrs_n_rows(row), n_numbers = n_rows + row->n_shared, n_hosts;
        const struct sort_item *sorted;
        const char *last = NULL;
        uint32_t string = 0;

        for (uint32_t i = 0; i < n_rows; i++) {
                const struct khs_row_endpoint *e = &row->endpoints[i];

                rows[i] = (struct khs_attr_row){
                        .node = (uint16_t)attrs_number(s, e->node, false, nodes),
                        .zone = (uint8_t)attrs_number(s, e->zone, true, zones),
                        .port_set = (uint8_t)attrs_port_set(s, e->ports, e->n_ports),
                        .state = attrs_state(e),
                };
                s->row_ports[i] = rows[i].port_set == 0 && e->n_ports > 0 ? e->ports[0].number : 0;
                s->unnumbered = s->unnumbered || s->row_ports[i] > 0;
        }
        sorted = attrs_sort_hosts(s, row, &n_hosts);
        for (uint32_t i = 0; i < n_hosts; i++) {
                const char *host = row->endpoints[sorted[i].row].host;

                if (!last || strcmp(last, host) != 0)
                        string = attrs_add_string(s, host, strlen(host));
                last = host;
                rows[sorted[i].row].host = string;
                by_host[i] = (uint16_t)sorted[i].row;
        }
        for (uint32_t i = n_hosts; i < (n_numbers + 1) / 2 * 2; i++)
                by_host[i] = i >= n_rows && i < n_numbers ? row->shared[i - n_rows] : 0xffff;
}

/* The next part, of so many bytes; NULL when it does not fit. */
static void *attrs_take(uint32_t *ret, size_t n_words, uint32_t *next, size_t bytes)
{
        size_t n = (bytes + 3) / 4;
        uint32_t *part = ret + *next;

        if (n > n_words - *next)
                return NULL;
        if (bytes % 4)
                part[n - 1] = 0;
        *next += (uint32_t)n;
        return part;
}

static bool attrs_append(uint32_t *ret, size_t n_words, uint32_t *next, const void *bytes, size_t n)
{
        void *part = attrs_take(ret, n_words, next, n);

        if (part)
                memcpy(part, bytes, n);
        return part != NULL;
}

uint32_t khs_attrs_encode(struct khs_attrs_scratch *s, const struct khs_row *row, uint32_t *ret, size_t n_words)
{
        struct list nodes = { 0, MAX_ROWS, s->nodes }, zones = { 0, MAX_BYTE, s->zones };
        uint32_t n_rows = attrs_n_rows(row), next = 0, port_sets[MAX_BYTE];
        struct khs_attr_row *rows;
        struct khs_attrs *head;
        uint16_t *by_host;

        if (n_words < sizeof(*head) / 4)
                return 0;
        attrs_begin(s, n_rows);
        head = attrs_take(ret, n_words, &next, sizeof(*head));
        *head = (struct khs_attrs){
                .rows = next,
                .port_base = row->port_base,
                .n_shared = (uint16_t)row->n_shared,
                .n_near4 = khs_near_count(row, 0, row->n4),
                .n_near6 = khs_near_count(row, row->n4, row->n4 + row->n6),
        };
        rows = attrs_take(ret, n_words, &next, n_rows * sizeof(*rows));
        head->by_host = next;
        by_host = attrs_take(ret, n_words, &next, (size_t)(n_rows + row->n_shared + 1) / 2 * 4);
        if (!rows || !by_host)
                return 0;
        attrs_encode_rows(s, row, rows, by_host, &nodes, &zones);
        for (uint32_t i = 0; i < s->n_port_sets; i++)
                port_sets[i] = s->port_sets[i].first << 16 | s->port_sets[i].n;

        if (s->unnumbered) {
                head->row_ports = next;
                s->full |= !attrs_append(ret, n_words, &next, s->row_ports, n_rows * sizeof(s->row_ports[0]));
        }
        head->nodes = next;
        s->full |= !attrs_append(ret, n_words, &next, s->nodes, (size_t)nodes.n * 4);
        head->zones = next;
        s->full |= !attrs_append(ret, n_words, &next, s->zones, (size_t)zones.n * 4);
        head->port_sets = next;
        s->full |= !attrs_append(ret, n_words, &next, port_sets, (size_t)s->n_port_sets * 4);
        head->ports = next;
        s->full |= !attrs_append(ret, n_words, &next, s->ports, s->n_ports * sizeof(s->ports[0]));
        head->strings = next;
        s->full |= !attrs_append(ret, n_words, &next, s->pool, s->n_pool);
        head->end = next;
        return s->full ? 0 : next;
}
