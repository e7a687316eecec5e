#pragma once

/*
 * Merging: files in their order, lowest first, into one struct config.
 */

#include "config/file/file.h"
#include "config/keys/key.h"

#define CONFIG_SERVICES_MAX 100000U /* of each kind: [service], [pods], [namespace] */

/* The entry that last set a key. */
struct config_mark {
        struct config_file *file; /* NULL: no file has */
        size_t entry;
        bool restored; /* by an empty value */
};

/* A [service], [pods] or [namespace] while it is put together. */
struct config_draft {
        const char *key; /* first: the trees compare it; of @service */
        struct config_service service;
        uint8_t section;         /* enum config_section */
        struct config_mark head; /* where it was registered */
        struct config_mark marks[CONFIG_N_SERVICE_KEYS];
};

struct config_merge {
        struct config *config;
        struct config_mark marks[CONFIG_N_DAEMON_KEYS];
        struct config_draft **drafts; /* in the order of registration */
        size_t n_drafts, n_allocated;
        size_t n_of[CONFIG_SECTION_NAMESPACE + 1]; /* drafts by section */
        void *trees[CONFIG_SECTION_NAMESPACE + 1]; /* by section: tsearch(3) over the drafts' keys */
};

/**
 * config_merge() - merge @files, whose ->merging tells afterwards what was left out of each
 *
 * Return: 0; -ENOMEM.
 */
int config_merge(struct config **ret, const struct config_origin *origin, struct config_file **files, size_t n_files);

/* The rest is for the modules of the merge. */

/* The draft of "S.N" in @section, or NULL. */
struct config_draft *config_merge_find(const struct config_merge *merge, enum config_section section, const char *key);

/* Adds a finding about @mark's entry to its file. @key as in struct config_place. */
#define config_mark_report(mark, key, priority, ...)                                                                   \
        do {                                                                                                           \
                struct config_place place_ = config_mark_place(mark, key);                                             \
                config_findings_add(&(mark)->file->merging, priority, &place_, __VA_ARGS__);                           \
        } while (0)
struct config_place config_mark_place(const struct config_mark *mark, const char *key);

/* What is left to do when all files are walked: inherit, judge, and fill the config's arrays. */
int config_complete(struct config_merge *merge);

/* Takes away the aliases that break the rules of names. Return: 0; -ENOMEM. */
int config_aliases_check(struct config_merge *merge);
