/*
 * The registered services.
 *
 * Invariants:
 * - Registrations are sorted by key, and each key stands there once.
 * - A registration's section is that of the configuration which was applied last. `[service S.N]` goes before
 *   `[namespace N]`, of which one is registered when a source discovers it.
 * - Sources are updated last, with all that they are to follow, and never from within a report: what a report
 *   calls for (a service was discovered, a finding could not be kept) waits for the next tick.
 * - No version of a key in the table is ever used again: the registry remembers the highest that went, and begins
 *   anywhere where it can't know.
 *
 * Which source is asked for what stands in an array; nothing here depends on what the sources are.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timer.h"
#include "base/util.h"
#include "registration.h"
#include "registry.h"

#define LINES_PER_SECOND 10                  /* changes of state that are logged; the rest are counted */
#define ALIASES_USEC     (10 * USEC_PER_SEC) /* until aliases that could not be put are tried again */
#define STOPPED_USEC     (4 * USEC_PER_SEC)  /* between two ticks: the process was stopped, or the machine slept */

struct registry {
        struct registrar registrar;
        const struct config *config;
        struct registration **items; /* sorted by key */
        size_t n_items;
        uint64_t ticked_usec;  /* the last tick, or what kept us from one */
        uint64_t aliases_usec; /* when aliases are tried again */
        bool started;          /* the sources are */
        bool sets_changed;     /* sources are to be updated */
};

/* @ret_place: where it is or would be; or NULL. */
static struct registration *registry_find(const struct registry *r, const char *key, size_t *ret_place)
{
        struct registration *found = NULL;
        size_t low = 0, high = r->n_items;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(r->items[middle]->service->key, key);

                if (order == 0)
                        found = r->items[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (ret_place)
                *ret_place = low;
        return found;
}

static bool registry_has(void *userdata, const char *key)
{
        return registry_find(userdata, key, NULL);
}

/* Who has an alias of this spelling; NULL: nobody. */
static struct registration *registry_alias(const struct registry *r, const char *alias)
{
        for (size_t i = 0; i < r->n_items; i++)
                if (registration_has_alias(r->items[i], alias))
                        return r->items[i];
        return NULL;
}

static void registry_log_error(const struct config_service *section, const char *key, int error)
{
        log_service(LOG_ERR, key, "can't be registered as %s says: %s", section->origin, strerror(-error));
}

/* ---- sources ---- */

static void registry_report(void *userdata, const char *key, const struct finding *finding)
{
        struct registration *item = registry_find(userdata, key, NULL);

        /* What the API finds in a namespace counts only where it is asked: a file, or DNS, goes before it by name. */
        if (item && (finding->source != KHS_SOURCE_KUBERNETES || item->section->source == KHS_SOURCE_KUBERNETES))
                registration_report(item, finding);
}

static bool registry_serves_sections(const struct registry *r)
{
        const struct source *source = r->registrar.sources[KHS_SOURCE_KUBERNETES];

        return source && source->ops->serves_sections;
}

static const struct config_service *registry_namespace(const struct registry *r, const char *namespace)
{
        for (size_t i = 0; i < r->config->n_namespaces && registry_serves_sections(r); i++)
                if (strcmp(r->config->namespaces[i].namespace, namespace) == 0)
                        return &r->config->namespaces[i];
        return NULL;
}

static void registry_discovered(void *userdata, const char *namespace, const char *name, bool present);

/* All that one source is to follow. @services has room for all registrations, @namespaces for all sections. */
static void registry_update_source(struct registry *r, struct source *source, struct source_service *services,
                                   struct source_service *namespaces, bool report_again)
{
        const struct source_reports reports = { registry_report, registry_discovered, r };
        struct source_set set = { .services = services, .namespaces = namespaces, .report_again = report_again };

