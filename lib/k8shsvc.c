/*
 * The C API, see k8shsvc.h: answer/lookup.h with public types around it.
 *
 * A handle holds only the caller's search list, since the namespace depends on the table's cluster
 * domain, which is known at lookup time. Everything else is the process's (read/process.h, read/map.h).
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
#define MAX_SEARCH  6 /* resolv.conf(5): what glibc before 2.26 took, and Kubernetes writes less */
#define MAX_LINE    4096

#define PUBLIC __attribute__((visibility("default")))

static_assert(sizeof(struct k8shsvc_addr) == 20, "ABI");

struct k8shsvc {
        const char *search[MAX_SEARCH + 1];
        char text[MAX_LINE]; /* what search points into */
};

/* The words behind "search" or "domain"; the last such line counts, as in glibc. */
static void take_search(k8shsvc *h, const char *line)
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

static void read_search(k8shsvc *h)
{
        char line[MAX_LINE];
        FILE *file = fopen(RESOLV_CONF, "re");

        if (!file)
                return;
        while (fgets(line, sizeof(line), file))
                take_search(h, line);
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
                read_search(h);
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
        bool shared; /* endpoints that share an address are one result each */
        uint8_t set; /* the port set that was looked at last, and the port that was found there */
        uint16_t in_set;
};

/* Whether endpoints may have ports of their own, as far as can be said without a look at them. */
static bool may_differ(const struct khs_lookup *l, const struct khs_port *wanted)
{
        const struct khs_record *record = &l->found.record;

        return wanted->kind != KHS_PORT_NUMBER && record->attrs != 0 &&
               (wanted->kind != KHS_PORT_NONE || (uint16_t)record->port == 0);
}

static uint16_t same_port(const struct khs_lookup *l, const struct khs_port *wanted)
{
        if (wanted->kind == KHS_PORT_NONE)
                return (uint16_t)l->found.record.port;
        return wanted->kind == KHS_PORT_NUMBER ? wanted->number : 0;
}

/*
 * Ports out of the attributes, if these can say one of any endpoint. They may be gone, then so is the
 * record. A pod's are open, and stay what it was found by.
 */
static bool open_ports(struct khs_lookup *l, const struct khs_port *wanted)
{
        const struct khs_attrs *head = &l->attrs.head;

        if (l->n_pod == 0 && khs_attrs_open(l->view, &l->found, &l->attrs) < 0)
                return false;
        return wanted->kind == KHS_PORT_BASE || head->ports > head->port_sets ||
               (wanted->kind == KHS_PORT_NONE && head->port_base > 0);
}

static uint16_t based(uint32_t base, int32_t ordinal)
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

static uint16_t port_of(const struct khs_lookup *l, struct ports *ports, int family, uint32_t i)
{
        uint32_t number = khs_lookup_row(l, family, i), base = ports->attrs->head.port_base;
        struct khs_attr_row row;

        if (number == KHS_NO_ROW)
                return 0;
        khs_attrs_row(l->view, ports->attrs, number, &row);
        if (ports->wanted->kind == KHS_PORT_BASE)
                base = ports->wanted->number;
        else if (ports->wanted->kind == KHS_PORT_NAME || base == 0)
                return port_in_set(l, ports, &row);
        return based(base, khs_attr_ordinal(&row));
}

static __attribute__((noinline)) void fill_ports(const struct khs_lookup *l, struct ports *ports, int family,
                                                 uint32_t n, struct k8shsvc_addr *ret)
{
        for (uint32_t i = 0; i < n; i++)
                ret[i].port = port_of(l, ports, family, i);
}

KHS_INLINE void fill_family(const struct khs_lookup *l, struct ports *ports, int family, uint32_t n,
                            struct k8shsvc_addr *ret)
{
        if (n == 0)
                return;
        for (uint32_t i = 0; i < n; i++)
                ret[i] = (struct k8shsvc_addr){ .family = (uint8_t)family, .port = ports->number };
        if (ports->shared)
                khs_lookup_copy_endpoints(l, family, ret[0].addr, sizeof(*ret));
        else
                khs_lookup_copy(l, family, ret[0].addr, sizeof(*ret));
        if (ports->attrs)
                fill_ports(l, ports, family, n, ret);
}

/* Return: 0 or -ENOBUFS, unless khs_lookup_done() says otherwise. */
KHS_INLINE int serve(struct khs_lookup *l, struct ports *ports, struct k8shsvc_addr *ret, size_t n_max)
{
        if ((size_t)l->v4.count + l->v6.count > n_max)
                return -ENOBUFS;
        khs_lookup_rotate(l);
        fill_family(l, ports, AF_INET6, l->v6.count, ret);
        fill_family(l, ports, AF_INET, l->v4.count, ret + l->v6.count);
        return 0;
}

/* Apart from the common case, in which the port is the same for all. */
static __attribute__((noinline)) int serve_endpoints(struct khs_lookup *l, const struct khs_port *wanted,
                                                     struct k8shsvc_addr *ret, size_t n_max)
{
        struct ports ports = { .wanted = wanted };

        if (open_ports(l, wanted)) {
                ports.attrs = &l->attrs;
                ports.shared = khs_lookup_shared(l);
        }
        return serve(l, &ports, ret, n_max);
}

/* Damage and endless change mean the same to a program: this table is of no use now. */
static int public_error(int r)
{
        return r == -EBADMSG || r == -EBUSY ? -ENOTCONN : r;
}

