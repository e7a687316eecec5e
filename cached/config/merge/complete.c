/*
 * The end of a merge: from drafts to the arrays of struct config.
 *
 * Here is what no single key can know: what a service inherits from [daemon], that refresh-min is not
 * above refresh-max, where a go-micro service's pods are found, that a name is not registered in two
 * ways, and the rules of aliases.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "config/keys/value.h"
#include "config/merge/alias.h"
#include "config/merge/complete.h"

/* Lowers refresh-min to refresh-max. The mark is that of whichever key a file has set. */
static void complete_refresh(config_usec *refresh_min, config_usec refresh_max, const struct config_mark *min,
                             const struct config_mark *max)
{
        const struct config_mark *mark = min->file && *min->entry->value ? min : max;

        if (*refresh_min <= refresh_max)
                return;
        if (mark->file)
                config_mark_report(mark, "refresh-min", LOG_WARNING,
                                   "found %s, expected at most refresh-max: lowered to %s",
                                   config_duration_format(*refresh_min).text, config_duration_format(refresh_max).text);
        *refresh_min = refresh_max;
}

static void complete_draft(const struct config *config, struct config_draft *draft)
{
        struct config_service *service = &draft->service;

        if (service->source == 0)
                service->source = draft->section == CONFIG_SECTION_SERVICE ? config->source : KHS_SOURCE_KUBERNETES;
        if (service->refresh_min == 0)
                service->refresh_min = config->refresh_min;
        if (service->refresh_max == 0)
                service->refresh_max = config->refresh_max;
        if (service->max_stale == 0)
                service->max_stale = config->max_stale;
        complete_refresh(&service->refresh_min, service->refresh_max, &draft->marks[CONFIG_SERVICE_REFRESH_MIN],
                         &draft->marks[CONFIG_SERVICE_REFRESH_MAX]);
}

/* The pods of a go-micro service, by the label that its registry sets, unless a selector says otherwise. */
static int complete_selector(struct config_service *service)
{
        if (!service->go_micro || service->selector)
                return 0;
        if (asprintf(&service->selector, "micro.mu/selector-%s=service", service->go_micro) >= 0)
                return 0;
        service->selector = NULL;
        return -ENOMEM;
}

/* [pods] needs a selector, and a name that no [service] has. */
static bool pods_valid(const struct config_drafts *drafts, const struct config_draft *draft)
{
        const struct config_draft *other;

        other = config_drafts_find(drafts, CONFIG_SECTION_SERVICE, draft->key);
        if (other) {
                config_mark_report(&draft->head, NULL, LOG_ERR,
                                   "found a name that is registered as [service] (%s), expected another",
                                   other->service.origin);
                return false;
        }
        if (!draft->service.selector) {
                config_mark_report(&draft->head, "selector", LOG_ERR, "found none, expected %s, or go-micro",
                                   config_service_keys[CONFIG_SERVICE_SELECTOR].expected);
                return false;
        }
        return true;
}

static int compare_services(const void *a, const void *b)
{
        const struct config_service *x = a, *y = b;

        return strcmp(x->key, y->key);
}

/* Moves the drafts of one section into a sorted array. */
static int complete_fill(struct config_drafts *drafts, enum config_section section, struct config_service **ret,
                         size_t *ret_n)
{
        struct config_service *services;
        size_t n = 0;

        if (drafts->n_of[section] == 0)
                return 0;
        services = calloc(drafts->n_of[section], sizeof(*services));
        if (!services)
                return -ENOMEM;
        for (size_t i = 0; i < drafts->n_items; i++) {
                struct config_draft *draft = drafts->items[i];

                if (draft->section != section)
                        continue;
                if (draft->refused)
                        continue;
                services[n++] = draft->service;
                draft->service = (struct config_service){ .key = NULL };
        }
        qsort(services, n, sizeof(*services), compare_services);
        *ret = services;
        *ret_n = n;
        return 0;
}

int config_complete(struct config_drafts *drafts)
{
        struct config *config = drafts->config;
        int r;

        complete_refresh(&config->refresh_min, config->refresh_max, &drafts->marks[CONFIG_DAEMON_REFRESH_MIN],
                         &drafts->marks[CONFIG_DAEMON_REFRESH_MAX]);
        for (size_t i = 0; i < drafts->n_items; i++) {
                complete_draft(config, drafts->items[i]);
                r = complete_selector(&drafts->items[i]->service);
                if (r < 0)
                        return r;
                drafts->items[i]->refused =
                        drafts->items[i]->section == CONFIG_SECTION_PODS && !pods_valid(drafts, drafts->items[i]);
        }
        r = config_aliases_check(drafts);
        if (r >= 0)
                r = complete_fill(drafts, CONFIG_SECTION_PODS, &config->pods, &config->n_pods);
        if (r >= 0)
                r = complete_fill(drafts, CONFIG_SECTION_SERVICE, &config->services, &config->n_services);
        if (r >= 0)
                r = complete_fill(drafts, CONFIG_SECTION_NAMESPACE, &config->namespaces, &config->n_namespaces);
        return r;
}