        for (size_t i = 0; i < r->n_items; i++)
                if (r->registrar.sources[r->items[i]->section->source] == source)
                        services[set.n_services++] = registration_for_source(r->items[i]);
        for (size_t i = 0; i < r->config->n_namespaces && source->ops->serves_sections; i++)
                namespaces[set.n_namespaces++] = section_for_source(&r->config->namespaces[i], NULL);
        /* What memory was short for is tried again by the next tick. */
        if ((r->started ? source_update(source, &set) : source_start(source, &reports, &set)) == -ENOMEM) {
                r->sets_changed = true;
                r->registrar.report_again = r->registrar.report_again || report_again;
        }
}

static void registry_update_sources(struct registry *r)
{
        struct source_service *services = calloc(r->n_items + 1, sizeof(*services));
        struct source_service *namespaces = calloc(r->config->n_namespaces + 1, sizeof(*namespaces));
        bool report_again = r->registrar.report_again;

        r->registrar.report_again = r->sets_changed = !services || !namespaces;
        for (size_t i = 0; i < REGISTRATION_N_SOURCES && services && namespaces; i++) {
                bool updated = !r->registrar.sources[i];

                for (size_t before = 0; before < i; before++)
                        updated = updated || r->registrar.sources[before] == r->registrar.sources[i];
                if (!updated)
                        registry_update_source(r, r->registrar.sources[i], services, namespaces, report_again);
        }
        r->started = r->started || (services && namespaces);
        free(services);
        free(namespaces);
}

static int registry_insert(struct registry *r, struct registration *item, size_t place)
{
        struct registration **items = reallocarray(r->items, r->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        memmove(items + place + 1, items + place, (r->n_items - place) * sizeof(*items));
        items[place] = item;
        r->items = items;
        r->n_items++;
        return 0;
}

static void registry_remove(struct registry *r, struct registration *item, size_t place)
{
        item->section = NULL;
        registration_drop_aliases(item);
        registration_remove(item);
        memmove(r->items + place, r->items + place + 1, (--r->n_items - place) * sizeof(*r->items));
}

static void registry_discovered(void *userdata, const char *namespace, const char *name, bool present)
{
        struct registry *r = userdata;
        const struct config_service *section = registry_namespace(r, namespace);
        struct registration *item, *other;
        char key[KHS_KEY_MAX + 1];
        size_t place;
        int error;

        if (!section || snprintf(key, sizeof(key), "%s.%s", name, namespace) >= (int)sizeof(key))
                return;
        item = registry_find(r, key, &place);
        if (item)
                item->discovered = present;
        if (item && !present && item->section == section) {
                registry_remove(r, item, place);
                r->sets_changed = true;
        }
        other = item || !present ? NULL : registry_alias(r, key);
        if (other && !other->told_found)
                log_service(LOG_ERR, key, "it was found in its namespace, but stays an alias of %s",
                            other->service->key);
        if (other)
                other->told_found = true;
        if (item || !present || other)
                return;
        error = registration_new(&item, &r->registrar, section, key, NULL);
        if (error == 0) {
                error = registry_insert(r, item, place);
                if (error < 0)
                        registration_remove(item);
        }
        if (error < 0) {
                registry_log_error(section, key, error);
                return;
        }
        item->discovered = r->sets_changed = true;
}

/* ---- the configuration ---- */

int registry_new(struct registry **ret, struct publisher *publisher,
                 struct source *const sources[REGISTRATION_N_SOURCES])
{
        struct registry *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->registrar.publisher = publisher;
        r->registrar.version = random_u32() & INT32_MAX;
        r->registrar.has = registry_has;
        r->registrar.userdata = r;
        memcpy(r->registrar.sources, sources, sizeof(r->registrar.sources));
        r->registrar.limiter = (struct log_limiter){ .n_max = LINES_PER_SECOND, .period_usec = USEC_PER_SEC };
        *ret = r;
        return 0;
}

/* Leaves the table as it is: it goes on answering while the next daemon starts. */
struct registry *registry_free(struct registry *r)
{
        if (r) {
                for (size_t i = 0; i < r->n_items; i++)
                        registration_free(r->items[i]);
                free(r->items);
                names_deinit(&r->registrar.names);
                free((void *)r->registrar.filter.allow_cidr);
                free(r);
        }
        return NULL;
}

/* Return: whether allow-cidr is another one than it was. */
static bool registry_set_filter(struct registry *r, const struct config *config)
{
        size_t size = config->n_allow_cidr * sizeof(*config->allow_cidr);
        struct network *copy;

        if (r->registrar.filter.n_allow_cidr == config->n_allow_cidr &&
            (size == 0 || memcmp(r->registrar.filter.allow_cidr, config->allow_cidr, size) == 0))
                return false;
        copy = malloc(size + 1);
        if (!copy) {
                log_message(LOG_ERR, "out of memory; allow-cidr stays as it was");
                return false;
        }
        if (size > 0)
                memcpy(copy, config->allow_cidr, size);
        free((void *)r->registrar.filter.allow_cidr);
        r->registrar.filter.allow_cidr = copy;
        r->registrar.filter.n_allow_cidr = config->n_allow_cidr;
        return true;
}

/*
 * What loses its own section, and is in a namespace that is to be discovered, counts as discovered until the source has
 * seen for itself: its server may be away.
 */
static const struct config_service *registry_section(const struct registry *r, struct registration *item)
{
        const char *key = item->service->key, *dot = strchr(key, '.');
        const struct config_service *section = config_find(r->config, key);

        for (size_t i = 0; i < r->config->n_pods && !section && registry_serves_sections(r); i++)
                if (strcmp(r->config->pods[i].key, key) == 0)
                        section = &r->config->pods[i];
        if (!section && dot) {
                section = registry_namespace(r, dot + 1);
                item->discovered = item->discovered || section;
        }
        return section;
}

/* Step 1: what has no section any more goes, with its aliases. Keeps the order. */
static void registry_apply_removals(struct registry *r)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n_items; i++) {
                struct registration *item = r->items[i];

                item->section = registry_section(r, item);
                registration_drop_aliases(item);
                if (item->section)
                        r->items[n++] = item;
                else
                        registration_remove(item);
        }
        r->n_items = n;
}

