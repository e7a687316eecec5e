/*
 * Host names, ordinals and ports, see host-table.h.
 *
 * Making a table walks three sorted lists at once: the addresses that there are now, those of the
 * old table, and those that the source speaks of.
 *
 *     rows     n endpoints; host points into strings, ports into ports
 *     strings  each host with its final zero, in the order of the rows
 *     ports    the sets that differ, each of as many as its endpoints point at
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host-table.h"
#include "util.h"

/* ---- ordinals ---- */

/* "10-244-0-11", "fd00--1": what is an address once the dashes are what they stand for. */
static bool is_dashed(const char *host, uint8_t family, const uint8_t *bytes)
{
        char text[KHS_LABEL_MAX + 1];
        uint8_t parsed[16];
        size_t n = strlen(host);

        if (n > KHS_LABEL_MAX)
                return false;
        for (int six = 0; six < 2; six++) {
                for (size_t i = 0; i <= n; i++)
                        text[i] = host[i] != '-' ? host[i] : six ? ':' : '.';
                if (inet_pton(six ? AF_INET6 : AF_INET, text, parsed) == 1)
                        return !six || (family == AF_INET6 && memcmp(parsed, bytes, 16) == 0);
        }
        return false;
}

int32_t host_ordinal(const char *host, uint8_t family, const uint8_t *bytes)
{
        const char *dash = strrchr(host, '-'), *digits = dash ? dash + 1 : NULL;
        int64_t number = 0;

        if (!dash || dash == host || *digits == '\0' || (digits[0] == '0' && digits[1] != '\0'))
                return -1;
        for (const char *c = digits; *c; c++) {
                if (*c < '0' || *c > '9' || c - digits >= 10)
                        return -1;
                number = number * 10 + (*c - '0');
        }
        return number > INT32_MAX || is_dashed(host, family, bytes) ? -1 : (int32_t)number;
}

/* ---- addresses ---- */

struct address {
        uint8_t family;
        const uint8_t *bytes;
};

static struct address address_at(const struct host_addrs *addrs, uint32_t i)
{
        if (i < addrs->n4)
                return (struct address){AF_INET, addrs->v4 + (size_t)i * 4};
        return (struct address){AF_INET6, addrs->v6 + (size_t)(i - addrs->n4) * 16};
}

static int compare(struct address a, struct address b)
{
        if (a.family != b.family)
                return a.family == AF_INET ? -1 : 1;
        return memcmp(a.bytes, b.bytes, a.family == AF_INET ? 4 : 16);
}

/* ---- what is known of one address ---- */

struct known {
        const char *host;
        bool shared;
        const struct khs_row_port *ports;
        uint32_t n_ports;
};

/* The old table's row of an address; the cursor only ever moves on. */
static void take_old(const struct host_table *old, const struct host_addrs *addrs, uint32_t *cursor,
                     struct address address, struct known *ret)
{
        const struct khs_row_endpoint *row;

        while (*cursor < old->n && compare(address_at(addrs, *cursor), address) < 0)
                (*cursor)++;
        if (*cursor == old->n || compare(address_at(addrs, *cursor), address) != 0)
                return;
        row = &old->rows[*cursor];
        *ret = (struct known){row->host, old->shared[*cursor], row->ports, row->n_ports};
}

static void take_news(const struct source_result *news, uint32_t *cursor, struct address address,
                      struct known *ret)
{
        const struct source_endpoint *e = news->endpoints;

        while (*cursor < news->n_endpoints &&
               compare((struct address){e[*cursor].family, e[*cursor].bytes}, address) < 0)
                (*cursor)++;
        e += *cursor;
        if (*cursor == news->n_endpoints || compare((struct address){e->family, e->bytes}, address) != 0)
                return;
        ret->host = e->host;
        ret->shared = e->shared;
        if (!e->ports_unknown) {
                ret->ports = e->ports;
                ret->n_ports = e->n_ports;
        }
}

/* ---- ports ---- */

/* Sets are made of all configured ports, those that an endpoint has not with the number 0. */
struct sets {
        const struct khs_port *config;
        uint32_t n_config;
        uint16_t *numbers; /* n x n_config, then one that is being put together */
        uint32_t n;
        const struct khs_row_port *last; /* what the last row had, and its set: most have the same */
        uint32_t n_last, last_set;
};

