#pragma once

/*
 * One load: which files there are, in the order of merging, and the versions known of each.
 */

#include "config/config.h"
#include "config/file/file.h"

/* A file and its versions. */
struct config_slot {
        char *path;
        struct config_file *good;  /* last good version; during a load borrowed from the one before */
        struct config_file *fresh; /* as just read; NULL: could not be */
        struct config_file *used;  /* one of the two; NULL: left out */
        bool known;                /* the load before had it, good or not */
        bool settled;              /* unchanged since it was taken, or not a file: never exchanged */
};

struct config_slots {
        struct config_slot *slots;
        size_t n_slots, n_allocated;
};

struct config_load {
        const struct config_origin *origin;
        const struct config_slots *taken; /* of the load before, sorted by path: path and good only */
        bool reload;                      /* not the first */
        struct config_pulse pulse;
        struct config_slots slots;       /* K8SHSVC_SERVICES and --service are the last two */
        struct config_findings findings; /* those that belong to no file that was read */
};

#define CONFIG_TARGET_SLOTS 2U

/**
 * config_load_read() - read everything that @load->origin names
 *
 * Return: 0; -ENOMEM; at the start another negative errno when the file of --config can't be read
 * (a finding).
 */
int config_load_read(struct config_load *load);
void config_load_deinit(struct config_load *load);

/* Whether a file of this name in a directory is configuration: "*.conf", not hidden. */
bool config_load_wants(const char *name);

int config_slot_compare(const void *a, const void *b);