static int registry_compare(const void *a, const void *b)
{
        return strcmp((*(struct registration *const *)a)->service->key,
                      (*(struct registration *const *)b)->service->key);
}

/* Step 2: sections that have no registration get one. */
static void registry_apply_sections(struct registry *r, const struct config_service *sections, size_t n_sections,
                                    struct predecessor *predecessor)
{
        struct registration **items = reallocarray(r->items, r->n_items + n_sections + 1, sizeof(*items));
        size_t n = r->n_items;

        if (!items) {
                log_message(LOG_ERR, "out of memory; new services are not registered");
                return;
        }
        r->items = items;
        for (size_t i = 0; i < n_sections; i++) {
                int error;

                if (registry_find(r, sections[i].key, NULL))
                        continue;
                error = registration_new(&items[n], &r->registrar, &sections[i], sections[i].key, predecessor);
                if (error < 0)
                        registry_log_error(&sections[i], sections[i].key, error);
                else
                        n++;
        }
        if (n > r->n_items)
                qsort(items, n, sizeof(*items), registry_compare);
        r->n_items = n;
}

/*
 * Step 3: what the previous daemon had in a namespace that is to be discovered counts as discovered, until the source
 * has seen for itself: its server may be away.
 */
static void registry_apply_predecessor(struct registry *r, struct predecessor *predecessor)
{
        uint32_t cursor = 0;
        char key[256];

        while (r->config->n_namespaces > 0 && predecessor_next(predecessor, &cursor, key)) {
                const char *dot = strchr(key, '.');
                const struct config_service *section = dot ? registry_namespace(r, dot + 1) : NULL;
                struct registration *item;
                size_t place;
                int error;

                if (!section || registry_find(r, key, &place))
                        continue;
                error = registration_new(&item, &r->registrar, section, key, predecessor);
                if (error == 0)
                        error = registry_insert(r, item, place);
                if (error < 0)
                        registry_log_error(section, key, error);
                else
                        item->discovered = true;
        }
}

