#pragma once

/*
 * What a source is: it learns the endpoints of registered services, and reports what it finds.
 *
 *      registry  -- source_start(), source_update(): all that it is to follow -->  source
 *                <-- report(key, finding) ----------------------------------------
 *                <-- discovered(namespace, name, present) ------------------------
 *
 * A source knows neither the configuration, nor the service model's states, nor the table. It is made by its
 * own constructor with its own options (servers, credentials), is started once, and runs on the event loop
 * until it is freed. Names a service goes by are its key "S.N", lower case; there are no handles that could
 * dangle.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port */
#include "base/address.h"
#include "model/finding.h"

struct source;

enum source_include { SOURCE_INCLUDE_READY, SOURCE_INCLUDE_SERVING, SOURCE_INCLUDE_ALL };

/* One registration as its source sees it: plain values. Also what a [namespace] section registers. */
struct source_service {
        const char *key;       /* "S.N"; of a [namespace] section NULL */
        const char *namespace; /* N */
        uint8_t source;        /* enum khs_source: the one that the configuration asks for */
        uint8_t family;        /* enum khs_family: which are asked for at all */
        uint8_t include;       /* enum source_include: endpoints that are served */
        uint8_t order;         /* enum khs_order: zone and node need to know what is near */
        bool hosts;            /* host names are wanted even if they cost questions */
        bool has_data;         /* addresses are known, from an earlier table or another source: no hurry */
        bool discovered;       /* not registered by name: the source itself has found it, or the previous daemon's */
        bool not_headless;     /* as far as is known: DNS would answer with a cluster IP */
        uint64_t refresh_min_usec, refresh_max_usec; /* what a TTL is held between */
        const struct khs_port *ports;                /* the default one first */
        size_t n_ports;
        const struct address *endpoints; /* static: what to report */
        size_t n_endpoints;
        const char *selector; /* a [pods] section: label selector; NULL: none */
        const char *go_micro; /* a [pods] section: name in go-micro's annotations; NULL: none */
};

/* All that one source is to follow. */
struct source_set {
        const struct source_service *services; /* sorted by key, unique */
        size_t n_services;
        const struct source_service *namespaces; /* sorted by namespace, unique */
        size_t n_namespaces;

        /*
         * The registry no longer knows everything that it was told (allow-cidr changed, memory was short). What
         * the source knows counts as news and is reported again.
         */
        bool report_again;
};

/*
 * Called in the event loop's thread. Nothing is freed from within, and no source is updated: what a report
 * brings about, source_update() says later.
 */
struct source_reports {
        /* Something was learned of one service; @finding is valid during the call. An unknown @key is ignored. */
        void (*report)(void *userdata, const char *key, const struct finding *finding);

        /*
         * A service was found in a namespace that has a [namespace] section (@present), or is no more. From then
         * on @namespace and @name have a registration with the section's values, unless they have one by name, and
         * report() takes its key. It stands in the source's next set, within a second or so. A source that
         * misses one there that it has discovered (its [service] section went) discovers it again.
         */
        void (*discovered)(void *userdata, const char *namespace, const char *name, bool present);

        void *userdata;
};

struct source_ops {
        /* See source_update(). */
        int (*update)(struct source *source, const struct source_set *set);
        void (*free)(struct source *source);

        /* Whether endpoints come with their attributes: then `hosts = auto` means yes. NULL: they do not. */
        bool (*knows_hosts)(const struct source *source, const struct source_service *service);

        bool serves_sections; /* [pods] and [namespace] */
};

/* Embedded in each source. */
struct source {
        const struct source_ops *ops;
        struct source_reports reports;
};

/**
 * source_update() - follow these services, all of them and no others
 * @set: borrowed during the call
 *
 * The source compares with what it follows already: what is equal goes on undisturbed. report() may be called
 * before this returns, discovered() only later.
 *
 * Return: 0; a negative errno: some could not be followed as wanted. The source has logged which; the next
 * update tries again.
 */
static inline int source_update(struct source *source, const struct source_set *set)
{
        return source->ops->update(source, set);
}

/* The first update, and from now on who hears of what is found. */
static inline int source_start(struct source *source, const struct source_reports *reports,
                               const struct source_set *set)
{
        source->reports = *reports;
        return source_update(source, set);
}

/* Reports nothing more. Returns NULL. */
static inline struct source *source_free(struct source *source)
{
        if (source)
                source->ops->free(source);
        return NULL;
}

/* For sources: */

static inline void source_report(struct source *source, const char *key, const struct finding *finding)
{
        source->reports.report(source->reports.userdata, key, finding);
}

static inline void source_discovered(struct source *source, const char *namespace, const char *name, bool present)
{
        source->reports.discovered(source->reports.userdata, namespace, name, present);
}

/* Within a source: one of its parts has learned something. */
typedef void (*source_report_fn)(void *userdata, const struct finding *finding);
