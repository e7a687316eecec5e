/*
 * Host names, ordinals and ports, see model/endpoints.h.
 *
 * Making a table walks three sorted lists at once: the addresses that there are now, those of the
 * old table, and those that the source speaks of; and of one address, two: its hosts that were known, and
 * those that are told.
 *
 *     rows     n endpoints: of the addresses, then shared ones; host points into strings, ports into ports
 *     strings  each host with its final zero, in the order of the rows
 *     ports    the sets that differ, each of as many as its endpoints point at
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "model/endpoints.h"

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
                return (struct address){ AF_INET, addrs->v4 + (size_t)i * 4 };
        return (struct address){ AF_INET6, addrs->v6 + (size_t)(i - addrs->n4) * 16 };
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
        const struct khs_row_port *ports;
        uint32_t n_ports;
};

/* How far the lists have been walked, and what they say of the address at hand. */
struct walk {
        const struct host_table *old;
        const struct host_addrs *old_addrs;
        const struct finding *news;   /* or NULL */
        uint32_t old_row, old_shared; /* the old address's; its shared rows begin there */
        uint32_t n_old;               /* its endpoints: its own row and its shared ones; 0: it is new */
        uint32_t first_news, n_news;
};

static void walk_old(struct walk *w, struct address address)
{
        uint32_t n_addrs = w->old->n - w->old->n_shared;

        while (w->old_row < n_addrs && compare(address_at(w->old_addrs, w->old_row), address) < 0)
                w->old_row++;
        while (w->old_shared < w->old->n_shared && w->old->shared[w->old_shared] < w->old_row)
                w->old_shared++;
        w->n_old = w->old_row < n_addrs && compare(address_at(w->old_addrs, w->old_row), address) == 0;
        while (w->n_old > 0 && w->old_shared + w->n_old - 1 < w->old->n_shared &&
               w->old->shared[w->old_shared + w->n_old - 1] == w->old_row)
                w->n_old++;
}

static int compare_news(const struct walk *w, uint32_t i, struct address address)
{
        const struct finding_endpoint *e = &w->news->endpoints[i];

        return compare((struct address){ e->family, e->bytes }, address);
}

static void walk_news(struct walk *w, struct address address)
{
        uint32_t n = w->news ? w->news->n_endpoints : 0;

        w->first_news += w->n_news;
        while (w->first_news < n && compare_news(w, w->first_news, address) < 0)
                w->first_news++;
        w->n_news = 0;
        while (w->first_news + w->n_news < n && compare_news(w, w->first_news + w->n_news, address) == 0)
                w->n_news++;
}

static const struct khs_row_endpoint *old_at(const struct walk *w, uint32_t i)
{
        return &w->old->rows[i == 0 ? w->old_row : w->old->n - w->old->n_shared + w->old_shared + i - 1];
}

static const struct finding_endpoint *news_at(const struct walk *w, uint32_t i)
{
        return &w->news->endpoints[w->first_news + i];
}

