/* The registered services, see registry.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/util.h"
#include "registry.h"
#include "source/static.h"
#include "table/policy.h"

#define STATIC_MAX_STALE_USEC (3600 * USEC_PER_SEC)
#define LINES_PER_TICK        10 /* changes of state that are told in a second; the rest are counted */

struct registration {
        struct registry *registry;
        struct service *service;
        struct publication publication;
        struct source_watch *watch; /* one of these two */
        struct source_static *fixed;
        char **aliases;
        size_t n_aliases;
        enum khs_service_state told; /* the state that was logged last */
        bool heard[2];               /* whether its source has said anything of IPv4, of IPv6 */
        bool awaited;
};

struct registry {
        struct publisher *publisher;
        struct source_dns *dns;
        struct registration **items; /* sorted by key */
        size_t n_items;
        size_t n_awaited;
        uint32_t version; /* no version of a new service is below this */
        unsigned int n_lines;
        size_t n_silent;
};

/* ---- results ---- */

/* Nothing is known of it, and its source has not said either that there is nothing. */
static bool is_awaited(const struct registration *item)
{
        uint8_t family = item->service->family;

        return service_state(item->service) == KHS_SERVICE_PENDING &&
               ((family != KHS_FAMILY_IPV6 && !item->heard[0]) || (family != KHS_FAMILY_IPV4 && !item->heard[1]));
}

static void count_awaited(struct registration *item, bool awaited)
{
        item->registry->n_awaited += (size_t)awaited - (size_t)item->awaited;
        item->awaited = awaited;
}

static void tell(struct registration *item)
{
        enum khs_service_state state = service_state(item->service);
        struct registry *r = item->registry;
        const char *reason;
        int priority = LOG_INFO;

        if (state == item->told)
                return;
        if (state == KHS_SERVICE_STALE || state == KHS_SERVICE_EXPIRED)
                priority = LOG_WARNING;
        else if (item->told == KHS_SERVICE_PENDING)
                priority = LOG_DEBUG;
        item->told = state;
        if (r->n_lines >= LINES_PER_TICK) {
                r->n_silent++;
                return;
        }
        r->n_lines += priority <= LOG_INFO;
        reason = service_reason(item->service);
        log_message(priority, "%s: %s%s%s%s, %u addresses", item->service->key, service_state_name(state),
                    reason ? " (" : "", reason ? reason : "", reason ? ")" : "",
                    item->service->v4.n + item->service->v6.n);
}

static void changed(struct registration *item, int change)
{
        struct publisher *publisher = item->registry->publisher;

        if (change == SERVICE_CONTENT)
                publisher_update(publisher, &item->publication);
        else if (change == SERVICE_TIMES)
                publisher_touch(publisher, &item->publication);
        else if (change < 0)
                log_message(LOG_ERR, "%s: %s; what was known stays", item->service->key, strerror(-change));
        tell(item);
}

static void on_result(void *userdata, const struct finding *result)
{
        struct registration *item = userdata;

        if (result->kind == FINDING_ANSWER || result->kind == FINDING_NEGATIVE)
                item->heard[result->family == AF_INET6] = true;
        changed(item, service_apply(item->service, result, usec_now()));
        count_awaited(item, is_awaited(item));
}

/* ---- one registration ---- */

static struct registration *registration_free(struct registration *item)
{
        if (item) {
                source_watch_free(item->watch);
                source_static_free(item->fixed);
                service_free(item->service);
                for (size_t i = 0; i < item->n_aliases; i++)
                        free(item->aliases[i]);
                free(item->aliases);
                free(item);
        }
        return NULL;
}

static bool has_alias(char *const *aliases, size_t n_aliases, const char *alias)
{
        for (size_t i = 0; i < n_aliases; i++) {
                if (strcmp(aliases[i], alias) == 0)
                        return true;
        }
        return false;
}

/* All aliases that go must be gone before any comes: one may move from a service to another. */
static void drop_aliases(struct registration *item, const struct config_service *config)
{
        size_t n = 0;

        for (size_t i = 0; i < item->n_aliases; i++) {
                char *alias = item->aliases[i];

                if (config && has_alias(config->aliases, config->n_aliases, alias)) {
                        item->aliases[n++] = alias;
                        continue;
                }
                publisher_remove_alias(item->registry->publisher, alias);
                free(alias);
        }
        item->n_aliases = n;
}

