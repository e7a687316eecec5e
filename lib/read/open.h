#pragma once

/*
 * The table's file: opening it safely, and mapping it or keeping it open for pread(2).
 */

#include <stdint.h>

#include "read/view.h"

/* A table that is open and validated. */
struct khs_table_file {
        struct khs_view view;
        uint64_t device, inode;
};

enum khs_open_mode { KHS_OPEN_MAP, KHS_OPEN_PREAD };

/**
 * khs_table_open() - open a directory's table and validate it
 * @dir:    directory of the table
 * @known:  a table that is already open, or NULL
 * @ret:    close it with khs_table_close()
 *
 * Never blocks. Refuses whatever is not a regular file, belongs neither to root nor to the owner of the
 * directory, or is writable by others. Says nothing about its daemon.
 *
 * Return: 0; -ENOENT and other errors of open(2); -EPERM: owner or mode; -EBADMSG: damaged; -EPROTONOSUPPORT:
 * another format; -ENOMEM: it can't be mapped; -EALREADY: it is still the file of @known.
 */
int khs_table_open(const char *dir, enum khs_open_mode mode, const struct khs_table_file *known,
                   struct khs_table_file *ret);
void khs_table_close(struct khs_table_file *file);