/* Step 4: what a source may not say any more is not served any longer either; what a file says, is. */
static void registry_apply_filter(struct registry *r)
{
        for (size_t i = 0; i < r->n_items; i++)
                registration_changed(r->items[i], service_restrict(r->items[i]->service, usec_now()));
}

void registry_apply(struct registry *r, const struct config *config, struct predecessor *predecessor)
{
        bool filter_changed = registry_set_filter(r, config);

        r->config = config;
        /* What the old filter dropped may pass the new one, and sources do not know that it was dropped. */
        r->registrar.report_again = r->registrar.report_again || (filter_changed && r->started);
        if (predecessor_version(predecessor) > r->registrar.version)
                r->registrar.version = predecessor_version(predecessor);
        registry_apply_removals(r);
        registry_apply_sections(r, config->services, config->n_services, predecessor);
        if (registry_serves_sections(r))
                registry_apply_sections(r, config->pods, config->n_pods, predecessor);
        registry_apply_predecessor(r, predecessor);
        for (size_t i = 0; i < r->n_items; i++) {
                int error = registration_follow(r->items[i]);

                if (error < 0)
                        registry_log_error(r->items[i]->section, r->items[i]->service->key, error);
        }
        registry_apply_filter(r);
        registry_update_sources(r);
        r->ticked_usec = usec_now();
}

/* ---- every second, and what others ask ---- */

/* What was not asked is not unconfirmed. */
static void registry_note_stop(struct registry *r, uint64_t now)
{
        uint64_t before = r->ticked_usec;

        r->ticked_usec = now;
        if (now - before < STOPPED_USEC)
                return;
        log_message(LOG_NOTICE,
                    "the daemon was stopped for %llu s; max-stale counts that time only once a source fails",
                    (unsigned long long)((now - before) / USEC_PER_SEC));
        for (size_t i = 0; i < r->n_items; i++)
                registration_changed(r->items[i], (int)service_resume(r->items[i]->service, before, now));
}

void registry_tick(struct registry *r)
{
        unsigned long n_silent = log_limiter_roll(&r->registrar.limiter);
        uint64_t now = usec_now();

        registry_note_stop(r, now);
        if (n_silent > 0)
                log_message(LOG_WARNING, "%lu more services changed their state", n_silent);
        for (size_t i = 0; i < r->n_items; i++) {
                enum service_change change = service_tick(r->items[i]->service, now);

                if (change != SERVICE_UNCHANGED)
                        registration_changed(r->items[i], (int)change);
        }
        if (now >= r->aliases_usec) {
                r->aliases_usec = now + usec_jitter(ALIASES_USEC, 20);
                for (size_t i = 0; i < r->n_items; i++)
                        registration_retry_aliases(r->items[i]);
        }
        if (r->sets_changed || r->registrar.report_again)
                registry_update_sources(r);
}

void registry_count(const struct registry *r, struct registry_counts *ret)
{
        size_t by_state[KHS_SERVICE_EXPIRED + 1] = { 0 }, n_addresses = 0;

        for (size_t i = 0; i < r->n_items; i++) {
                by_state[service_state(r->items[i]->service)]++;
                n_addresses += r->items[i]->service->v4.n + r->items[i]->service->v6.n;
        }
        *ret = (struct registry_counts){
                .n_services = r->n_items,
                .n_addresses = n_addresses,
                .n_pending = by_state[KHS_SERVICE_PENDING],
                .n_fresh = by_state[KHS_SERVICE_FRESH],
                .n_stale = by_state[KHS_SERVICE_STALE],
                .n_empty = by_state[KHS_SERVICE_EMPTY],
                .n_expired = by_state[KHS_SERVICE_EXPIRED],
                .n_dropped = r->registrar.filter.n_dropped,
        };
}

size_t registry_n_awaited(const struct registry *r)
{
        return r->registrar.n_awaited;
}

bool registry_keeps(void *registry, const char *key, const char *target)
{
        const struct registration *item = registry_find(registry, target ? target : key, NULL);

        return item && (!target || registration_has_alias(item, key));
}
