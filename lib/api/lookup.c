/*
 * Addresses of a name, and the name of an address: answer/ behind public types.
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/pod-name.h"
#include "api/handle.h"
#include "api/ports.h"

_Static_assert(sizeof(struct k8shsvc_addr) == 20, "ABI");

/* What one k8shsvc_lookup() wants, and where its answer goes. */
struct answer {
        const struct khs_port *port;
        struct k8shsvc_addr *ret;
        size_t n_max, n;
        struct khs_ports ports;
};

static int answer_plan(struct khs_lookup *l, void *user)
{
        struct answer *a = user;

        khs_ports_plan(&a->ports, l, a->port);
        a->n = (size_t)l->v4.count + l->v6.count;
        return a->n <= a->n_max ? 0 : -ENOBUFS;
}

KHS_INLINE void answer_fill_family(const struct khs_lookup *l, struct khs_ports *ports, int family, uint32_t n,
                                   struct k8shsvc_addr *ret)
{
        for (uint32_t i = 0; i < n; i++)
                ret[i] = (struct k8shsvc_addr){ .family = (uint8_t)family, .port = ports->number };
        khs_lookup_copy(l, family, ret[0].addr, sizeof(*ret));
        for (uint32_t i = 0; ports->attrs && i < n; i++)
                ret[i].port = khs_ports_of(ports, l, family, i);
}

static void answer_fill(const struct khs_lookup *l, void *user)
{
        struct answer *a = user;

        if (l->v6.count > 0)
                answer_fill_family(l, &a->ports, AF_INET6, l->v6.count, a->ret);
        if (l->v4.count > 0)
                answer_fill_family(l, &a->ports, AF_INET, l->v4.count, a->ret + l->v6.count);
}

KHS_PUBLIC int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max,
                              size_t *n_ret)
{
        struct answer answer = { .ret = ret, .n_max = n_max };
        struct khs_request request;
        int r;

        if (!h || !name || !n_ret || (!ret && n_max > 0))
                return -EINVAL;
        r = khs_request_init(&request, h, name, family);
        if (r < 0)
                return r;
        answer.port = request.port;
        r = khs_lookup(&request.query, answer_plan, answer_fill, &answer);
        if (r == 0 || r == -ENOBUFS)
                *n_ret = answer.n;
        return khs_request_error(&request, r);
}

KHS_PUBLIC int k8shsvc_reverse(k8shsvc *h, int family, const void *addr, char *ret, size_t n_max)
{
        char name[KHS_REVERSE_NAME_MAX]; /* composed here, since @ret is not touched on failure */
        int r;

        if (!h || !addr || !ret || (family != AF_INET && family != AF_INET6))
                return -EINVAL;
        r = khs_reverse_name(family, addr, name, n_max < sizeof(name) ? n_max : sizeof(name));
        if (r == 0)
                memcpy(ret, name, strlen(name) + 1);
        return r == -EBUSY ? -ENOTCONN : r;
}
