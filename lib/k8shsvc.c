/*
 * The C API: answer/lookup.h behind public types.
 *
 * A handle holds nothing but the caller's search list: which namespace that means depends on the table's cluster
 * domain, which is known only during a lookup. Everything else belongs to the process (read/process.h, read/map.h), so
 * handles are cheap, and closing one leaves the map to the others.
 *
 * Ports are what getaddrinfo() lacks. Where all endpoints have the same one, it stands in the record; otherwise each
 * endpoint's is looked up in the attributes, by name or by ordinal.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer/lookup.h"
#include "answer/pod-name.h"
#include "answer/target.h"
#include "k8shsvc.h"
#include "read/wait.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define MAX_SEARCH  32 /* what Kubernetes writes at most */
#define MAX_LINE    4096

#define PUBLIC __attribute__((visibility("default")))

static_assert(sizeof(struct k8shsvc_addr) == 20, "ABI");

struct k8shsvc {
        const char *search[MAX_SEARCH + 1];
        char text[MAX_LINE]; /* what search points into */
};

/* The words behind "search" or "domain"; the last such line counts, as in glibc. */
static void search_take(k8shsvc *h, const char *line)
{
        size_t n_key = strcspn(line, " \t\n"), n = 0;
        char *save = NULL;

        if (n_key != strlen("search") || (memcmp(line, "search", n_key) != 0 && memcmp(line, "domain", n_key) != 0))
                return;
        memset(h->search, 0, sizeof(h->search));
        strcpy(h->text, line + n_key);
        for (char *word = strtok_r(h->text, " \t\n", &save); word && n < MAX_SEARCH;
             word = strtok_r(NULL, " \t\n", &save))
                h->search[n++] = word;
}

static void search_read(k8shsvc *h)
{
        char line[MAX_LINE];
        FILE *file = fopen(RESOLV_CONF, "re");

        if (!file)
                return;
        while (fgets(line, sizeof(line), file))
                search_take(h, line);
        (void)fclose(file);
}

PUBLIC int k8shsvc_open(k8shsvc **ret)
{
        int saved_errno = errno;
        k8shsvc *h;

        if (!ret)
                return -EINVAL;
        h = calloc(1, sizeof(*h));
        if (h) {
                search_read(h);
                *ret = h;
        }
        errno = saved_errno;
        return h ? 0 : -ENOMEM;
}

PUBLIC void k8shsvc_close(k8shsvc *h)
{
        free(h);
}

/* "kubernetes://NAMESPACE/S" means S.NAMESPACE. */
static int target_name(const struct khs_target *target, char ret[static KHS_NAME_MAX + 2], size_t *ret_n)
{
        size_t n = target->n_name;

        if (n + 1 + target->n_namespace > KHS_NAME_MAX + 1)
                return -ENOENT;
        memcpy(ret, target->name, n);
        if (target->n_namespace > 0) {
                ret[n++] = '.';
                memcpy(ret + n, target->namespace, target->n_namespace);
                n += target->n_namespace;
        }
        *ret_n = n;
        return 0;
}

/* What an endpoint's own port is made of: the wish, and the attributes that can fulfil it. */
struct ports {
        const struct khs_port *wanted;
        const struct khs_attrs_at *attrs; /* NULL: the number is the same for all */
        uint16_t number;
        uint8_t set; /* the port set that was looked at last, and the port that was found there */
        uint16_t in_set;
};

/* Whether endpoints may have ports of their own, as far as can be said without a look at them. */
static bool ports_may_differ(const struct khs_lookup *l, const struct khs_port *wanted)
{
        const struct khs_record *record = &l->found.record;

        return wanted->kind != KHS_PORT_NUMBER && record->attrs != 0 &&
               (wanted->kind != KHS_PORT_NONE || (uint16_t)record->port == 0);
}

static uint16_t port_of_all(const struct khs_lookup *l, const struct khs_port *wanted)
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

static uint16_t port_from_base(uint32_t base, int32_t ordinal)
{
        return base > 0 && ordinal >= 0 && (uint32_t)ordinal <= UINT16_MAX - base ? (uint16_t)(base + (uint32_t)ordinal)
                                                                                  : 0;
}

