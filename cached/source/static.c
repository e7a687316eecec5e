/*
 * Static addresses.
 *
 * What stands in a file is true for as long as it stands there, so each update reports all of it, to stand,
 * and nothing happens in between. The source keeps nothing; whether an address is news, the model finds out.
 *
 * Each ADDRESS or ADDRESS:PORT is an endpoint. Its port has the name that the service is configured with first,
 * if that is one, so that who asks for the port by its name in the cluster finds it on a laptop, too.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "source/static.h"

#define TTL_S 60

static struct khs_row_port static_port(const struct source_service *service, uint16_t number)
{
        const struct khs_port *first = service->n_ports > 0 ? &service->ports[0] : NULL;
        bool named = first && first->kind == KHS_PORT_NAME;

        return (struct khs_row_port){
                .name = named ? first->name : NULL,
                .number = number,
                .protocol = named && first->udp ? IPPROTO_UDP : IPPROTO_TCP,
        };
}

static int static_compare(const void *a, const void *b)
{
        const struct finding_endpoint *first = a, *second = b;
        int r;

        if (first->family != second->family)
                return first->family == AF_INET ? -1 : 1;
        r = address_compare(first->family, first->bytes, second->bytes);
        if (r == 0 && first->n_ports + second->n_ports == 2)
                return (int)first->ports->number - (int)second->ports->number;
        return r != 0 ? r : (int)first->n_ports - (int)second->n_ports;
}

/* Return: how many differ. */
static uint32_t static_sort(struct finding_endpoint *endpoints, uint32_t n)
{
        uint32_t n_kept = 0;

        qsort(endpoints, n, sizeof(*endpoints), static_compare);
        for (uint32_t i = 0; i < n; i++) {
                if (n_kept == 0 || static_compare(&endpoints[n_kept - 1], &endpoints[i]) != 0)
                        endpoints[n_kept++] = endpoints[i];
        }
        return n_kept;
}

static int static_report(struct source *source, const struct source_service *service)
{
        size_t n = service->n_endpoints;
        _cleanup_(cleanup_free) struct finding_endpoint *endpoints = calloc(n + 1, sizeof(*endpoints));
        _cleanup_(cleanup_free) struct khs_row_port *ports = calloc(n + 1, sizeof(*ports));
        struct finding finding = {
                .kind = FINDING_WHOLE,
                .source = KHS_SOURCE_STATIC,
                .reason = n > 0 ? KHS_REASON_NONE : KHS_REASON_NODATA,
                .ttl_s = TTL_S,
                .endpoints = endpoints,
        };

        if (!endpoints || !ports)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const struct address *address = &service->endpoints[i];

                ports[i] = static_port(service, address->port);
                endpoints[i] = (struct finding_endpoint){
                        .family = address->family,
                        .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
                        .ports = &ports[i],
                        .n_ports = address->port != 0,
                };
                memcpy(endpoints[i].bytes, address->bytes, sizeof(address->bytes));
        }
        finding.n_endpoints = static_sort(endpoints, (uint32_t)n);
        source_report(source, service->key, &finding);
        return 0;
}

static int static_update(struct source *source, const struct source_set *set)
{
        int r = 0;

        for (size_t i = 0; i < set->n_services; i++) {
                if (static_report(source, &set->services[i]) < 0)
                        r = -ENOMEM;
        }
        if (r < 0)
                log_message(LOG_ERR, "static: out of memory; some services keep the addresses that they have");
        return r;
}

/* Ports are all that there is to know. */
static bool static_knows_hosts(const struct source *source, const struct source_service *service)
{
        (void)source;
        for (size_t i = 0; i < service->n_endpoints; i++) {
                if (service->endpoints[i].port != 0)
                        return true;
        }
        return false;
}

static void static_free(struct source *source)
{
        free(source);
}

static const struct source_ops static_ops = {
        .update = static_update,
        .free = static_free,
        .knows_hosts = static_knows_hosts,
};

int source_static_new(struct source **ret)
{
        struct source *source = calloc(1, sizeof(*source));

        if (!source)
                return -ENOMEM;
        source->ops = &static_ops;
        *ret = source;
        return 0;
}