/* Hosts as they are sorted: "none" before all. */
static int compare_hosts(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static struct known known_of_old(const struct khs_row_endpoint *e)
{
        return (struct known){ e->host, e->ports, e->n_ports };
}

/* Ports that were not learned are those that the same host had, or an address that has only one. */
static struct known known_of_news(const struct walk *w, const struct finding_endpoint *e,
                                  const struct khs_row_endpoint *old)
{
        if (!e->ports_unknown)
                return (struct known){ e->host, e->ports, e->n_ports };
        if (!old && w->n_old == 1 && w->n_news == 1)
                old = old_at(w, 0);
        return old ? (struct known){ e->host, old->ports, old->n_ports } : (struct known){ .host = e->host };
}

/* Whether the news are a part of what is known, by their own word. */
static bool is_part(const struct walk *w)
{
        uint32_t o = 0;

        if (w->n_news == 0 || !news_at(w, 0)->others_unknown)
                return false;
        for (uint32_t i = 0; i < w->n_news; i++, o++) {
                while (o < w->n_old && compare_hosts(old_at(w, o)->host, news_at(w, i)->host) < 0)
                        o++;
                if (o == w->n_old || compare_hosts(old_at(w, o)->host, news_at(w, i)->host) != 0)
                        return false;
        }
        return true;
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
        *sets = (struct sets){ .config = config, .n_config = (uint32_t)n_config, .n_last = UINT32_MAX };
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
        free(table->others_unknown);
        free(table->strings);
        free(table->ports);
        *table = (struct host_table){ .n = 0 };
}

/* Room for the rows of @n_addrs addresses, and as many shared rows as there can be. */
static int table_alloc(struct host_table *table, uint32_t n_addrs, uint32_t n_shared)
{
        table->n = n_addrs;
        table->rows = calloc((size_t)n_addrs + n_shared, sizeof(*table->rows));
        table->shared = calloc(n_shared ? n_shared : 1, sizeof(*table->shared));
        table->others_unknown = calloc(n_addrs, sizeof(*table->others_unknown));
        return table->rows && table->shared && table->others_unknown ? 0 : -ENOMEM;
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

/* A table in the making. */
struct making {
        struct host_table table;
        struct walk walk;
        struct sets sets;
        uint32_t *set_of_row;
        uint32_t n_addrs, max_shared;
        bool any; /* it says something */
};

/* One endpoint of an address, whose first one has its row. */
static void add_endpoint(struct making *m, uint32_t i, struct address address, bool first, struct known known)
{
        uint32_t row = i;

        if (!first) {
                if (m->table.n_shared == m->max_shared) {
                        m->table.complete = false;
                        return;
                }
                m->table.shared[m->table.n_shared++] = (uint16_t)i;
                row = m->table.n++;
        }
        m->table.rows[row] = (struct khs_row_endpoint){
                .host = known.host,
                .flags = KHS_ATTR_READY | KHS_ATTR_SERVING, /* DNS lists what is ready */
                .ordinal = known.host ? host_ordinal(known.host, address.family, address.bytes) : -1,
        };
        m->table.complete = m->table.complete && known.host;
        m->set_of_row[row] = sets_add(&m->sets, known.ports, known.n_ports);
        m->any = m->any || says_something(&known, m->sets.config, m->sets.n_config);
}

/* What was known of an address, and what is told of the same hosts. */
static void add_old(struct making *m, uint32_t i, struct address address)
{
        const struct walk *w = &m->walk;
        uint32_t n = 0;

        for (uint32_t o = 0; o < w->n_old; o++) {
                const struct khs_row_endpoint *old = old_at(w, o);
                bool told = n < w->n_news && compare_hosts(news_at(w, n)->host, old->host) == 0;

                add_endpoint(m, i, address, o == 0, told ? known_of_news(w, news_at(w, n), old) : known_of_old(old));
                n += told;
        }
        if (w->n_old == 0)
                add_endpoint(m, i, address, true, (struct known){ .host = NULL });
        m->table.others_unknown[i] = w->n_old > 0 && w->old->others_unknown[w->old_row];
}

static void add_news(struct making *m, uint32_t i, struct address address)
{
        const struct walk *w = &m->walk;
        uint32_t o = 0;

        for (uint32_t n = 0; n < w->n_news; n++) {
                const struct finding_endpoint *e = news_at(w, n);

                while (o < w->n_old && compare_hosts(old_at(w, o)->host, e->host) < 0)
                        o++;
                add_endpoint(m, i, address, n == 0,
                             known_of_news(w, e,
                                           o < w->n_old && compare_hosts(old_at(w, o)->host, e->host) == 0
                                                   ? old_at(w, o)
                                                   : NULL));
        }
        m->table.others_unknown[i] = news_at(w, 0)->others_unknown;
}

/* Rows with hosts that are borrowed from the old table and the news. */
static void fill_rows(struct making *m, const struct host_addrs *addrs)
{
        m->table.complete = true;
        for (uint32_t i = 0; i < m->n_addrs; i++) {
                struct address address = address_at(addrs, i);

                walk_old(&m->walk, address);
                walk_news(&m->walk, address);
                if (m->walk.n_news == 0 || is_part(&m->walk))
                        add_old(m, i, address);
                else
                        add_news(m, i, address);
                m->table.complete = m->table.complete && !m->table.others_unknown[i];
        }
}

/* The room for shared rows that there are not; where it can't be given back it stays. */
static void table_shrink(struct host_table *table)
{
        void *rows = reallocarray(table->rows, table->n, sizeof(*table->rows));
        void *shared = reallocarray(table->shared, table->n_shared ? table->n_shared : 1, sizeof(*table->shared));

        table->rows = rows ? rows : table->rows;
        table->shared = shared ? shared : table->shared;
}

static uint32_t most_shared(uint32_t n_addrs, const struct host_table *old, const struct finding *news)
{
        uint64_t n = (uint64_t)old->n_shared + (news ? news->n_endpoints : 0);

        return n < 2 * KHS_MAX_ADDRS - n_addrs ? (uint32_t)n : 2 * KHS_MAX_ADDRS - n_addrs;
}

int host_table_make(struct host_table *ret, const struct host_addrs *addrs, const struct host_table *old,
                    const struct host_addrs *old_addrs, const struct finding *news, const struct khs_port *ports,
                    size_t n_ports)
{
        struct making m = {
                .walk = { .old = old, .old_addrs = old_addrs, .news = news },
                .n_addrs = addrs->n4 + addrs->n6,
        };
        int r;

        *ret = m.table;
        if (m.n_addrs == 0 || (old->n == 0 && !news))
                return 0;
        m.max_shared = most_shared(m.n_addrs, old, news);
        m.set_of_row = calloc((size_t)m.n_addrs + m.max_shared, sizeof(*m.set_of_row));
        r = sets_init(&m.sets, ports, n_ports);
        if (r == 0)
                r = m.set_of_row ? table_alloc(&m.table, m.n_addrs, m.max_shared) : -ENOMEM;
        if (r == 0)
                fill_rows(&m, addrs);
        if (r == 0 && m.any) {
                table_shrink(&m.table);
                r = own_hosts(&m.table);
                if (r == 0)
                        r = place_ports(&m.table, &m.sets, m.set_of_row);
                if (r == 0)
                        *ret = m.table;
        }
        free(m.sets.numbers);
        free(m.set_of_row);
        if (ret->n == 0)
                host_table_deinit(&m.table);
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
        if (a->n != b->n || a->n_shared != b->n_shared || a->complete != b->complete)
                return false;
        for (uint32_t i = 0; i < a->n - a->n_shared; i++)
                if (a->others_unknown[i] != b->others_unknown[i])
                        return false;
        for (uint32_t i = 0; i < a->n_shared; i++)
                if (a->shared[i] != b->shared[i])
                        return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!same_string(a->rows[i].host, b->rows[i].host) || !same_ports(&a->rows[i], &b->rows[i]))
                        return false;
        return true;
}
