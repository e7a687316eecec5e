#pragma once

/*
 * Which table a reader believes, and so which one a daemon may write.
 */

#include <stdbool.h>
#include <stdint.h>

/* What we need of a struct statx, which is too large to keep on a small stack. */
struct khs_status {
        uint64_t device, inode, size;
        uint32_t owner;
        uint16_t mode;
};

/* Return: 0, or a negative errno. Changes errno. */
int khs_status_of(int fd, struct khs_status *ret);

enum khs_trust {
        KHS_TRUST_ALL,
        KHS_TRUST_READ_ONLY, /* only where it is mounted read-only, and not in programs with raised privileges */
        KHS_TRUST_NONE,      /* it lies where maps go stale */
};

/**
 * khs_trust_judge() - who believes a table
 * @dir, @file:    of the directory in which it was found, and of the file itself
 * @fd:            the file
 * @ret_read_only: whether it is known to be mounted read-only here
 *
 * Changes errno.
 */
enum khs_trust khs_trust_judge(const struct khs_status *dir, const struct khs_status *file, int fd,
                               bool *ret_read_only);

/**
 * khs_trust_check() - whether this process believes it
 *
 * Return: 0; -EREMOTE: a file system whose maps go stale; -EPERM: somebody else may have written it. Changes errno.
 */
int khs_trust_check(const struct khs_status *dir, const struct khs_status *file, int fd);
