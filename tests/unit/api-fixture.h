#pragma once

/* Services with attributes in the table's real directory, and a handle. */

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "k8shsvc.h"
#include "rundir-fixture.h"
#include "table/policy.h"

static inline k8shsvc *api_handle(void)
{
        k8shsvc *h;

        cr_assert_eq(k8shsvc_open(&h), 0);
        return h;
}

/* A service of these addresses, 10.0.0.x and fd00::x, of which nothing else is known. */
static inline void api_put(struct fixture *f, const char *key, uint32_t n4, uint32_t n6)
{
        struct khs_row row = fixture_row(key, 0, n4, n6);

        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

static inline struct khs_row_endpoint api_endpoint(const char *host, int32_t ordinal, const char *node,
                                                   const char *zone, uint8_t flags)
{
        static const struct khs_row_port ports[] = { { "grpc", 50050, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };

        return (struct khs_row_endpoint){ .host = host,
                                          .ordinal = ordinal,
                                          .node = node,
                                          .zone = zone,
                                          .flags = flags,
                                          .ports = ports,
                                          .n_ports = host ? 2 : 0 };
}

/*
 * web.default:
 *
 *     10.0.0.0    web-0   node-1   east   ready, serving           near
 *     10.0.0.1    web-1   node-2   west   serving, terminating
 *     10.0.0.2    a pod of which nothing is known
 *     fd00::      web-0, the same
 *     10.0.0.1    web-3, which shares it
 */
static inline void api_put_web(struct fixture *f, enum khs_order order)
{
        static const uint16_t shared[] = { 1 };
        struct khs_row_endpoint endpoints[] = {
                api_endpoint("web-0", 0, "node-1", "east", KHS_ATTR_READY | KHS_ATTR_SERVING),
                api_endpoint("web-1", 1, "node-2", "west", KHS_ATTR_SERVING | KHS_ATTR_TERMINATING),
                api_endpoint(NULL, -1, NULL, NULL, 0),
                api_endpoint("web-0", 0, "node-1", "east", KHS_ATTR_READY | KHS_ATTR_SERVING),
                api_endpoint("web-3", 3, "node-2", "west", KHS_ATTR_READY | KHS_ATTR_SERVING),
        };
        struct khs_row row = fixture_row("web.default", 0, 3, 1);

        endpoints[0].near = endpoints[3].near = true;
        row.endpoints = endpoints;
        row.n_shared = 1;
        row.shared = shared;
        row.port = 0;
        row.policy = khs_policy(1, order, KHS_FAMILY_ANY);
        row.status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_KUBERNETES);
        row.since_ds = fixture_now() - 50;
        row.version = 7;
        row.ttl_s = 5;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}
