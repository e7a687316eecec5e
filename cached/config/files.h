#pragma once

/*
 * The files of one load, in the order of merging, and the versions that are known of each.
 */

#include "config/file/file.h"
#include "config/origin.h"

/* A file and its versions, each with a reference of its own. */
struct config_slot {
        char *path;
        struct config_file *good;  /* last good version; NULL: none */
        struct config_file *fresh; /* as just read; NULL: it could not be */
        struct config_file *used;  /* borrowed: one of the two; NULL: the file is left out */
        bool known;                /* the previous load had it, good or not */
        bool settled;              /* unchanged since it was taken, or not a file: never exchanged */
};

struct config_slots {
        struct config_slot *items;
        size_t n_items, n_allocated;
        struct config_findings findings; /* those that belong to no file that was read */
};

/* K8SHSVC_SERVICES and --service are the last two slots. */
#define CONFIG_TARGET_SLOTS 2U

/**
 * config_files_read() - read everything that @origin names
 * @ret:    empty; on failure what was read so far, and the findings that tell why
 * @before: the slots of the previous load, sorted by path
 * @reload: whether there was one; the first load is the start
 *
 * Return: 0; -ENOMEM; at the start another negative errno when the file of --config cannot be read.
 */
int config_files_read(struct config_slots *ret, const struct config_origin *origin, const struct config_slots *before,
                      bool reload);
void config_slots_deinit(struct config_slots *slots);
void config_slots_sort(struct config_slots *slots);

/* Whether a file of this name in a directory is configuration: "*.conf", not hidden. */
bool config_files_want(const char *name);
