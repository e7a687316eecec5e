#pragma once

/* A source that follows nothing: a test reports in its name, and looks at what it was told to follow. */

#include <stdio.h>
#include <string.h>

#include "source/source.h"

struct fake_source {
        struct source source;
        char services[256];         /* "a.x b.x": the keys of the last set */
        char namespaces[256];       /* the same */
        struct source_service last; /* the last service of the set; its strings are gone */
        bool report_again;
        unsigned int n_updates;
        int result; /* of the next update alone */
        int *freed;
};

static inline int fake_update(struct source *source, const struct source_set *set)
{
        struct fake_source *fake = (struct fake_source *)(void *)source;
        size_t n = 0;
        int result;

        fake->services[0] = fake->namespaces[0] = '\0';
        for (size_t i = 0; i < set->n_services; i++) {
                n += (size_t)snprintf(fake->services + n, sizeof(fake->services) - n, "%s%s", i ? " " : "",
                                      set->services[i].key);
                fake->last = set->services[i];
        }
        n = 0;
        for (size_t i = 0; i < set->n_namespaces; i++)
                n += (size_t)snprintf(fake->namespaces + n, sizeof(fake->namespaces) - n, "%s%s", i ? " " : "",
                                      set->namespaces[i].namespace);
        fake->report_again = set->report_again;
        fake->n_updates++;
        result = fake->result;
        fake->result = 0;
        return result;
}

static inline void fake_free(struct source *source)
{
        struct fake_source *fake = (struct fake_source *)(void *)source;

        if (fake->freed)
                ++*fake->freed;
}

static inline bool fake_knows_hosts(const struct source *source, const struct source_service *service)
{
        (void)source;
        (void)service;
        return true;
}

static const struct source_ops fake_dns_ops = { .update = fake_update, .free = fake_free };
static const struct source_ops fake_kube_ops = {
        .update = fake_update, .free = fake_free, .knows_hosts = fake_knows_hosts, .serves_sections = true
};

static inline void fake_whole(struct fake_source *fake, const char *key, uint8_t last_byte, bool not_headless)
{
        const struct finding_endpoint one = {
                .family = AF_INET,
                .bytes = { 10, 0, 0, last_byte },
                .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
                .host = "web-0",
                .zone = "a",
        };
        const struct finding finding = {
                .kind = FINDING_WHOLE,
                .source = KHS_SOURCE_KUBERNETES,
                .reason = last_byte > 0 ? KHS_REASON_NONE : KHS_REASON_NONE_READY,
                .not_headless = not_headless,
                .n_endpoints = last_byte > 0,
                .endpoints = &one,
        };

        source_report(&fake->source, key, &finding);
}

static inline void fake_answer(struct fake_source *fake, const char *key, enum khs_source source, uint8_t last_byte)
{
        const uint8_t address[4] = { 10, 0, 0, last_byte };
        const struct finding finding = {
                .kind = FINDING_ANSWER,
                .source = (uint8_t)source,
                .family = AF_INET,
                .ttl_s = 5,
                .n_addrs = 1,
                .addrs = address,
        };

        source_report(&fake->source, key, &finding);
}

static inline void fake_failure(struct fake_source *fake, const char *key, enum khs_source source,
                                enum khs_reason reason)
{
        const struct finding finding = { .kind = FINDING_FAILURE,
                                         .source = (uint8_t)source,
                                         .reason = (uint8_t)reason };

        source_report(&fake->source, key, &finding);
}
