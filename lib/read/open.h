#pragma once

/*
 * The table's file: opening it safely, and mapping it or keeping it open for pread(2).
 */

#include <stdint.h>

#include "read/trust.h"
#include "read/view.h"

/* A table that is open and validated. */
struct khs_table_file {
        struct khs_view view;
        uint64_t device, inode;
};

enum khs_open_mode {
        KHS_OPEN_MAP,
        KHS_OPEN_PREAD,
        KHS_OPEN_OWN, /* mapped, and what this user wrote is believed wherever it lies: for a daemon */
};

/**
 * khs_table_open() - open a directory's table and validate it
 * @dir:    directory of the table
 * @known:  a table that is already open, or NULL
 * @ret:    close it with khs_table_close()
 *
 * Never blocks. Refuses whatever is not a regular file or may not be believed (read/trust.h). Says nothing about its
 * daemon.
 *
 * Return: 0; -ENOENT and other errors of open(2); -EREMOTE: a file system whose maps go stale; -EPERM: somebody else
 * may have written it; -EBADMSG: damaged; -EPROTONOSUPPORT: another format; -ENOMEM: it can't be mapped; -EALREADY: it
 * is still the file of @known.
 */
int khs_table_open(const char *dir, enum khs_open_mode mode, const struct khs_table_file *known,
                   struct khs_table_file *ret);
void khs_table_close(struct khs_table_file *file);

/* Who believes the table in a directory: enum khs_trust, or a negative errno where there is none. Changes errno. */
int khs_table_trust(int dir_fd);
