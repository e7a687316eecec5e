#pragma once

/*
 * Doing in a child process what may end it: loading a damaged module, or calling into one.
 */

#include <stddef.h>
#include <stdio.h>

/* Works in the child; what it writes to @to is the result. */
typedef void (*child_fn)(FILE *to, void *user);

/**
 * child_run() - run a function in a child
 * @ret: what it has written, NUL-terminated, cut where it is longer
 *
 * Return: 0; the number of the signal that has killed the child; -ETIMEDOUT: it took more than 30 s; another negative
 * errno.
 */
int child_run(child_fn fn, void *user, char *ret, size_t size);
