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

#include "lookup.h"
#include "nss-pack.h"
#include "reverse.h"

#define PUBLIC __attribute__((visibility("default")))

/* Not all of these are declared by the <nss.h> of every glibc. */
enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                              char **canonp);
enum nss_status _nss_k8shsvc_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop);
enum nss_status _nss_k8shsvc_gethostbyname_r(const char *name, struct hostent *ret, char *buffer,
                                             size_t n_buffer, int *errnop, int *h_errnop);
enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family,
                                              struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                              int *h_errnop, int32_t *ttlp);
enum nss_status _nss_k8shsvc_gethostbyaddr_r(const void *address, socklen_t n_address, int family,
                                             struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                             int *h_errnop);

/* What one call wants and where its answer goes. */
struct request {
        int family; /* AF_UNSPEC: tuples; else a hostent */
        char *buffer;
        size_t n_buffer;
        struct gaih_addrtuple *tuples;
        struct hostent host;
};

/* The search list that glibc has parsed for this very call: no system call, and it follows resolv.conf. */
static const char *const *search_list(void)
{
        const struct __res_state *state = __res_state();

        return state->options & RES_INIT ? (const char *const *)state->dnsrch : NULL;
}

/* The room is looked for before the turn is taken: glibc comes back with more for the same answer. */
static int pack_tuples(struct request *q, struct khs_lookup *l, const struct nss_name *name)
{
        struct nss_tuples plan;
        int r;

        r = nss_plan_tuples(q->buffer, q->n_buffer, name, (size_t)l->v4.count + l->v6.count, &plan);
        if (r < 0)
                return r;
        khs_lookup_rotate(l);
        nss_fill_tuples(&plan, name, l->v4.count, l->v6.count);
        khs_lookup_copy(l, AF_INET6, plan.tuples[0].addr, sizeof(struct gaih_addrtuple));
        khs_lookup_copy(l, AF_INET, plan.tuples[l->v6.count].addr, sizeof(struct gaih_addrtuple));
        q->tuples = plan.tuples;
        return 0;
}

static int pack_host(struct request *q, struct khs_lookup *l, const struct nss_name *name)
{
        struct nss_host plan;
        int r;

        r = nss_plan_host(q->buffer, q->n_buffer, q->family, (size_t)l->v4.count + l->v6.count, nss_name_size(name),
                          &plan);
        if (r < 0)
                return r;
        khs_lookup_rotate(l);
        nss_fill_host(&plan, q->family, (size_t)l->v4.count + l->v6.count, &q->host);
        nss_name_write(name, plan.name);
        khs_lookup_copy(l, q->family, plan.addresses, q->family == AF_INET ? 4 : 16);
        return 0;
}

static int pack(struct request *q, struct khs_lookup *l)
{
        struct nss_name name = { .zone = khs_lookup_zone(l), .n_zone = l->pin.view->n_zone };

        name.key = khs_lookup_canonical(l, &name.n_key);
        return q->family == AF_UNSPEC ? pack_tuples(q, l, &name) : pack_host(q, l, &name);
}

static int resolve(struct khs_lookup *l, struct request *q)
{
        int r;

        do {
                r = khs_lookup_find(l);
                if (r == 0)
                        r = khs_lookup_choose(l, q->family, false);
                if (r == 0)
                        r = pack(q, l);
        } while (r == 0 && !khs_lookup_done(l));
        return r;
}

/*
 * The meaning of a result for glibc. nss.texi: a module never sets *errnop to zero; ERANGE means
 * that the buffer is too small and nothing else.
 */
static enum nss_status status(int r, bool has_other_family, int *errnop, int *h_errnop)
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

static enum nss_status answer(const char *name, struct request *q, int *errnop, int *h_errnop)
{
        bool has_other_family = false;
        struct khs_lookup l;
        int r;

        r = khs_lookup_begin(&l, name, strnlen(name, KHS_NAME_MAX + 2), search_list());
        if (r == 0)
                r = resolve(&l, q);
        if (r == -ENODATA)
                has_other_family = l.v4.n > 0 || l.v6.n > 0;
        khs_lookup_end(&l);
        return status(r, has_other_family, errnop, h_errnop);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp)
{
        struct request q = { .family = AF_UNSPEC, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s = answer(name, &q, errnop, h_errnop);

        if (s != NSS_STATUS_SUCCESS)
                return s;
        /* glibc up to 2.35 and nscd pass a tuple of their own for the first address. */
        if (*pat)
                **pat = q.tuples[0];
        else
                *pat = q.tuples;
        /* 0 keeps nscd from freezing the rotation in its cache. */
        if (ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret,
                                                     char *buffer, size_t n_buffer, int *errnop, int *h_errnop,
                                                     int32_t *ttlp, char **canonp)
{
        struct request q = { .family = family, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s;

        if (family != AF_INET && family != AF_INET6) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        s = answer(name, &q, errnop, h_errnop);
        if (s != NSS_STATUS_SUCCESS)
                return s;
        *ret = q.host;
        if (ttlp)
                *ttlp = 0;
        if (canonp)
                *canonp = q.host.h_name;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname2_r(const char *name, int family, struct hostent *ret,
                                                     char *buffer, size_t n_buffer, int *errnop, int *h_errnop)
{
        return _nss_k8shsvc_gethostbyname3_r(name, family, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname_r(const char *name, struct hostent *ret, char *buffer,
                                                    size_t n_buffer, int *errnop, int *h_errnop)
{
        return _nss_k8shsvc_gethostbyname3_r(name, AF_INET, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}

/* ---- from addresses to names ---- */

/* Without an answer all is left as it was, so that a buffer that is too small for the rest still shows whether there is one. */
static int reverse(const void *address, int family, char *buffer, size_t n_buffer, struct hostent *ret)
{
        struct nss_host plan = { .n_name = 0 };
        int r, r_plan;

        r_plan = nss_plan_host(buffer, n_buffer, family, 1, 0, &plan);
        r = khs_reverse_name(family, address, plan.name, plan.n_name);
        if (r == -ENOBUFS || (r == 0 && r_plan < 0))
                return -ERANGE;
        if (r < 0)
                return r;
        memcpy(plan.addresses, address, family == AF_INET ? 4 : 16);
        nss_fill_host(&plan, family, 1, ret);
        return 0;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family,
                                                     struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                     int *h_errnop, int32_t *ttlp)
{
        enum nss_status s;

        if (!(family == AF_INET && n_address == 4) && !(family == AF_INET6 && n_address == 16)) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        s = status(reverse(address, family, buffer, n_buffer, ret), false, errnop, h_errnop);
        if (s == NSS_STATUS_SUCCESS && ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr_r(const void *address, socklen_t n_address, int family,
                                                    struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                    int *h_errnop)
{
        return _nss_k8shsvc_gethostbyaddr2_r(address, n_address, family, ret, buffer, n_buffer, errnop, h_errnop, NULL);
}
