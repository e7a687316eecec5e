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

#include "read/view.h"

/* An opened and validated table. */
struct khs_table_file {
        struct khs_view view;
        uint64_t device, inode;
};

enum khs_open_mode { KHS_OPEN_MAP, KHS_OPEN_PREAD };

/**
 * khs_table_open() - open a directory's table and validate it
 * @dir:    directory of the table
 * @known:  a table that is already open, or NULL
 * @ret:    to be closed by khs_table_close()
 *
 * Never blocks: what is not a regular file is refused. So is one that belongs neither to root nor
 * to the owner of the directory, or that others may write. Says nothing about its daemon.
 *
 * Return: 0; -ENOENT and other errors of open(2); -EPERM owner or mode; -EBADMSG;
 * -EPROTONOSUPPORT; -ENOMEM can't be mapped; -EALREADY it is still the file of @known.
 */
int khs_table_open(const char *dir, enum khs_open_mode mode, const struct khs_table_file *known,
                   struct khs_table_file *ret);
void khs_table_close(struct khs_table_file *file);

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
        uint32_t *count; /* of the pins of its map, on this thread's line; NULL: own */
        uint32_t now_ds; /* in the writer's CLOCK_BOOTTIME */

        /* Of a lookup that reads the file by itself. */
        int fd, saved_errno;
        uint32_t n_pages;
};

/* What khs_map_leave() does for a lookup that reads the file by itself. */
void khs_map_leave_own(struct khs_pin *pin);

/**
 * khs_map_enter() - pin the living table of this process
 * @own: room for a view that this lookup alone reads through, by pread(2), if it must; it lives as long as
 *       the pin. NULL: see khs_map_read()
 *
 * Enters the kernel only when there is no table yet, its daemon is silent or a newer file
 * replaced it, and then at most once a second (in each call where the table can't be mapped).
 *
 * Return: 0; -ENOTCONN no usable table or no living daemon; -EXDEV the lookup must read by itself, and
 * @own is NULL. Preserves errno.
 */
int khs_map_enter(struct khs_pin *pin, struct khs_view *own);

/**
 * khs_map_read() - what is to follow -EXDEV
 * @own: as there
 *
 * For those who can't spare stack for a view that is seldom needed, nor have any left for opening a file where
 * they can: khs_map_enter() has opened it, and this goes on. @own is needed no longer than the view; the pin is
 * to be given back in any case.
 *
 * Return: 0; -ENOTCONN.
 */
int khs_map_read(struct khs_pin *pin, struct khs_view *own);

/* Lets go. Only now errno is again what it was before khs_map_enter(), if the lookup read by itself. */
static inline void khs_map_leave(struct khs_pin *pin)
{
        if (__builtin_expect(pin->count != NULL, 1))
                __atomic_fetch_sub(pin->count, 1, __ATOMIC_SEQ_CST);
        else
                khs_map_leave_own(pin);
}
