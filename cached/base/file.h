#pragma once

/*
 * Reading a file whole: the one way in which the daemon does it.
 */

#include <stddef.h>

/**
 * file_read() - read a regular file
 * @max:   upper bound of its size in bytes
 * @ret:   the bytes with a NUL behind them; owned by the caller
 * @ret_n: their number, without that NUL
 *
 * Never waits: a FIFO, device or socket is refused.
 *
 * Return: 0; -EFBIG: larger than @max; -EISDIR; -EINVAL: not a regular file; -ENOMEM; another
 * negative errno of open(2) or read(2). The outputs are untouched on failure.
 */
int file_read(const char *path, size_t max, char **ret, size_t *ret_n);