/* Most endpoints of a service have the same ports. */
static uint16_t port_in_set(const struct khs_lookup *l, struct ports *ports, const struct khs_attr_row *row)
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

static uint16_t port_of_endpoint(const struct khs_lookup *l, struct ports *ports, int family, uint32_t i)
{
        uint32_t number = khs_lookup_row(l, family, i), base = ports->attrs->head.port_base;
        struct khs_attr_row row;

        if (number == KHS_NO_ROW)
                return 0;
        khs_attrs_row(l->view, ports->attrs, number, &row);
        if (ports->wanted->kind == KHS_PORT_BASE)
                base = ports->wanted->number;
        else if (ports->wanted->kind == KHS_PORT_NONE && base == 0 && row.port_set == 0)
                return khs_attrs_row_port(l->view, ports->attrs, number);
        else if (ports->wanted->kind == KHS_PORT_NAME || base == 0)
                return port_in_set(l, ports, &row);
        return port_from_base(base, khs_attr_ordinal(&row));
}

/* What one k8shsvc_lookup() wants, and where its answer goes. */
struct request {
        const struct khs_port *port;
        struct k8shsvc_addr *ret;
        size_t n_max, n;
        struct ports ports;
};

static int request_plan(struct khs_lookup *l, void *user)
{
        struct request *q = user;

        q->ports.attrs = NULL;
        q->ports.number = port_of_all(l, q->port);
        if (ports_may_differ(l, q->port) && ports_open(l, q->port)) {
                q->ports = (struct ports){ .wanted = q->port, .attrs = &l->attrs };
                khs_lookup_shared(l);
        }
        q->n = (size_t)l->v4.count + l->v6.count;
        return q->n <= q->n_max ? 0 : -ENOBUFS;
}

KHS_INLINE void request_fill_family(const struct khs_lookup *l, struct ports *ports, int family, uint32_t n,
                                    struct k8shsvc_addr *ret)
{
        for (uint32_t i = 0; i < n; i++)
                ret[i] = (struct k8shsvc_addr){ .family = (uint8_t)family, .port = ports->number };
        khs_lookup_copy(l, family, ret[0].addr, sizeof(*ret));
        for (uint32_t i = 0; ports->attrs && i < n; i++)
                ret[i].port = port_of_endpoint(l, ports, family, i);
}

static void request_fill(const struct khs_lookup *l, void *user)
{
        struct request *q = user;

        if (l->v6.count > 0)
                request_fill_family(l, &q->ports, AF_INET6, l->v6.count, q->ret);
        if (l->v4.count > 0)
                request_fill_family(l, &q->ports, AF_INET, l->v4.count, q->ret + l->v6.count);
}

/* To a program, damage and endless change are the same: this table is of no use now. */
static int error_of(int r)
{
        if (r == -EADDRNOTAVAIL)
                return -ENODATA;
        return r == -EBADMSG || r == -EBUSY ? -ENOTCONN : r;
}

/* A name with a port or a scheme is a part of the text, and perhaps to be put together. */
static int request_look_up_target(const char *text, struct khs_query *query, struct request *q)
{
        char name[KHS_NAME_MAX + 2];
        struct khs_target target;
        int r;

        if (khs_target_parse(text, &target) < 0)
                return -EINVAL;
        r = target_name(&target, name, &query->n_name);
        if (r < 0)
                return r;
        query->name = name;
        q->port = &target.port;
        return khs_lookup(query, request_plan, request_fill, q);
}

PUBLIC int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max,
                          size_t *n_ret)
{
        static const struct khs_port no_port;
        struct request q = { .port = &no_port, .ret = ret, .n_max = n_max };
        struct khs_query query = { .name = name, .family = family, .all = true };
        int r;

        if (!h || !name || !n_ret || (!ret && n_max > 0))
                return -EINVAL;
        if (family != AF_INET && family != AF_INET6 && family != AF_UNSPEC)
                return -EINVAL;

        /* A plain name is the common case, and no name holds a colon or a slash. */
        query.n_name = strnlen(name, KHS_NAME_MAX + 2);
        query.search = h->search;
        query.n_search = MAX_SEARCH;
        r = khs_lookup(&query, request_plan, request_fill, &q);
        if (r == -ENOENT && strpbrk(name, ":/"))
                r = request_look_up_target(name, &query, &q);
        if (r == 0 || r == -ENOBUFS)
                *n_ret = q.n;
        return error_of(r);
}

