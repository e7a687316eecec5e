/*
 * An open-file-description lock on a file that only its owner can open. If the lock were on the table or on
 * the directory, any reader could take it and keep the daemon out.
 *
 * The lock is on an inode, and what it protects is found by names: once somebody removes the file, the next
 * daemon locks another one and believes that it is alone. So the holder compares inode and name from time
 * to time, and a daemon that had to create the file knows that its predecessor may still be there.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write/lock.h"

#define OPEN_FLAGS (O_RDWR | O_NOFOLLOW | O_CLOEXEC)
#define N_TRIES    3 /* of opening it while others remove and create it */

static int lock_open(int dir_fd, bool *ret_created)
{
        for (unsigned int i = 0; i < N_TRIES; i++) {
                int fd = openat(dir_fd, KHS_LOCK_NAME, OPEN_FLAGS);

                *ret_created = fd < 0 && errno == ENOENT;
                if (*ret_created)
                        fd = openat(dir_fd, KHS_LOCK_NAME, OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
                if (fd >= 0)
                        return fd;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EAGAIN;
}

int khs_lock_take(int dir_fd, bool *ret_created)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd, r;

        fd = lock_open(dir_fd, ret_created);
        if (fd < 0)
                return fd;
        r = fcntl(fd, F_OFD_SETLK, &lock) == 0 ? khs_lock_check(dir_fd, fd) : errno == EACCES ? -EAGAIN : -errno;
        if (r == 0)
                return fd;
        (void)close(fd);
        return r == -ENOENT ? -EAGAIN : r;
}

int khs_lock_check(int dir_fd, int fd)
{
        struct stat held, named;

        if (fstat(fd, &held) < 0)
                return -errno;
        if (fstatat(dir_fd, KHS_LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? -ENOENT : -EAGAIN;
        return held.st_dev == named.st_dev && held.st_ino == named.st_ino ? 0 : -EAGAIN;
}