static int sets_init(struct sets *sets, const struct khs_port *config, size_t n_config)
{
        *sets = (struct sets){.config = config, .n_config = (uint32_t)n_config, .n_last = UINT32_MAX};
        sets->numbers = calloc((HOST_TABLE_PORT_SETS + 1) * (n_config ? n_config : 1), sizeof(*sets->numbers));
        return sets->numbers ? 0 : -ENOMEM;
}

static uint8_t protocol_of(const struct khs_port *port)
{
        return port->udp ? IPPROTO_UDP : IPPROTO_TCP;
}

static uint16_t number_of(const struct khs_port *port, const struct khs_row_port *ports, uint32_t n_ports)
{
        if (port->kind == KHS_PORT_NUMBER)
                return port->number;
        for (uint32_t i = 0; port->kind == KHS_PORT_NAME && i < n_ports; i++)
                if (ports[i].name && ports[i].protocol == protocol_of(port) && strcmp(ports[i].name, port->name) == 0)
                        return ports[i].number;
        return 0;
}

/* The number of a set, from 1; 0: no port is known, or there are too many sets. */
static uint32_t sets_add(struct sets *sets, const struct khs_row_port *ports, uint32_t n_ports)
{
        uint16_t *next = sets->numbers + (size_t)sets->n * sets->n_config;
        bool any = false;
        uint32_t set = 0;

        if (sets->n_last == n_ports && sets->last == ports)
                return sets->last_set;
        for (uint32_t i = 0; i < sets->n_config; i++) {
                next[i] = number_of(&sets->config[i], ports, n_ports);
                any = any || next[i] > 0;
        }
        while (any && set < sets->n &&
               memcmp(sets->numbers + (size_t)set * sets->n_config, next, sets->n_config * sizeof(*next)) != 0)
                set++;
        if (any && set == sets->n && sets->n < HOST_TABLE_PORT_SETS)
                sets->n++;
        sets->last = ports;
        sets->n_last = n_ports;
        sets->last_set = any && set < sets->n ? set + 1 : 0;
        return sets->last_set;
}

/* One set as endpoints have it. Return: how many ports. */
static uint32_t sets_write(const struct sets *sets, uint32_t set, struct khs_row_port *ret)
{
        const uint16_t *numbers = sets->numbers + (size_t)set * sets->n_config;
        uint32_t n = 0;

        for (uint32_t i = 0; i < sets->n_config; i++) {
                const struct khs_port *port = &sets->config[i];

                /* The first is the default: who has not got it must not be given another one for it. */
                if (numbers[i] == 0 && (i > 0 || port->kind != KHS_PORT_NAME))
                        continue;
                ret[n++] = (struct khs_row_port){
                        .name = port->kind == KHS_PORT_NAME ? port->name : NULL,
                        .number = numbers[i],
                        .protocol = protocol_of(port),
                };
        }
        return n;
}

/* From set numbers to the sets. */
static int place_ports(struct host_table *table, const struct sets *sets, const uint32_t *set_of_row)
{
        uint32_t first[HOST_TABLE_PORT_SETS + 1], n[HOST_TABLE_PORT_SETS + 1], n_all = 0;

        if (sets->n == 0)
                return 0;
        table->ports = calloc((size_t)sets->n * sets->n_config, sizeof(*table->ports));
        if (!table->ports)
                return -ENOMEM;
        for (uint32_t i = 0; i < sets->n; i++) {
                first[i] = n_all;
                n[i] = sets_write(sets, i, table->ports + n_all);
                n_all += n[i];
        }
        for (uint32_t i = 0; i < table->n; i++) {
                if (set_of_row[i] == 0)
                        continue;
                table->rows[i].ports = table->ports + first[set_of_row[i] - 1];
                table->rows[i].n_ports = n[set_of_row[i] - 1];
        }
        return 0;
}

/* ---- the table ---- */

void host_table_deinit(struct host_table *table)
{
        free(table->rows);
        free(table->shared);
        free(table->strings);
        free(table->ports);
        *table = (struct host_table){.n = 0};
}

static int table_alloc(struct host_table *table, uint32_t n)
{
        table->n = n;
        table->rows = calloc(n, sizeof(*table->rows));
        table->shared = calloc(n, sizeof(*table->shared));
        return table->rows && table->shared ? 0 : -ENOMEM;
}

