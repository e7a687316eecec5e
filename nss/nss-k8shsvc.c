/*
 * The NSS module: answers glibc's hosts lookups from the shared table.
 *
 * It runs inside every process of the machine, on any thread, on small stacks, in setuid programs and forked
 * children. So it uses libc only, no allocation, lock, thread-local storage, environment, stdio or signal, and
 * keeps no descriptor. It sets errno and h_errno only through the pointers that glibc passes (in a static program
 * the variables are not ours). Its status always lets the next source of nsswitch.conf answer, unless the name is
 * known to have no address.
 *
 * No document says what glibc makes of each combination of status, errno and h_errno. With the combinations
 * used here getaddrinfo() treats all families alike, from glibc 2.28 on. NETDB_INTERNAL ends a lookup without asking
 * the next source, so it goes only with ERANGE, upon which glibc comes back with a larger buffer. Entry points: nss(5),
 * glibc's <nss.h>, nss/function.def. There is a 3_r, and deliberately no getcanonname_r (CVE-2023-4806 needed
 * one).
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
#include "table/probe.h"

#define PUBLIC __attribute__((visibility("default")))

/* Not every glibc declares all of these in <nss.h>. */
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

/* What one call asks for, and where its answer goes. */
struct request {
        struct khs_query query; /* AF_UNSPEC: tuples; else a hostent */
        char *buffer;
        size_t n_buffer;
        union {
                struct nss_tuples tuples;
                struct nss_host host;
        };
};

/*
 * The search list that glibc has parsed for this very call: it follows resolv.conf, and costs no system call. Programs
 * may write to it, and then nothing ends it but its size.
 */
static const char *const *nss_search_list(void)
{
        const struct __res_state *state = __res_state();

        return state->options & RES_INIT ? (const char *const *)state->dnsrch : NULL;
}

/* Before anything is chosen: glibc comes back with more room for the same answer. */
static int nss_plan(struct khs_lookup *l, void *user)
{
        size_t n = (size_t)l->v4.count + l->v6.count, n_key, n_name;
        struct request *q = user;

        (void)khs_lookup_canonical(l, &n_key);
        n_name = nss_name_size(n_key, l->view->n_zone);
        if (q->query.family == AF_UNSPEC)
                return nss_plan_tuples(q->buffer, q->n_buffer, n, n_name, &q->tuples);
        return nss_plan_host(q->buffer, q->n_buffer, q->query.family, n, n_name, &q->host);
}

static void nss_fill(const struct khs_lookup *l, void *user)
{
        size_t n_key, n4 = l->v4.count, n6 = l->v6.count, step4 = 4, step6 = 16;
        const struct request *q = user;
        void *addresses4, *addresses6;
        const char *key = khs_lookup_canonical(l, &n_key);
        char *name;

        if (q->query.family == AF_UNSPEC) {
                nss_fill_tuples(&q->tuples, n4, n6);
                name = q->tuples.name;
                addresses4 = q->tuples.tuples[n6].addr;
                addresses6 = q->tuples.tuples[0].addr;
                step4 = step6 = sizeof(struct gaih_addrtuple);
        } else {
                nss_fill_host(&q->host, q->query.family, n4 + n6);
                name = q->host.name;
                addresses4 = addresses6 = q->host.addresses;
        }
        nss_name_write(key, n_key, l->view->zone, l->view->n_zone, name);
        if (n4 > 0)
                khs_lookup_copy(l, AF_INET, addresses4, step4);
        if (n6 > 0)
                khs_lookup_copy(l, AF_INET6, addresses6, step6);
}

/*
 * What an error means to glibc. nss.texi: a module never sets *errnop to zero; ERANGE means that the buffer
 * is too small and nothing else.
 */
