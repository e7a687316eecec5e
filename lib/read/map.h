#pragma once

/*
 * The table as a process sees it: kept mapped between lookups, replaced by a newer file, and known to be alive.
 *
 * Maps live in a few static descriptors. A lookup pins the current map with a private counter, checks that it is
 * still current, and uses it until it drops the pin. A map is unmapped only when it is neither current nor pinned.
 * Nobody waits for a lock, keeps a descriptor or allocates. Threads, fork (read/process.h) and lookups in signal
 * handlers are all fine. A lookup that never returns (longjmp) leaks one map; otherwise there are at most three.
 *
 * A process with another privilege than its caller's (AT_SECURE), one that can't map the file, and one that
 * has three maps read the file by pread(2) in each lookup.
 */

#include <stdbool.h>
#include <stdint.h>

#include "read/open.h"

enum khs_alive {
        KHS_ALIVE,
        KHS_SILENT, /* for more than KHS_SILENT_DS: look for a newer file, but keep answering */
        KHS_DEAD,   /* silent for more than the table's orphan_max */
};

/**
 * khs_table_alive() - whether a daemon maintains the table
 * @ret_now_ds: now, in the writer's CLOCK_BOOTTIME, to compare with the times in records
 *
 * Either clock may show that the daemon is alive: time namespaces shift the boot clock, administrators the
 * other.
 */
enum khs_alive khs_table_alive(const struct khs_view *view, uint32_t *ret_now_ds);

/*
 * A table that outlived its boot (on a disk, or the clock has no chip and starts where it stopped) looks alive as soon
 * as either clock comes by its last beat. So where they contradict each other as it is opened, the boot id decides. If
 * that is hidden, nothing is known of its age.
 */
bool khs_table_of_another_boot(const struct khs_view *view);

/* One lookup's hold on a table. */
struct khs_pin {
        const struct khs_view *view;
        uint32_t *count; /* pins of its map, on this thread's line; NULL: the lookup reads the file by itself */
        uint32_t now_ds; /* in the writer's CLOCK_BOOTTIME */
        int saved_errno;
        struct khs_table_file own; /* open in a lookup that reads by itself */
};

/* khs_map_leave() of a lookup that reads the file by itself. */
void khs_map_leave_own(struct khs_pin *pin);

/**
 * khs_map_enter() - pin the living table of this process
 *
 * Enters the kernel only when there is no table yet, its daemon is silent or a newer file replaced it, and
 * then at most once a second; in each call if the table can't be mapped.
 *
 * Return: 0; -ENOTCONN: no usable table, or no living daemon. Preserves errno.
 */
int khs_map_enter(struct khs_pin *pin);

/* Drops the pin. Restores errno if the lookup read the file by itself, which may have changed it. */
static inline void khs_map_leave(struct khs_pin *pin)
{
        if (__builtin_expect(pin->count != NULL, 1))
                __atomic_fetch_sub(pin->count, 1, __ATOMIC_SEQ_CST);
        else
                khs_map_leave_own(pin);
}
