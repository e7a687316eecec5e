#pragma once

/*
 * The table as a tool sees it: also one that programs would not believe, and one whose daemon is gone.
 */

#include <stdbool.h>
#include <stdint.h>

#include "read/map.h"

struct view_table {
        struct khs_table_file file;
        bool believed; /* by programs: nobody else can have written it */
        enum khs_alive alive;
        uint32_t now_ds; /* in the daemon's CLOCK_BOOTTIME */
        bool superseded; /* another file has its name */
};

/* What the header says besides its geometry. */
struct view_header {
        uint64_t size_bytes, used_bytes;
        uint32_t generation, changes;
        uint32_t n_services, n_addresses, n_refused; /* as the daemon counts them */
        uint32_t orphan_max_ds, beat_age_ds, writer_pid;
        uint32_t boot_ds, real_ds; /* of the last beat, by the daemon's clocks */
        bool reverse;
        char zone[256], namespace[64], node_zone[64], node_name[256];
};

/**
 * view_table_open() - open the table of a directory
 *
 * A table that programs don't believe is read by pread(2), since whoever owns it may truncate it at any time.
 *
 * Return: 0; as khs_table_open().
 */
int view_table_open(struct view_table *ret, const char *dir);
void view_table_close(struct view_table *table);

/* Looks at the clock, the heartbeat and the state again. */
void view_table_look(struct view_table *table);

void view_table_header(const struct view_table *table, struct view_header *ret);

/* Why view_table_open() failed, for people. */
const char *view_table_error(int error);
