#pragma once

/*
 * The lock of a directory: who holds it is the only writer of its table.
 */

#include <stdbool.h>

#define KHS_LOCK_NAME "lock"

/**
 * khs_lock_take() - become the writer of a directory
 * @dir_fd:      the directory
 * @ret_created: whether there was no lock file before; not NULL
 *
 * Return: a descriptor that holds the lock until it is closed; -EAGAIN: another daemon holds it; or
 * another negative errno.
 */
int khs_lock_take(int dir_fd, bool *ret_created);

/**
 * khs_lock_check() - is the file that is locked still the one that has the name?
 * @fd: from khs_lock_take()
 *
 * Return: 0; -ENOENT: no file has the name; -EAGAIN: another file has it, so another daemon may hold that.
 */
int khs_lock_check(int dir_fd, int fd);
