/*
 * The NSS module: glibc's hosts lookups answered from the shared table.
 *
 * Runs inside every process of the machine, on any thread, on small stacks, in setuid programs and
 * forked children. So: libc only, no allocation, lock, thread-local storage, environment, stdio,
 * signal or descriptor kept; errno and h_errno only through the pointers that glibc passes (in a
 * static program they are not ours); the status is always one that lets the next source of
 * nsswitch.conf answer, unless the name is known to have no address.
 *
 * What glibc makes of each combination of status, errno and h_errno is not written down anywhere;
 * the combinations here are those under which getaddrinfo() behaves alike for every family, from
 * glibc 2.28 on. NETDB_INTERNAL would end a lookup without asking the next source: only with
 * ERANGE, where glibc comes back with a larger buffer. Entry points: nss(5), glibc's <nss.h>,
 * nss/function.def. There is no getcanonname_r (CVE-2023-4806 needed one), but a 3_r.
 */

#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/lookup.h"
#include "answer/pod-name.h"
#include "nss-pack.h"
#include "table/bytes.h"

#define PUBLIC __attribute__((visibility("default")))

/* Not all of these are declared by the <nss.h> of every glibc. */
enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                              char **canonp);
enum nss_status _nss_k8shsvc_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop);
enum nss_status _nss_k8shsvc_gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t n_buffer,
                                             int *errnop, int *h_errnop);
enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family, struct hostent *ret,
                                              char *buffer, size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_k8shsvc_gethostbyaddr_r(const void *address, socklen_t n_address, int family, struct hostent *ret,
                                             char *buffer, size_t n_buffer, int *errnop, int *h_errnop);

/* What one call wants and where its answer goes. */
struct request {
        const char *name;
        int family;            /* AF_UNSPEC: tuples; else a hostent */
        bool has_other_family; /* where there is no address of this one */
        char *buffer;
        size_t n_buffer;
        union {
                struct nss_tuples tuples;
                struct nss_host host;
        };
};

/* The search list that glibc has parsed for this very call: no system call, and it follows resolv.conf. */
static const char *const *search_list(void)
{
        const struct __res_state *state = __res_state();

        return state->options & RES_INIT ? (const char *const *)state->dnsrch : NULL;
}

/* Before anything is chosen: glibc comes back with more room for the same answer. */
static KHS_NOINLINE int plan(struct request *q, const struct khs_lookup *l)
{
        size_t n = (size_t)l->v4.count + l->v6.count, n_key, n_name;

        (void)khs_lookup_canonical(l, &n_key);
        n_name = nss_name_size(n_key, l->view->n_zone);
        if (q->family == AF_UNSPEC)
                return nss_plan_tuples(q->buffer, q->n_buffer, n, n_name, &q->tuples);
        return nss_plan_host(q->buffer, q->n_buffer, q->family, n, n_name, &q->host);
}

/* In one place, for both families and both forms. */
static KHS_NOINLINE void copy_addresses(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        khs_lookup_copy(l, family, ret, stride);
}

static KHS_NOINLINE void write_canonical(const struct khs_lookup *l, char *ret)
{
        size_t n_key;
        const char *key = khs_lookup_canonical(l, &n_key);

        ret = nss_name_write(key, n_key, ret);
        memcpy(ret, l->view->zone, l->view->n_zone + 1U);
}

static KHS_NOINLINE void fill(const struct request *q, const struct khs_lookup *l)
{
        if (q->family == AF_UNSPEC) {
                write_canonical(l, q->tuples.name);
                nss_fill_tuples(&q->tuples, l->v4.count, l->v6.count);
                if (l->v6.count > 0)
                        copy_addresses(l, AF_INET6, q->tuples.tuples[0].addr, sizeof(struct gaih_addrtuple));
                if (l->v4.count > 0)
                        copy_addresses(l, AF_INET, q->tuples.tuples[l->v6.count].addr, sizeof(struct gaih_addrtuple));
                return;
        }
        write_canonical(l, q->host.name);
        nss_fill_host(&q->host, q->family, (size_t)l->v4.count + l->v6.count);
        copy_addresses(l, q->family, q->host.addresses, q->family == AF_INET ? 4 : 16);
}

static inline __attribute__((always_inline)) int begin(struct khs_lookup *l, const struct khs_pin *pin,
                                                       const char *name)
{
        return khs_lookup_begin(l, pin, name, strnlen(name, KHS_NAME_MAX + 2), search_list());
}

static KHS_NOINLINE int choose(struct khs_lookup *l, struct request *q)
{
        int r = khs_lookup_choose(l, q->family, false);

        if (r == -ENODATA)
                q->has_other_family = l->v4.n > 0 || l->v6.n > 0;
        return r == 0 ? plan(q, l) : r;
}

/*
 * The meaning of a result for glibc. nss.texi: a module never sets *errnop to zero; ERANGE means
 * that the buffer is too small and nothing else.
 */
static KHS_NOINLINE enum nss_status status(int r, bool has_other_family, int *errnop, int *h_errnop)
{
        switch (r) {
        case 0:
                *h_errnop = NETDB_SUCCESS;
                return NSS_STATUS_SUCCESS;
        case -ERANGE:
                *errnop = ERANGE;
                *h_errnop = NETDB_INTERNAL;
                return NSS_STATUS_TRYAGAIN;
        case -ENODATA:
                *errnop = ENOENT;
                *h_errnop = has_other_family ? NO_DATA : HOST_NOT_FOUND;
                return NSS_STATUS_NOTFOUND;
        case -ENOENT:
        case -EOPNOTSUPP: /* no reverse index */
                *errnop = ENOENT;
                *h_errnop = HOST_NOT_FOUND;
                return NSS_STATUS_UNAVAIL;
        default: /* no table, no daemon, damaged, never resolved, too old */
                *errnop = ECONNREFUSED;
                *h_errnop = NO_RECOVERY;
                return NSS_STATUS_UNAVAIL;
        }
}

