/*
 * Opening the table's file, which any process of the machine may have to do.
 *
 * The raw system calls are no cancellation points, as the C library's functions are. Only a view that reads by pread(2)
 * keeps a descriptor, and for one lookup: programs close and reuse descriptors that they don't know.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "read/open.h"

static int open_raw(int dir_fd, const char *path, int flags)
{
        long fd = syscall(SYS_openat, dir_fd, path, flags | O_CLOEXEC, 0);

        return fd < 0 ? -errno : (int)fd;
}

static void open_raw_close(int fd)
{
        if (fd >= 0)
                (void)syscall(SYS_close, fd);
}

/* The table's file, and what is known of it and of its directory. */
static int open_file(int dir_fd, struct khs_status *ret_dir, struct khs_status *ret)
{
        int fd = -1, r;

        r = khs_status_of(dir_fd, ret_dir);
        if (r == 0)
                r = fd = open_raw(dir_fd, KHS_TABLE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (r >= 0)
                r = khs_status_of(fd, ret);
        if (r == 0 && !S_ISREG(ret->mode))
                r = -EBADMSG;
        if (r == 0)
                return fd;
        open_raw_close(fd);
        return r;
}

/* The same, if we may believe it. */
static int open_checked(const char *dir, enum khs_open_mode mode, struct khs_status *ret)
{
        struct khs_status dir_status;
        int dir_fd, fd, r;

        dir_fd = open_raw(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd;
        fd = open_file(dir_fd, &dir_status, ret);
        open_raw_close(dir_fd);
        if (fd < 0)
                return fd;
        r = khs_trust_check(&dir_status, ret, fd);
        if (r == -EPERM && mode == KHS_OPEN_OWN && ret->owner == geteuid())
                r = 0;
        if (r == 0)
                return fd;
        open_raw_close(fd);
        return r;
}

int khs_table_trust(int dir_fd)
{
        struct khs_status dir_status, status;
        int fd = open_file(dir_fd, &dir_status, &status), r;
        bool read_only;

        if (fd < 0)
                return fd;
        r = (int)khs_trust_judge(&dir_status, &status, fd, &read_only);
        open_raw_close(fd);
        return r;
}

static int open_mapped(int fd, uint64_t size, struct khs_view *ret)
{
        void *map;
        int r;

        if (size < KHS_HEADER_SIZE || size > (uint64_t)KHS_MAX_FILE_PAGES * KHS_TABLE_PAGE)
                return -EBADMSG;
        if (size > SIZE_MAX / 2)
                return -ENOMEM; /* a 32-bit process */
        map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return -ENOMEM;
        (void)madvise(map, (size_t)size, MADV_DONTDUMP);
        r = khs_view_init(ret, map, -1, size);
        if (r < 0)
                (void)munmap(map, (size_t)size);
        return r;
}

int khs_table_open(const char *dir, enum khs_open_mode mode, const struct khs_table_file *known,
                   struct khs_table_file *ret)
{
        int saved_errno = errno, fd, r;
        struct khs_status status;

        fd = r = open_checked(dir, mode, &status);
        if (r >= 0) {
                ret->device = status.device;
                ret->inode = status.inode;
                if (known && known->device == ret->device && known->inode == ret->inode)
                        r = -EALREADY;
                else if (mode == KHS_OPEN_PREAD)
                        r = khs_view_init(&ret->view, NULL, fd, status.size);
                else
                        r = open_mapped(fd, status.size, &ret->view);
                if (mode != KHS_OPEN_PREAD || r < 0)
                        open_raw_close(fd);
        }
        errno = saved_errno;
        return r;
}

void khs_table_close(struct khs_table_file *file)
{
        int saved_errno = errno;

        if (file->view.map)
                (void)munmap((void *)file->view.map, (size_t)file->view.n_words * 4);
        else
                open_raw_close(file->view.fd);
        errno = saved_errno;
}
