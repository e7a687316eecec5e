#pragma once

/* Services as a configuration with one port makes them. */

#include "model/service-row.h"

static inline int service_configure_port(struct service *s, uint32_t policy, uint16_t port, enum khs_family family,
                                         uint64_t max_stale)
{
        const struct khs_port one = { .kind = KHS_PORT_NUMBER, .number = port };
        const struct service_options options = {
                .policy = policy,
                .family = family,
                .max_stale = max_stale,
                .ports = &one,
                .n_ports = 1,
        };

        return service_configure(s, &options);
}