static inline __attribute__((always_inline)) int resolve(struct khs_lookup *l, struct request *q)
{
        do {
                int r = khs_lookup_find(l);

                if (r == 0)
                        r = choose(l, q);
                if (r < 0)
                        return r;
                khs_lookup_rotate(l);
                fill(q, l);
        } while (!khs_lookup_done(l));
        return 0;
}

static KHS_NOINLINE int look_up(const struct khs_pin *pin, struct request *q)
{
        struct khs_lookup l;
        int r = begin(&l, pin, q->name);

        return r < 0 ? r : resolve(&l, q);
}

/* Not part of the next, where each word that outlives a call would be one more on the stack. */
static __attribute__((noinline, cold)) int begin_by_file(struct khs_lookup *l, const struct khs_pin *pin,
                                                         const char *name)
{
        return begin(l, pin, name);
}

/* With a view of its own on the stack. */
static __attribute__((noinline, cold)) int look_up_by_file(struct khs_pin *pin, struct request *q)
{
        struct khs_lookup l;
        struct khs_view own;
        int r = khs_map_read(pin, &own);

        if (r == 0)
                r = begin_by_file(&l, pin, q->name);
        return r < 0 ? r : resolve(&l, q);
}

/*
 * The table is pinned first, since looking for a file and mapping it need as much stack as the lookup
 * itself. Part of each entry point: one frame less.
 */
static inline __attribute__((always_inline)) enum nss_status answer(struct request *q, int *errnop, int *h_errnop)
{
        struct khs_pin pin;
        int r;

        r = khs_map_enter(&pin, NULL);
        if (r == 0 || r == -EXDEV) {
                r = r == 0 ? look_up(&pin, q) : look_up_by_file(&pin, q);
                khs_map_leave(&pin);
        }
        return status(r, q->has_other_family, errnop, h_errnop);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp)
{
        struct request q = { .name = name, .family = AF_UNSPEC, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s = answer(&q, errnop, h_errnop);

        if (s != NSS_STATUS_SUCCESS)
                return s;
        /* glibc up to 2.35 and nscd pass a tuple of their own for the first address. */
        if (*pat)
                **pat = *q.tuples.tuples;
        else
                *pat = q.tuples.tuples;
        /* 0 keeps nscd from freezing the rotation in its cache. */
        if (ttlp)
                *ttlp = 0;
        return s;
}

/* Inlined, since each call of one entry point by another would be one more frame on small stacks. */
static inline __attribute__((always_inline)) enum nss_status by_name(const char *name, int family, struct hostent *ret,
                                                                     char *buffer, size_t n_buffer, int *errnop,
                                                                     int *h_errnop, char **canonp)
{
        struct request q = { .name = name, .family = family, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s;

        if (family != AF_INET && family != AF_INET6) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        s = answer(&q, errnop, h_errnop);
        if (s != NSS_STATUS_SUCCESS)
                return s;
        nss_describe_host(&q.host, q.family, ret); /* not what outlives the lookup in one word more */
        if (canonp)
                *canonp = q.host.name;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                                     char **canonp)
{
        enum nss_status s = by_name(name, family, ret, buffer, n_buffer, errnop, h_errnop, canonp);

        if (s == NSS_STATUS_SUCCESS && ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop)
{
        return by_name(name, family, ret, buffer, n_buffer, errnop, h_errnop, NULL);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname_r(const char *name, struct hostent *ret, char *buffer,
                                                    size_t n_buffer, int *errnop, int *h_errnop)
{
        return by_name(name, AF_INET, ret, buffer, n_buffer, errnop, h_errnop, NULL);
}

/* ---- from addresses to names ---- */

/* A buffer that is too small for all the rest still shows whether there is a name: without one it is left as it was. */
static KHS_NOINLINE int reverse(const void *address, int family, char *buffer, size_t n_buffer, struct hostent *ret)
{
        struct nss_host plan;
        int r, r_plan;

        r_plan = nss_plan_host(buffer, n_buffer, family, 1, 0, &plan);
        if (r_plan == 0)
                r = khs_reverse_name(family, address, plan.name, (size_t)(buffer + n_buffer - plan.name));
        else
                r = khs_reverse_name(family, address, NULL, 0);
        if (r < 0)
                return r == -ENOBUFS ? -ERANGE : r;
        memcpy(plan.addresses, address, family == AF_INET ? 4 : 16);
        nss_fill_host(&plan, family, 1);
        nss_describe_host(&plan, family, ret);
        return 0;
}

static inline __attribute__((always_inline)) enum nss_status by_address(const void *address, socklen_t n_address,
                                                                        int family, struct hostent *ret, char *buffer,
                                                                        size_t n_buffer, int *errnop, int *h_errnop)
{
        if (!(family == AF_INET && n_address == 4) && !(family == AF_INET6 && n_address == 16)) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        return status(reverse(address, family, buffer, n_buffer, ret), false, errnop, h_errnop);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family,
                                                     struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                     int *h_errnop, int32_t *ttlp)
{
        enum nss_status s = by_address(address, n_address, family, ret, buffer, n_buffer, errnop, h_errnop);

        if (s == NSS_STATUS_SUCCESS && ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr_r(const void *address, socklen_t n_address, int family,
                                                    struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                    int *h_errnop)
{
        return by_address(address, n_address, family, ret, buffer, n_buffer, errnop, h_errnop);
}