static enum nss_status nss_failure(int r, int *errnop, int *h_errnop)
{
        switch (r) {
        case -ERANGE:
                *errnop = ERANGE;
                *h_errnop = NETDB_INTERNAL;
                return NSS_STATUS_TRYAGAIN;
        case -ENODATA:
        case -EADDRNOTAVAIL: /* of this family */
                *errnop = ENOENT;
                *h_errnop = r == -ENODATA ? HOST_NOT_FOUND : NO_DATA;
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

static inline enum nss_status nss_status_of(int r, int *errnop, int *h_errnop)
{
        if (r < 0)
                return nss_failure(r, errnop, h_errnop);
        *h_errnop = NETDB_SUCCESS;
        return NSS_STATUS_SUCCESS;
}

/* Part of each entry point: 20 instructions less. */
KHS_INLINE enum nss_status nss_answer(struct request *q, int *errnop, int *h_errnop)
{
        int r;

        q->query.n_name = strnlen(q->query.name, KHS_NAME_MAX + 2);
        q->query.search = nss_search_list();
        q->query.n_search = MAXDNSRCH;
        r = khs_lookup(&q->query, nss_plan, nss_fill, q);
        KHS_PROBE3(lookup, q->query.name, q->query.family, r);
        return nss_status_of(r, errnop, h_errnop);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp)
{
        struct request q = { .query = { .name = name, .family = AF_UNSPEC }, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s = nss_answer(&q, errnop, h_errnop);

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

static enum nss_status nss_by_name(const char *name, int family, struct hostent *ret, char *buffer, size_t n_buffer,
                                   int *errnop, int *h_errnop, char **canonp)
{
        struct request q = { .query = { .name = name, .family = family }, .buffer = buffer, .n_buffer = n_buffer };
        enum nss_status s;

        if (family != AF_INET && family != AF_INET6) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        s = nss_answer(&q, errnop, h_errnop);
        if (s != NSS_STATUS_SUCCESS)
                return s;
        nss_describe_host(&q.host, family, ret);
        if (canonp)
                *canonp = q.host.name;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                                     char **canonp)
{
        enum nss_status s = nss_by_name(name, family, ret, buffer, n_buffer, errnop, h_errnop, canonp);

        if (s == NSS_STATUS_SUCCESS && ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                                     size_t n_buffer, int *errnop, int *h_errnop)
{
        return nss_by_name(name, family, ret, buffer, n_buffer, errnop, h_errnop, NULL);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyname_r(const char *name, struct hostent *ret, char *buffer,
                                                    size_t n_buffer, int *errnop, int *h_errnop)
{
        return nss_by_name(name, AF_INET, ret, buffer, n_buffer, errnop, h_errnop, NULL);
}

/* ---- from addresses to names ---- */

/* If the buffer is too small for everything else, find out all the same whether there is a name at all. */
static int nss_reverse(const void *address, int family, char *buffer, size_t n_buffer, struct hostent *ret)
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

static enum nss_status nss_by_address(const void *address, socklen_t n_address, int family, struct hostent *ret,
                                      char *buffer, size_t n_buffer, int *errnop, int *h_errnop)
{
        if (!(family == AF_INET && n_address == 4) && !(family == AF_INET6 && n_address == 16)) {
                *errnop = EAFNOSUPPORT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_UNAVAIL;
        }
        return nss_status_of(nss_reverse(address, family, buffer, n_buffer, ret), errnop, h_errnop);
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family,
                                                     struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                     int *h_errnop, int32_t *ttlp)
{
        enum nss_status s = nss_by_address(address, n_address, family, ret, buffer, n_buffer, errnop, h_errnop);

        if (s == NSS_STATUS_SUCCESS && ttlp)
                *ttlp = 0;
        return s;
}

PUBLIC enum nss_status _nss_k8shsvc_gethostbyaddr_r(const void *address, socklen_t n_address, int family,
                                                    struct hostent *ret, char *buffer, size_t n_buffer, int *errnop,
                                                    int *h_errnop)
{
        return nss_by_address(address, n_address, family, ret, buffer, n_buffer, errnop, h_errnop);
}
