#pragma once

/*
 * The table file as a process sees it: opening it safely, keeping it mapped between lookups,
 * moving on to a newer file, and knowing whether anybody still looks after it.
 *
 * Maps live in a few static descriptors. A lookup pins the current one by a private counter,
 * looks again whether it is still current, and works on it until it drops the pin; a map is
 * unmapped only when it is not current and nobody has it pinned. No lock is ever waited for, no
 * descriptor is kept, nothing is allocated. Threads, fork (read/process.h) and signal handlers that
 * look up are all fine; a lookup that never returns (longjmp) leaks one map. But for such there are
 * never more than three maps.
 *
 * Processes of another privilege than their caller's (AT_SECURE), and processes that can't map or have
 * three maps, read the file by pread(2) at each lookup.
 */

#include <stdbool.h>
#include <stdint.h>

#include "read/open.h"

enum khs_alive {
        KHS_ALIVE,
        KHS_SILENT, /* for more than KHS_SILENT_DS: look for a newer file, go on answering */
        KHS_DEAD,   /* for more than the table's orphan_max */
};

/**
 * khs_table_alive() - whether a daemon looks after the table
 * @ret_now_ds: now, in the writer's CLOCK_BOOTTIME, to compare with the times in records
 *
 * Either clock may show that the daemon lives: time namespaces shift one (the boot clock),
 * administrators the other.
 */
enum khs_alive khs_table_alive(const struct khs_view *view, uint32_t *ret_now_ds);

/* One lookup's hold on a table. */
struct khs_pin {
        const struct khs_view *view;
        uint32_t *count; /* of the pins of its map, on this thread's line; NULL: the lookup reads by itself */
        uint32_t now_ds; /* in the writer's CLOCK_BOOTTIME */
        int saved_errno;
        struct khs_table_file own; /* what a lookup that reads by itself has open */
};

/* What khs_map_leave() does for a lookup that reads the file by itself. */
void khs_map_leave_own(struct khs_pin *pin);

/**
 * khs_map_enter() - pin the living table of this process
 *
 * Enters the kernel only when there is no table yet, its daemon is silent or a newer file
 * replaced it, and then at most once a second (in each call where the table can't be mapped).
 *
 * Return: 0; -ENOTCONN no usable table or no living daemon. Preserves errno.
 */
int khs_map_enter(struct khs_pin *pin);

/* Lets go. Only now errno is again what it was before khs_map_enter(), if the lookup read by itself. */
static inline void khs_map_leave(struct khs_pin *pin)
{
        if (__builtin_expect(pin->count != NULL, 1))
                __atomic_fetch_sub(pin->count, 1, __ATOMIC_SEQ_CST);
        else
                khs_map_leave_own(pin);
}
