/*
 * One registered service.
 *
 * A registration ties together what four modules know of a service: its section of the configuration, the
 * service model, its place in the publisher, and its aliases in the table. What it changes in one of them it
 * carries on to the next.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/log.h"
#include "base/util.h"
#include "model/service-row.h"
#include "registration.h"
#include "table/policy.h"
#include "table/probe.h"

/* ---- what changed ---- */

static void registration_count_awaited(struct registration *item)
{
        uint8_t family = item->service->family;
        bool awaited =
                service_state(item->service) == KHS_SERVICE_PENDING &&
                ((family != KHS_FAMILY_IPV6 && !item->heard[0]) || (family != KHS_FAMILY_IPV4 && !item->heard[1]));

        item->registrar->n_awaited += (size_t)awaited - (size_t)item->awaited;
        item->awaited = awaited;
}

static void registration_log_state(struct registration *item)
{
        enum khs_service_state state = service_state(item->service);
        const char *reason = service_reason(item->service);
        int priority = LOG_INFO;

        if (state == item->logged)
                return;
        if (state == KHS_SERVICE_STALE || state == KHS_SERVICE_EXPIRED)
                priority = LOG_WARNING;
        else if (item->logged == KHS_SERVICE_PENDING)
                priority = LOG_DEBUG;
        item->logged = (uint8_t)state;
        if (priority < LOG_DEBUG && !log_limiter_take(&item->registrar->limiter))
                return;
        log_service(priority, item->service->key, "%s%s%s%s, %u addresses", service_state_name(state),
                    reason ? " (" : "", reason ? reason : "", reason ? ")" : "",
                    item->service->v4.n + item->service->v6.n);
}

void registration_changed(struct registration *item, int change)
{
        struct publisher *publisher = item->registrar->publisher;

        if (change == SERVICE_CONTENT)
                publisher_update(publisher, &item->publication);
        else if (change == SERVICE_TIMES)
                publisher_touch(publisher, &item->publication);
        else if (change < 0)
                item->registrar->report_again = true;
        if (change < 0)
                log_service(LOG_ERR, item->service->key, "%s; what was known stays", strerror(-change));
        registration_log_state(item);
}

static void registration_count(const struct finding *finding)
{
        uint64_t *results = counters.results[finding->source];

        if (finding->kind == FINDING_FAILURE)
                results[COUNTED_FAILURE]++;
        else if (finding->kind == FINDING_NEGATIVE || (finding->kind == FINDING_WHOLE && finding->n_endpoints == 0))
                results[COUNTED_NEGATIVE]++;
        else if (finding->kind != FINDING_ENDPOINTS)
                results[COUNTED_ANSWER]++;
}

/* A change is published once, and only the first report of it says when it was. */
static void registration_note_change(struct registration *item, const struct finding *finding, int change)
{
        if (finding->changed_usec <= item->changed_usec)
                return;
        item->changed_usec = finding->changed_usec;
        if (change == SERVICE_CONTENT)
                item->publication.changed_usec = finding->changed_usec;
}

void registration_report(struct registration *item, const struct finding *finding)
{
        int change = service_apply(item->service, finding, usec_now());

        KHS_PROBE3(finding, item->service->key, finding->source, finding->kind);
        registration_count(finding);
        registration_note_change(item, finding, change);
        if (finding->kind == FINDING_ANSWER || finding->kind == FINDING_NEGATIVE)
                item->heard[finding->family == AF_INET6] = true;
        else if (finding->kind == FINDING_WHOLE)
                item->heard[0] = item->heard[1] = true;
        registration_changed(item, change);
        registration_count_awaited(item);
}

/* ---- aliases ---- */

static bool has_alias(char *const *aliases, size_t n_aliases, const char *alias)
{
        for (size_t i = 0; i < n_aliases; i++) {
                if (strcmp(aliases[i], alias) == 0)
                        return true;
        }
        return false;
}

/* @n: for so many the table has no room. */
static void registration_refuse_aliases(struct registration *item, size_t n)
{
        if (n != item->n_aliases_refused)
                publisher_count_refused_aliases(item->registrar->publisher, (int)n - (int)item->n_aliases_refused);
        item->n_aliases_refused = n;
}

void registration_drop_aliases(struct registration *item)
{
        size_t n = 0;

        for (size_t i = 0; i < item->n_aliases; i++) {
                char *alias = item->aliases[i];

                if (item->section && has_alias(item->section->aliases, item->section->n_aliases, alias)) {
                        item->aliases[n++] = alias;
                        continue;
                }
                publisher_remove_alias(item->registrar->publisher, alias);
                free(alias);
        }
        item->n_aliases = n;
        item->told_found = false;
        if (!item->section)
                registration_refuse_aliases(item, 0);
}

/* Return: 0; -EEXIST: a service that a source has found has this name; -ENOMEM; or what the table says. */
static int registration_add_alias(struct registration *item, const char *alias)
{
        struct registrar *r = item->registrar;
        char *copy = strdup(alias);
        int error = copy ? 0 : -ENOMEM;

        if (error == 0)
                error = r->has(r->userdata, alias) ? -EEXIST
                                                   : publisher_put_alias(r->publisher, alias, item->service->key);
        if (error < 0)
                free(copy);
        else
                item->aliases[item->n_aliases++] = copy;
        return error;
}