static int add_alias(struct registration *item, const char *alias)
{
        char *copy = strdup(alias);
        int r = copy ? publisher_put_alias(item->registry->publisher, alias, item->service->key) : -ENOMEM;

        if (r < 0)
                free(copy);
        else
                item->aliases[item->n_aliases++] = copy;
        return r;
}

/* Those that are there stay untouched; one that can't be put is tried again at the next reload. */
static int add_aliases(struct registration *item, const struct config_service *config)
{
        char **aliases = realloc(item->aliases, (config->n_aliases + 1) * sizeof(*aliases));
        int r = 0;

        if (!aliases)
                return -ENOMEM;
        item->aliases = aliases;
        for (size_t i = 0; i < config->n_aliases; i++) {
                int error = 0;

                if (!has_alias(item->aliases, item->n_aliases, config->aliases[i]))
                        error = add_alias(item, config->aliases[i]);
                r = r < 0 ? r : error;
        }
        return r;
}

/*
 * An answer is confirmed until the next one is due, and stale from then. What stands in a file is
 * true while the daemon lives, whatever max-stale says of other sources.
 */
static uint64_t max_stale(const struct config_service *config)
{
        uint64_t usec = config->max_stale + config->refresh_max;

        return config->source == KHS_SOURCE_STATIC && usec < STATIC_MAX_STALE_USEC ? STATIC_MAX_STALE_USEC : usec;
}

/* Left to itself it learns host names where a port needs them: SRV has both, ordinals are in the names. */
static bool wants_hosts(const struct config_service *config)
{
        bool needed = false;

        for (size_t i = 0; i < config->n_ports; i++)
                needed = needed || config->ports[i].kind == KHS_PORT_NAME || config->ports[i].kind == KHS_PORT_BASE;
        return config->hosts == CONFIG_HOSTS_YES || (config->hosts == CONFIG_HOSTS_AUTO && needed);
}

static int configure(struct registration *item, const struct config_service *config)
{
        const struct service_options options = {
                .policy = khs_policy(config->answers, (enum khs_order)config->order, (enum khs_family)config->family),
                .family = (enum khs_family)config->family,
                .max_stale = max_stale(config),
                .ports = config->ports,
                .n_ports = config->n_ports,
                .hosts = wants_hosts(config),
        };

        return service_configure(item->service, &options);
}

static int watch_static(struct registration *item, const struct config_service *config, bool is_changed)
{
        struct source_static *fixed;
        int r;

        r = source_static_new(&fixed, config, on_result, item);
        if (r < 0)
                return r;
        if (!is_changed && item->fixed && source_static_equal(item->fixed, fixed)) {
                source_static_free(fixed);
                return 0;
        }
        item->watch = source_watch_free(item->watch);
        source_static_free(item->fixed);
        item->fixed = fixed;
        source_static_tick(fixed, usec_now());
        return 0;
}

/* Kubernetes falls back to DNS while it can't reach the API; in this version that is always. */
static int watch(struct registration *item, const struct config_service *config, bool is_changed)
{
        bool has_data = item->service->v4.n > 0 || item->service->v6.n > 0;
        int r;

        if (config->source == KHS_SOURCE_STATIC)
                return watch_static(item, config, is_changed);
        item->fixed = source_static_free(item->fixed);
        if (item->watch)
                r = source_watch_update(item->watch, config->family, config->refresh_min, config->refresh_max);
        else
                r = source_dns_watch(item->registry->dns, &item->watch, item->service->key, config->family,
                                     config->refresh_min, config->refresh_max, has_data, on_result, item);
        return r < 0 ? r : source_watch_set_hosts(item->watch, wants_hosts(config), config->ports, config->n_ports);
}

static int registration_new(struct registration **ret, struct registry *r, const struct config *whole,
                            const struct config_service *config, struct predecessor *predecessor)
{
        struct registration *item = calloc(1, sizeof(*item));
        uint64_t now = usec_now();
        int error;

        if (!item)
                return -ENOMEM;
        item->registry = r;
        error = service_new(&item->service, config->key, r->version + 1, now);
        if (error == 0)
                error = configure(item, config);
        if (error >= 0) {
                item->publication.service = item->service;
                error = predecessor_seed(predecessor, item->service, now);
        }
        if (error >= 0 && config->source != KHS_SOURCE_STATIC)
                error = service_restrict(item->service, whole->allow_cidr, whole->n_allow_cidr, now);
        if (error < 0) {
                registration_free(item);
                return error;
        }
        item->told = service_state(item->service);
        count_awaited(item, is_awaited(item));
        *ret = item;
        return 0;
}

