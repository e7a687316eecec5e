/*
 * Static addresses.
 *
 * What stands in a file is true for as long as it stands there, so each update reports all of it, to stand,
 * and nothing happens in between. The source keeps nothing; whether an address is news, the model finds out.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "source/static.h"

#define TTL_S 60

/* Sorted, without duplicates: an address with two ports is one address. */
static uint32_t static_collect(const struct source_service *service, uint8_t family, uint8_t *ret)
{
        size_t size = address_size(family);
        uint32_t n = 0;

        for (size_t i = 0; i < service->n_endpoints; i++)
                if (service->endpoints[i].family == family)
                        memcpy(ret + n++ * size, service->endpoints[i].bytes, size);
        n = addresses_sort(family, ret, n);
        return n < KHS_MAX_ADDRS ? n : KHS_MAX_ADDRS;
}

static int static_report(struct source *source, const struct source_service *service, uint8_t family)
{
        uint8_t *addrs = malloc(service->n_endpoints * address_size(family) + 1);
        struct finding finding = {
                .source = KHS_SOURCE_STATIC,
                .family = family,
                .ttl_s = TTL_S,
                .addrs = addrs,
        };

        if (!addrs)
                return -ENOMEM;
        finding.n_addrs = static_collect(service, family, addrs);
        finding.kind = finding.n_addrs > 0 ? FINDING_ANSWER : FINDING_NEGATIVE;
        finding.reason = finding.n_addrs > 0 ? KHS_REASON_NONE : KHS_REASON_NODATA;
        source_report(source, service->key, &finding);
        free(addrs);
        return 0;
}

static int static_update(struct source *source, const struct source_set *set)
{
        int r = 0;

        for (size_t i = 0; i < set->n_services; i++) {
                const struct source_service *service = &set->services[i];

                if (static_report(source, service, AF_INET) < 0 || static_report(source, service, AF_INET6) < 0)
                        r = -ENOMEM;
        }
        if (r < 0)
                log_message(LOG_ERR, "static: out of memory; some services keep the addresses that they have");
        return r;
}

static void static_free(struct source *source)
{
        free(source);
}

static const struct source_ops static_ops = { .update = static_update, .free = static_free };

int source_static_new(struct source **ret)
{
        struct source *source = calloc(1, sizeof(*source));

        if (!source)
                return -ENOMEM;
        source->ops = &static_ops;
        *ret = source;
        return 0;
}
