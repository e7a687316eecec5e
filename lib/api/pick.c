/*
 * One endpoint, to connect to.
 *
 *     serving order     v6 ... v4 ...     the first that was not reported; the first if all were
 */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "api/handle.h"
#include "api/ports.h"

struct pick {
        const struct khs_reports *reports;
        const struct khs_port *port;
        struct khs_ports ports;
        struct khs_reported picked;
};

static int pick_plan(struct khs_lookup *l, void *user)
{
        struct pick *pick = user;

        khs_ports_plan(&pick->ports, l, pick->port);
        return 0;
}

/* The i-th endpoint of one family. */
static void pick_read(struct pick *pick, const struct khs_lookup *l, int family, uint32_t i, struct khs_reported *ret)
{
        uint32_t address[4] = { 0 };

        khs_lookup_address(l, family, i, address);
        ret->family = (uint16_t)family;
        ret->port = pick->ports.attrs ? khs_ports_of(&pick->ports, l, family, i) : pick->ports.number;
        memcpy(ret->addr, address, sizeof(ret->addr));
}

/* Picks the first of one family that was not reported. Return: whether there is one. */
static bool pick_unreported(struct pick *pick, const struct khs_lookup *l, int family, uint32_t n, uint32_t now_ds)
{
        struct khs_reported candidate;

        for (uint32_t i = 0; i < n; i++) {
                pick_read(pick, l, family, i, &candidate);
                if (khs_reports_has(pick->reports, now_ds, &candidate))
                        continue;
                pick->picked = candidate;
                return true;
        }
        return false;
}

static void pick_fill(const struct khs_lookup *l, void *user)
{
        struct pick *pick = user;
        uint32_t now_ds = khs_reports_now(pick->reports);

        pick_read(pick, l, l->v6.count > 0 ? AF_INET6 : AF_INET, 0, &pick->picked);
        if (now_ds > 0 && !pick_unreported(pick, l, AF_INET6, l->v6.count, now_ds))
                (void)pick_unreported(pick, l, AF_INET, l->v4.count, now_ds);
}

static socklen_t pick_write(const struct khs_reported *picked, struct sockaddr_storage *ret)
{
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(picked->port) };
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(picked->port) };

        if (picked->family == AF_INET) {
                memcpy(&four.sin_addr, picked->addr, sizeof(four.sin_addr));
                memcpy(ret, &four, sizeof(four));
                return sizeof(four);
        }
        memcpy(&six.sin6_addr, picked->addr, sizeof(six.sin6_addr));
        memcpy(ret, &six, sizeof(six));
        return sizeof(six);
}

KHS_PUBLIC int k8shsvc_pick(k8shsvc *h, const char *name, int family, struct sockaddr_storage *ret, socklen_t *n_ret)
{
        struct khs_request request;
        struct pick pick;
        int r;

        if (!h || !name || !ret || !n_ret)
                return -EINVAL;
        r = khs_request_init(&request, h, name, family);
        if (r < 0)
                return r;
        pick.reports = &h->reports;
        pick.port = request.port;
        r = khs_lookup(&request.query, pick_plan, pick_fill, &pick);
        if (r == 0)
                *n_ret = pick_write(&pick.picked, ret);
        return khs_request_error(&request, r);
}

/* The endpoint of an address as k8shsvc_pick() makes them. */
static bool pick_read_address(const struct sockaddr *addr, socklen_t n_addr, struct khs_reported *ret)
{
        struct sockaddr_in6 six;
        struct sockaddr_in four;

        *ret = (struct khs_reported){ .family = addr->sa_family };
        if (addr->sa_family == AF_INET && n_addr >= sizeof(four)) {
                memcpy(&four, addr, sizeof(four));
                memcpy(ret->addr, &four.sin_addr, sizeof(four.sin_addr));
                ret->port = ntohs(four.sin_port);
                return true;
        }
        if (addr->sa_family == AF_INET6 && n_addr >= sizeof(six)) {
                memcpy(&six, addr, sizeof(six));
                memcpy(ret->addr, &six.sin6_addr, sizeof(six.sin6_addr));
                ret->port = ntohs(six.sin6_port);
                return true;
        }
        return false;
}

KHS_PUBLIC int k8shsvc_report(k8shsvc *h, const struct sockaddr *addr, socklen_t n_addr, int error)
{
        struct khs_reported endpoint;

        if (!h || !addr || n_addr < sizeof(addr->sa_family) || !pick_read_address(addr, n_addr, &endpoint))
                return -EINVAL;
        if (error != 0)
                khs_reports_add(&h->reports, &endpoint);
        else
                khs_reports_forget(&h->reports, &endpoint);
        return 0;
}
