#pragma once

/*
 * The table as of one moment, shared by all that is answered then.
 */

#include "view/catalog.h"

#define SNAPSHOT_N_STATES 6U /* the last one: those that are not known here */

struct snapshot {
        unsigned int n_refs;
        uint64_t taken_usec, cost_usec;
        uint64_t real_usec; /* taken_usec by CLOCK_REALTIME */
        int error;          /* why there is no table; then the rest is empty */
        struct view_table table;
        struct view_header header;
        struct view_catalog catalog;
        size_t states[SNAPSHOT_N_STATES]; /* services, by enum khs_service_state */
        const char *pending;              /* the first service that waits for its first answer; NULL: none */
};

/* @directory: of the table. Return: 0 or -ENOMEM; a table that can't be opened is none. */
int snapshot_take(struct snapshot **ret, const char *directory);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
/* Takes NULL. Returns NULL. */
struct snapshot *snapshot_unref(struct snapshot *snapshot);

#define SNAPSHOT_WHY_MAX 512U

/* Whether lookups are answered. */
bool snapshot_is_well(const struct snapshot *snapshot);
/*
 * And whether no service waits for its first answer or for room in the table: as `k8shsvcctl status --ready`. @why gets
 * what is missing where it is well and not ready.
 */
bool snapshot_is_ready(const struct snapshot *snapshot, char *why, size_t n_why);