/* Rows are given strings of their own instead of those that they were made of. */
static int own_hosts(struct host_table *table)
{
        size_t n = 0;
        char *at;

        for (uint32_t i = 0; i < table->n; i++)
                n += table->rows[i].host ? strlen(table->rows[i].host) + 1 : 0;
        table->strings = at = malloc(n ? n : 1);
        if (!at)
                return -ENOMEM;
        for (uint32_t i = 0; i < table->n; i++) {
                size_t n_host;

                if (!table->rows[i].host)
                        continue;
                n_host = strlen(table->rows[i].host) + 1;
                table->rows[i].host = memcpy(at, table->rows[i].host, n_host);
                at += n_host;
        }
        return 0;
}

/* Whether a row says more than the configuration does. */
static bool says_something(const struct known *known, const struct khs_port *ports, size_t n_ports)
{
        bool any = known->host != NULL;

        for (size_t i = 0; !any && i < n_ports; i++)
                any = ports[i].kind == KHS_PORT_NAME && number_of(&ports[i], known->ports, known->n_ports) > 0;
        return any;
}

/* Rows with hosts that are borrowed from the old table and the news. Return: whether they say anything. */
static bool fill_rows(struct host_table *table, const struct host_addrs *addrs, const struct host_table *old,
                      const struct host_addrs *old_addrs, const struct source_result *news, struct sets *sets,
                      uint32_t *ret_sets)
{
        uint32_t old_cursor = 0, news_cursor = 0;
        bool any = false;

        table->complete = true;
        for (uint32_t i = 0; i < table->n; i++) {
                struct address address = address_at(addrs, i);
                struct known known = {.host = NULL};

                take_old(old, old_addrs, &old_cursor, address, &known);
                if (news)
                        take_news(news, &news_cursor, address, &known);
                table->rows[i] = (struct khs_row_endpoint){
                        .host = known.host,
                        .flags = KHS_ATTR_READY | KHS_ATTR_SERVING, /* DNS lists what is ready */
                        .ordinal = known.host ? host_ordinal(known.host, address.family, address.bytes) : -1,
                };
                table->shared[i] = known.shared;
                table->complete = table->complete && known.host && !known.shared;
                ret_sets[i] = sets_add(sets, known.ports, known.n_ports);
                any = any || says_something(&known, sets->config, sets->n_config);
        }
        return any;
}

int host_table_make(struct host_table *ret, const struct host_addrs *addrs, const struct host_table *old,
                    const struct host_addrs *old_addrs, const struct source_result *news,
                    const struct khs_port *ports, size_t n_ports)
{
        _cleanup_(cleanup_free) uint32_t *set_of_row = NULL;
        struct host_table table = {.n = 0};
        struct sets sets;
        int r;

        *ret = table;
        if (addrs->n4 + addrs->n6 == 0 || (old->n == 0 && !news))
                return 0;
        set_of_row = calloc(addrs->n4 + addrs->n6, sizeof(*set_of_row));
        r = sets_init(&sets, ports, n_ports);
        if (r == 0)
                r = set_of_row ? table_alloc(&table, addrs->n4 + addrs->n6) : -ENOMEM;
        if (r == 0 && fill_rows(&table, addrs, old, old_addrs, news, &sets, set_of_row)) {
                r = own_hosts(&table);
                if (r == 0)
                        r = place_ports(&table, &sets, set_of_row);
                if (r == 0)
                        *ret = table;
        }
        free(sets.numbers);
        if (ret->n == 0)
                host_table_deinit(&table);
        return r;
}

static bool same_string(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_ports(const struct khs_row_endpoint *a, const struct khs_row_endpoint *b)
{
        if (a->n_ports != b->n_ports)
                return false;
        for (uint32_t i = 0; i < a->n_ports; i++)
                if (a->ports[i].number != b->ports[i].number || a->ports[i].protocol != b->ports[i].protocol ||
                    !same_string(a->ports[i].name, b->ports[i].name))
                        return false;
        return true;
}

bool host_table_equal(const struct host_table *a, const struct host_table *b)
{
        if (a->n != b->n || a->complete != b->complete)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (a->shared[i] != b->shared[i] || !same_string(a->rows[i].host, b->rows[i].host) ||
                    !same_ports(&a->rows[i], &b->rows[i]))
                        return false;
        return true;
}