KHS_INLINE int lookup(struct khs_lookup *l, const struct khs_port *port, int family, struct k8shsvc_addr *ret,
                      size_t n_max, size_t *n_ret)
{
        for (;;) {
                struct ports same;
                int r;

                r = khs_lookup_find(l);
                if (r == 0)
                        r = khs_lookup_choose(l, family, true);
                if (r < 0)
                        return r;
                same = (struct ports){ .number = same_port(l, port) };
                r = may_differ(l, port) ? serve_endpoints(l, port, ret, n_max) : serve(l, &same, ret, n_max);
                if (khs_lookup_done(l)) {
                        *n_ret = (size_t)l->v4.count + l->v6.count;
                        return r;
                }
        }
}

/* Begins a lookup; only after success the pin is to be given back. */
static inline int begin(struct khs_lookup *l, struct khs_pin *pin, struct khs_view *own, const char *name,
                        size_t n_name, const char *const *search)
{
        int r;

        r = khs_map_enter(pin, own);
        if (r < 0)
                return r;
        r = khs_lookup_begin(l, pin, name, n_name, search);
        if (r < 0)
                khs_map_leave(pin);
        return r;
}

/* With a port or a scheme: the name is a part of the text, and perhaps to be put together. */
static __attribute__((noinline)) int lookup_target(k8shsvc *h, const char *text, int family, struct k8shsvc_addr *ret,
                                                   size_t n_max, size_t *n_ret)
{
        char name[KHS_NAME_MAX + 2];
        struct khs_target target;
        struct khs_view own;
        struct khs_pin pin;
        struct khs_lookup l;
        size_t n_name;
        int r;

        if (khs_target_parse(text, &target) < 0)
                return -EINVAL;
        r = target_name(&target, name, &n_name);
        if (r < 0)
                return r;
        r = begin(&l, &pin, &own, name, n_name, h->search);
        if (r < 0)
                return r;
        r = lookup(&l, &target.port, family, ret, n_max, n_ret);
        khs_map_leave(&pin);
        return r;
}

PUBLIC int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max,
                          size_t *n_ret)
{
        static const struct khs_port no_port;
        struct khs_view own;
        struct khs_pin pin;
        struct khs_lookup l;
        int r;

        if (!h || !name || !n_ret || (!ret && n_max > 0))
                return -EINVAL;
        if (family != AF_INET && family != AF_INET6 && family != AF_UNSPEC)
                return -EINVAL;

        /* A plain name is the common case, and no name holds a colon or a slash. */
        r = begin(&l, &pin, &own, name, strnlen(name, KHS_NAME_MAX + 2), h->search);
        if (r == 0) {
                r = lookup(&l, &no_port, family, ret, n_max, n_ret);
                khs_map_leave(&pin);
        }
        if (r == -ENOENT && strpbrk(name, ":/"))
                r = lookup_target(h, name, family, ret, n_max, n_ret);
        return public_error(r);
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
        return public_error(r);
}

/* ---- waiting ---- */

#define TOKEN_ABSENT  1ULL /* looked, and not registered */
#define NO_TABLE_MSEC 200  /* between two looks for a table */

static uint64_t now_usec(void)
{
        struct timespec now = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What the table says of the name now. Return: 0, or -EBUSY: it can't be told at this moment. */
static int token_now(struct khs_lookup *l, const char *name, uint64_t *ret)
{
        const struct khs_view *view = l->view;
        int r;

        if (!name) {
                *ret = ((uint64_t)khs_view_generation(view) << 32 | khs_wait_counter(view)) + 2;
                return 0;
        }
        r = khs_lookup_find(l);
        if (r < 0 && r != -ENOENT && r != -ENODATA) /* the latter: a pod that is not there */
                return -EBUSY;
        *ret = r == 0 ? (uint64_t)l->found.record.version + 2 : TOKEN_ABSENT;
        return 0;
}

/*
 * One look and at most one sleep. The counter is read before the record: a change in between ends
 * the sleep before it begins.
 *
 * Return: 0 changed; -EAGAIN look again; -ENOENT.
 */
static int wait_once(const struct k8shsvc *h, const char *name, size_t n_name, uint64_t *token, uint64_t sleep_usec)
{
        struct khs_view own;
        struct khs_pin pin;
        struct khs_lookup l;
        uint64_t now = 0;
        uint32_t seen;
        int r;

        r = begin(&l, &pin, &own, name ? name : "any", name ? n_name : 3, h->search);
        if (r == 0) {
                seen = khs_wait_counter(l.view);
                r = token_now(&l, name, &now);
                if (r == 0 && now == *token) {
                        khs_wait(l.view, seen, sleep_usec);
                        r = -EAGAIN;
                }
                khs_map_leave(&pin);
        }

        if (r == -ENOTCONN || r == -EBUSY) {
                int saved_errno = errno;

                (void)usleep((useconds_t)(sleep_usec < NO_TABLE_MSEC * 1000 ? sleep_usec : NO_TABLE_MSEC * 1000));
                errno = saved_errno;
                return -EAGAIN;
        }
        if (r == 0)
                *token = now;
        return r;
}

PUBLIC int k8shsvc_wait(k8shsvc *h, const char *name, uint64_t *token, int timeout_ms)
{
        uint64_t end = timeout_ms < 0 ? UINT64_MAX : now_usec() + (uint64_t)timeout_ms * 1000, now;
        char text[KHS_NAME_MAX + 2];
        struct khs_target target;
        size_t n_text = 0;
        int r;

        if (!h || !token)
                return -EINVAL;
        if (name && khs_target_parse(name, &target) < 0)
                return -EINVAL;
        r = name ? target_name(&target, text, &n_text) : 0;
        if (r < 0)
                return r;

        do {
                now = now_usec();
                r = wait_once(h, name ? text : NULL, n_text, token, end > now ? end - now : 0);
        } while (r == -EAGAIN && now < end);
        return r == -EAGAIN ? -ETIMEDOUT : r;
}