/* ---- reverse ---- */

PUBLIC int k8shsvc_reverse(k8shsvc *h, int family, const void *addr, char *ret, size_t n_max)
{
        char name[KHS_REVERSE_NAME_MAX]; /* composed here, since @ret is not touched on failure */
        int r;

        if (!h || !addr || !ret || (family != AF_INET && family != AF_INET6))
                return -EINVAL;
        r = khs_reverse_name(family, addr, name, n_max < sizeof(name) ? n_max : sizeof(name));
        if (r == 0)
                memcpy(ret, name, strlen(name) + 1);
        return error_of(r);
}

/* ---- waiting ---- */

#define TOKEN_ABSENT 1ULL /* looked, and not registered */

static uint64_t wait_now_usec(void)
{
        struct timespec now = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What the table says of all services now. */
static uint64_t wait_token_of_table(const struct khs_view *view)
{
        return ((uint64_t)khs_view_generation(view) << 32 | khs_wait_counter(view)) + 2;
}

/* What it says of a name. Return: 0; -EBUSY it can't be told at this moment; -ENOENT not a name of a service. */
static int wait_token_of_name(const struct khs_query *query, const struct khs_pin *pin, uint64_t *ret)
{
        struct khs_lookup l;
        int r;

        r = khs_lookup_begin(&l, query, pin);
        if (r < 0 || !khs_name_valid(&l.name))
                return -ENOENT;
        r = khs_lookup_find(&l);
        if (r < 0 && r != -ENOENT && r != -ENODATA) /* the latter: a pod that is not there */
                return -EBUSY;
        *ret = r == 0 ? (uint64_t)l.found.record.version + 2 : TOKEN_ABSENT;
        return 0;
}

/*
 * One look and at most one sleep. The counter is read before the record: a change in between ends
 * the sleep before it begins.
 *
 * Return: 0 changed; -EAGAIN look again; -EINTR; -ENOENT.
 */
static int wait_once(const struct khs_query *query, uint64_t *token, uint64_t sleep_usec)
{
        struct khs_pin pin;
        uint64_t now = 0;
        uint32_t seen;
        int r;

        r = khs_map_enter(&pin);
        if (r == 0) {
                seen = khs_wait_counter(pin.view);
                if (query->name)
                        r = wait_token_of_name(query, &pin, &now);
                else
                        now = wait_token_of_table(pin.view);
                if (r == 0 && now == *token) {
                        r = khs_wait(pin.view, seen, sleep_usec);
                        r = r < 0 ? r : -EAGAIN;
                }
                khs_map_leave(&pin);
        }

        if (r == -ENOTCONN || r == -EBUSY) {
                r = khs_wait(NULL, 0, sleep_usec);
                return r < 0 ? r : -EAGAIN;
        }
        if (r == 0)
                *token = now;
        return r;
}

PUBLIC int k8shsvc_wait(k8shsvc *h, const char *name, uint64_t *token, int timeout_ms)
{
        uint64_t end = timeout_ms < 0 ? UINT64_MAX : wait_now_usec() + (uint64_t)timeout_ms * 1000, now;
        struct khs_query query = { 0 };
        char text[KHS_NAME_MAX + 2];
        struct khs_target target;
        int r;

        if (!h || !token)
                return -EINVAL;
        if (name) {
                if (khs_target_parse(name, &target) < 0)
                        return -EINVAL;
                r = target_name(&target, text, &query.n_name);
                if (r < 0)
                        return r;
                query.name = text;
                query.search = h->search;
                query.n_search = MAX_SEARCH;
        }

        do {
                now = wait_now_usec();
                r = wait_once(&query, token, end > now ? end - now : 0);
        } while (r == -EAGAIN && now < end);
        return r == -EAGAIN ? -ETIMEDOUT : r;
}
