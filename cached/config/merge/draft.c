/*
 * The drafts of a merge, found by section and key.
 *
 * Sections of one name may stand in many files, so each head that is met asks for the draft of its
 * name. tsearch(3) keeps that logarithmic: 100,000 sections are merged in a fraction of a second.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/keys/field.h"
#include "config/merge/draft.h"

static int compare_keys(const void *a, const void *b)
{
        const char *const *x = a, *const *y = b;

        return strcmp(*x, *y);
}

static void keep(void *node)
{
        (void)node;
}

static void draft_free(struct config_draft *draft)
{
        if (!draft)
                return;
        config_service_deinit(&draft->service);
        free(draft);
}

static void draft_freep(struct config_draft **draft)
{
        draft_free(*draft);
}

int config_drafts_init(struct config_drafts *drafts)
{
        *drafts = (struct config_drafts){ .config = calloc(1, sizeof(*drafts->config)) };
        if (!drafts->config)
                return -ENOMEM;
        return config_keys_reset(config_daemon_keys, CONFIG_N_DAEMON_KEYS, drafts->config);
}

void config_drafts_deinit(struct config_drafts *drafts)
{
        for (size_t i = 0; i < sizeof(drafts->trees) / sizeof(drafts->trees[0]); i++)
                tdestroy(drafts->trees[i], keep);
        for (size_t i = 0; i < drafts->n_items; i++)
                draft_free(drafts->items[i]);
        free(drafts->items);
        config_free(drafts->config);
}

struct config_draft *config_drafts_find(const struct config_drafts *drafts, enum config_section section,
                                        const char *key)
{
        struct config_draft *const *found = tfind(&key, &drafts->trees[section], compare_keys);

        return found ? *found : NULL;
}

static int drafts_grow(struct config_drafts *drafts)
{
        size_t n = drafts->n_allocated ? drafts->n_allocated * 2 : 64;
        struct config_draft **items;

        if (drafts->n_items < drafts->n_allocated)
                return 0;
        items = reallocarray(drafts->items, n, sizeof(*items));
        if (!items)
                return -ENOMEM;
        drafts->items = items;
        drafts->n_allocated = n;
        return 0;
}

static int mark_format(const struct config_mark *mark, char **ret)
{
        uint32_t line = mark->entry->line;
        int r;

        r = line > 0 ? asprintf(ret, "%s:%u", mark->file->path, (unsigned int)line)
                     : asprintf(ret, "%s", mark->file->path);
        if (r >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

static int draft_new(struct config_draft **ret, enum config_section section, const struct config_name *name,
                     const struct config_mark *head)
{
        _cleanup_(draft_freep) struct config_draft *draft = calloc(1, sizeof(*draft));
        struct config_service *service;

        if (!draft)
                return -ENOMEM;
        draft->section = (uint8_t)section;
        draft->head = *head;
        service = &draft->service;
        if (name->service[0])
                service->name = strdup(name->service);
        service->namespace = strdup(name->namespace);
        service->key = strdup(name->key);
        draft->key = service->key;
        if (!draft->key || !service->namespace || (name->service[0] && !service->name) ||
            mark_format(head, &service->origin) < 0 ||
            config_keys_reset(config_service_keys, CONFIG_N_SERVICE_KEYS, service) < 0)
                return -ENOMEM;
        *ret = draft;
        draft = NULL;
        return 0;
}

int config_drafts_add(struct config_drafts *drafts, enum config_section section, const struct config_name *name,
                      const struct config_mark *head, struct config_draft **ret)
{
        struct config_draft *draft;

        if (drafts_grow(drafts) < 0 || draft_new(&draft, section, name, head) < 0)
                return -ENOMEM;
        drafts->items[drafts->n_items++] = draft;
        drafts->n_of[section]++;
        if (!tsearch(draft, &drafts->trees[section], compare_keys))
                return -ENOMEM;
        *ret = draft;
        return 0;
}

struct config_place config_mark_place(const struct config_mark *mark, const char *key)
{
        return (struct config_place){
                .path = mark->file->path, .line = mark->entry->line, .section = mark->entry->section, .key = key
        };
}