/* Those that are there stay untouched; one that can't be put is tried again later, and is logged once. */
static void registration_add_aliases(struct registration *item, bool log)
{
        const struct config_service *section = item->section;
        char **aliases = realloc(item->aliases, (section->n_aliases + 1) * sizeof(*aliases));
        size_t n_refused = 0;

        item->lacks_aliases = !aliases;
        if (!aliases)
                return;
        item->aliases = aliases;
        for (size_t i = 0; i < section->n_aliases; i++) {
                int error = 0;

                if (!has_alias(item->aliases, item->n_aliases, section->aliases[i]))
                        error = registration_add_alias(item, section->aliases[i]);
                if (error < 0 && log)
                        log_service(LOG_ERR, item->service->key, "the alias %s can't be put, and is tried again: %s",
                                    section->aliases[i],
                                    error == -EEXIST ? "a service was found that has this name" : strerror(-error));
                log = log && error == 0;
                item->lacks_aliases = item->lacks_aliases || error < 0;
                n_refused += error < 0 && error != -EEXIST && error != -ENOMEM;
        }
        registration_refuse_aliases(item, n_refused);
}

void registration_retry_aliases(struct registration *item)
{
        if (item->lacks_aliases)
                registration_add_aliases(item, false);
}

/* ---- the section ---- */

static bool section_needs_hosts(const struct config_service *section)
{
        bool needed = section->hosts == CONFIG_HOSTS_YES;

        /* SRV has the numbers of names, and ordinals are in host names. */
        for (size_t i = 0; i < section->n_ports && section->hosts == CONFIG_HOSTS_AUTO; i++)
                needed = needed || section->ports[i].kind == KHS_PORT_NAME || section->ports[i].kind == KHS_PORT_BASE;
        return needed;
}

struct source_service section_for_source(const struct config_service *section, const char *key)
{
        return (struct source_service){
                .key = key,
                .namespace = section->namespace,
                .source = section->source,
                .family = section->family,
                .include = section->include,
                .order = section->order,
                .hosts = section_needs_hosts(section),
                .refresh_min_usec = section->refresh_min,
                .refresh_max_usec = section->refresh_max,
                .ports = section->ports,
                .n_ports = section->n_ports,
                .endpoints = section->endpoints,
                .n_endpoints = section->n_endpoints,
                .selector = section->selector,
                .go_micro = section->go_micro,
        };
}

struct source_service registration_for_source(const struct registration *item)
{
        struct source_service ret = section_for_source(item->section, item->service->key);

        ret.has_data = item->service->v4.n > 0 || item->service->v6.n > 0;
        ret.discovered = item->discovered && !item->section->name;
        ret.not_headless = item->service->not_headless;
        return ret;
}

static int registration_configure(struct registration *item)
{
        const struct config_service *section = item->section;
        const struct source_service service = registration_for_source(item);
        const struct source *source = item->registrar->sources[section->source];
        uint32_t policy =
                khs_policy(section->answers, (enum khs_order)section->order, (enum khs_family)section->family);
        bool near = khs_policy_is_near(policy) && section->source == KHS_SOURCE_KUBERNETES;
        bool knows_hosts = (section->hosts == CONFIG_HOSTS_AUTO || near) && source && source->ops->knows_hosts &&
                           source->ops->knows_hosts(source, &service);
        const struct service_options options = {
                .policy = policy,
                .family = (enum khs_family)section->family,
                .max_stale = section->max_stale,
                .filter = section->source == KHS_SOURCE_STATIC ? NULL : &item->registrar->filter,
                .names = &item->registrar->names,
                .ports = section->ports,
                .n_ports = section->n_ports,
                .hosts = service.hosts || knows_hosts,
                .near = near,
        };

        return service_configure(item->service, &options);
}

/* ---- its life ---- */

struct registration *registration_free(struct registration *item)
{
        if (item) {
                service_free(item->service);
                for (size_t i = 0; i < item->n_aliases; i++)
                        free(item->aliases[i]);
                free(item->aliases);
                free(item);
        }
        return NULL;
}

int registration_new(struct registration **ret, struct registrar *r, const struct config_service *section,
                     const char *key, struct predecessor *predecessor)
{
        struct registration *item = calloc(1, sizeof(*item));
        uint64_t now = usec_now();
        int error;

        if (!item)
                return -ENOMEM;
        item->registrar = r;
        item->section = section;
        error = service_new(&item->service, key, r->version + 1, now);
        if (error == 0)
                error = registration_configure(item);
        if (error >= 0) {
                item->publication.service = item->service;
                error = predecessor_seed(predecessor, item->service, now);
        }
        if (error < 0) {
                registration_free(item);
                return error;
        }
        item->logged = (uint8_t)service_state(item->service);
        publisher_update(r->publisher, &item->publication);
        registration_count_awaited(item);
        *ret = item;
        return 0;
}

int registration_follow(struct registration *item)
{
        bool had_hosts = item->service->hosts;
        int change = registration_configure(item);

        if (change < 0)
                return change;
        /* Its source may have told what was not kept then, and sees nothing new. */
        if (item->service->hosts && !had_hosts)
                item->registrar->report_again = true;
        registration_count_awaited(item);
        if (change != SERVICE_UNCHANGED)
                publisher_update(item->registrar->publisher, &item->publication);
        registration_add_aliases(item, true);
        return 0;
}

void registration_remove(struct registration *item)
{
        struct registrar *r = item->registrar;

        if (item->service->version > r->version)
                r->version = item->service->version;
        r->n_awaited -= item->awaited;
        publisher_remove(r->publisher, &item->publication);
        registration_free(item);
}

bool registration_has_alias(const struct registration *item, const char *alias)
{
        return has_alias(item->aliases, item->n_aliases, alias);
}
