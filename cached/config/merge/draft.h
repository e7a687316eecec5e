#pragma once

/*
 * Drafts: the configuration while it is put together, with the entry that last set each key.
 *
 * The marks are what findings and the stages after the walk ask: who said this, and did anybody.
 */

#include "config/config.h"
#include "config/file/file.h"
#include "config/keys/key.h"
#include "config/merge/name.h"

/* An entry of a file. */
struct config_mark {
        struct config_file *file;         /* NULL: no file has set the key */
        const struct config_entry *entry; /* one of the file's */
};

/* A [service], [pods] or [namespace]. */
struct config_draft {
        const char *key; /* first: the trees compare it; of @service */
        struct config_service service;
        uint8_t section;         /* enum config_section */
        bool refused;            /* it can't be registered, and takes nothing from others */
        struct config_mark head; /* where it was registered */
        struct config_mark marks[CONFIG_N_SERVICE_KEYS];
};

struct config_drafts {
        struct config *config; /* [daemon] */
        struct config_mark marks[CONFIG_N_DAEMON_KEYS];
        struct config_draft **items; /* in the order of registration */
        size_t n_items, n_allocated;
        size_t n_of[CONFIG_SECTION_NAMESPACE + 1]; /* by section */
        void *trees[CONFIG_SECTION_NAMESPACE + 1]; /* by section: tsearch(3) over the keys */
};

int config_drafts_init(struct config_drafts *drafts);
void config_drafts_deinit(struct config_drafts *drafts);

/* The draft of "S.N" in @section, or NULL. */
struct config_draft *config_drafts_find(const struct config_drafts *drafts, enum config_section section,
                                        const char *key);
/* Adds a draft with the defaults of all keys; owned by @drafts. Return: 0; -ENOMEM. */
int config_drafts_add(struct config_drafts *drafts, enum config_section section, const struct config_name *name,
                      const struct config_mark *head, struct config_draft **ret);

/* Adds a finding about @mark's entry to its file. @key as in struct config_place. */
#define config_mark_report(mark, key, priority, ...)                                                                   \
        do {                                                                                                           \
                struct config_place place_ = config_mark_place(mark, key);                                             \
                config_findings_add(&(mark)->file->merging, priority, &place_, __VA_ARGS__);                           \
        } while (0)
struct config_place config_mark_place(const struct config_mark *mark, const char *key);
