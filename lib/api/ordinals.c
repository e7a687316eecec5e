/*
 * Endpoints as texts, each with a port of its own: base + ordinal.
 *
 *     web-2 at 10.0.0.7, base 3000     "10.0.0.7:3002"
 *     web-2 at fd00::7                 "[fd00::7]:3002"
 *
 * An endpoint whose ordinal is not known, or too large for a port, has none: a guessed port would be that of another
 * pod.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "api/handle.h"
#include "api/ports.h"

_Static_assert(K8SHSVC_HOSTPORT_MAX >= sizeof("[]:65535") + INET6_ADDRSTRLEN - 1, "room for any");

struct ordinals {
        const struct khs_port *base;
        char (*ret)[K8SHSVC_HOSTPORT_MAX];
        size_t n_max;
        size_t n, n_left_out;
};

/* Return: the new end of the text. */
static char *ordinals_write_port(char *at, uint16_t port)
{
        if (port >= 10)
                at = ordinals_write_port(at, port / 10);
        *at = (char)('0' + port % 10);
        return at + 1;
}

static void ordinals_write(char *at, int family, const uint32_t address[static 4], uint16_t port)
{
        if (family == AF_INET6)
                *at++ = '[';
        (void)inet_ntop(family, address, at, INET6_ADDRSTRLEN);
        at += strlen(at);
        if (family == AF_INET6)
                *at++ = ']';
        *at++ = ':';
        *ordinals_write_port(at, port) = '\0';
}

static void ordinals_add(struct ordinals *o, const struct khs_lookup *l, struct khs_ports *ports, int family,
                         uint32_t n, size_t n_max)
{
        for (uint32_t i = 0; i < n; i++) {
                uint16_t port = ports->attrs ? khs_ports_of(ports, l, family, i) : 0;
                uint32_t address[4];

                if (port == 0) {
                        o->n_left_out++;
                        continue;
                }
                if (o->n < n_max) {
                        khs_lookup_address(l, family, i, address);
                        ordinals_write(o->ret[o->n], family, address, port);
                }
                o->n++;
        }
}

/* Writes the first of them. Return: how many there are. */
static size_t ordinals_add_all(struct ordinals *o, const struct khs_lookup *l, struct khs_ports *ports, size_t n_max)
{
        o->n = o->n_left_out = 0;
        ordinals_add(o, l, ports, AF_INET, l->v4.count, n_max);
        ordinals_add(o, l, ports, AF_INET6, l->v6.count, n_max);
        return o->n;
}

/* Counts first, so that an array which is too small stays as it was. */
static int ordinals_plan(struct khs_lookup *l, void *user)
{
        struct ordinals *o = user;
        struct khs_ports ports;

        (void)khs_ports_plan_rows(&ports, l, o->base);
        if (ordinals_add_all(o, l, &ports, 0) > o->n_max)
                return -ENOBUFS;
        (void)ordinals_add_all(o, l, &ports, o->n_max);
        return KHS_PLAN_DONE;
}

/* "S" or "S.N.svc". Return: 0; -EINVAL: not the parts of a name; -ENOENT: too long for one. */
static int ordinals_compose_name(const char *ns, const char *service, char ret[static KHS_NAME_MAX + sizeof(KHS_SVC)])
{
        size_t n = strlen(service), n_ns = ns ? strlen(ns) : 0;

        if (strpbrk(service, ":/") || (ns && strpbrk(ns, ":/")))
                return -EINVAL;
        if (n > KHS_NAME_MAX || n_ns > KHS_NAME_MAX || n + 1 + n_ns > KHS_NAME_MAX)
                return -ENOENT;
        memcpy(ret, service, n + 1);
        if (n_ns > 0) {
                ret[n] = '.';
                memcpy(ret + n + 1, ns, n_ns);
                memcpy(ret + n + 1 + n_ns, KHS_SVC, sizeof(KHS_SVC));
        }
        return 0;
}

KHS_PUBLIC int k8shsvc_get_endpoints(k8shsvc *h, const char *ns, const char *service, uint16_t port_base,
                                     char (*ret)[K8SHSVC_HOSTPORT_MAX], size_t n_max, size_t *n_ret, size_t *n_left_out)
{
        const struct khs_port base = { .kind = KHS_PORT_BASE, .number = port_base };
        struct ordinals ordinals = { .base = &base, .ret = ret, .n_max = n_max };
        struct khs_request request;
        char name[KHS_NAME_MAX + sizeof(KHS_SVC)];
        int r;

        if (!h || !service || port_base == 0 || !n_ret || (!ret && n_max > 0))
                return -EINVAL;
        r = ordinals_compose_name(ns, service, name);
        if (r == 0)
                r = khs_request_init(&request, h, name, AF_UNSPEC);
        if (r < 0)
                return r;
        request.query.far = true;
        r = khs_lookup(&request.query, ordinals_plan, NULL, &ordinals);
        if (r < 0 && r != -ENOBUFS)
                return khs_request_error(&request, r);
        *n_ret = ordinals.n;
        if (r < 0)
                return r;
        if (n_left_out)
                *n_left_out = ordinals.n_left_out;
        return 0;
}