/* Makes a registration do what the configuration says; `is_new` when nothing of it is published. */
static int follow(struct registration *item, const struct config_service *config, bool is_new)
{
        int change = is_new ? SERVICE_CONTENT : configure(item, config), r;

        if (change < 0)
                return change;
        count_awaited(item, is_awaited(item));
        if (change != SERVICE_UNCHANGED)
                publisher_update(item->registry->publisher, &item->publication);
        r = add_aliases(item, config);
        return r < 0 ? r : watch(item, config, change != SERVICE_UNCHANGED);
}

static void unregister(struct registration *item)
{
        struct registry *r = item->registry;

        if (item->service->version > r->version)
                r->version = item->service->version;
        count_awaited(item, false);
        publisher_remove(r->publisher, &item->publication);
        registration_free(item);
}

/* ---- the whole ---- */

int registry_new(struct registry **ret, struct publisher *publisher, struct source_dns *dns)
{
        struct registry *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->publisher = publisher;
        r->dns = dns;
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
                free(r);
        }
        return NULL;
}

/* Step 1: what is not configured any more goes, with its aliases. Keeps the order. */
static void apply_removals(struct registry *r, const struct config *config)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n_items; i++) {
                struct registration *item = r->items[i];
                const struct config_service *c = config_find(config, item->service->key);

                drop_aliases(item, c);
                if (c)
                        r->items[n++] = item;
                else
                        unregister(item);
        }
        r->n_items = n;
}

/* Step 2: merge the two sorted lists; new registrations are made where the old list has none. */
static int apply_services(struct registry *r, const struct config *config, struct predecessor *predecessor)
{
        struct registration **items = calloc(config->n_services + 1, sizeof(*items));
        size_t n = 0, old = 0;

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_services; i++) {
                const struct config_service *c = &config->services[i];
                bool is_new = old >= r->n_items || strcmp(r->items[old]->service->key, c->key) != 0;
                struct registration *item = is_new ? NULL : r->items[old++];
                int error = is_new ? registration_new(&item, r, config, c, predecessor) : 0;

                if (error == 0) {
                        items[n++] = item;
                        error = follow(item, c, is_new);
                }
                if (error < 0)
                        log_message(LOG_ERR, "%s: [service %s] can't be registered as written: %s", c->origin, c->key,
                                    strerror(-error));
        }
        free(r->items);
        r->items = items;
        r->n_items = n;
        return 0;
}

/* Step 3: what a source may not say any more is not served any longer either; what a file says, is. */
static void apply_restrictions(struct registry *r, const struct config *config)
{
        for (size_t i = 0; i < r->n_items; i++) {
                struct registration *item = r->items[i];
                int change;

                if (item->fixed)
                        continue;
                change = service_restrict(item->service, config->allow_cidr, config->n_allow_cidr, usec_now());
                if (change == SERVICE_CONTENT && item->watch)
                        source_watch_forget_hosts(item->watch);
                changed(item, change);
        }
}

void registry_apply(struct registry *r, const struct config *config, struct predecessor *predecessor)
{
        if (predecessor_version(predecessor) > r->version)
                r->version = predecessor_version(predecessor);
        apply_removals(r, config);
        if (apply_services(r, config, predecessor) < 0)
                log_message(LOG_ERR, "out of memory; the registered services stay as they are");
        apply_restrictions(r, config);
}

void registry_tick(struct registry *r)
{
        uint64_t now = usec_now();

        if (r->n_silent > 0)
                log_message(LOG_WARNING, "%zu more services changed their state", r->n_silent);
        r->n_silent = 0;
        r->n_lines = 0;
        for (size_t i = 0; i < r->n_items; i++) {
                struct registration *item = r->items[i];
                enum service_change change;

                if (item->fixed)
                        source_static_tick(item->fixed, now);
                change = service_tick(item->service, now);
                if (change != SERVICE_UNCHANGED)
                        changed(item, change);
        }
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
        };
}

size_t registry_n_awaited(const struct registry *r)
{
        return r->n_awaited;
}

static int compare_key(const void *key, const void *item)
{
        return strcmp(key, (*(struct registration *const *)item)->service->key);
}

bool registry_keeps(void *registry, const char *key, const char *target)
{
        const struct registry *r = registry;
        struct registration **item = NULL;

        if (r->n_items > 0)
                item = bsearch(target ? target : key, r->items, r->n_items, sizeof(struct registration *), compare_key);
        return item && (!target || has_alias((*item)->aliases, (*item)->n_aliases, key));
}
