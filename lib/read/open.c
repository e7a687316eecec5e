/*
 * Opening the table's file, which any process of the machine may have to do.
 *
 * The raw system calls are no cancellation points, as the C library's functions are, nor is statx() a symbol
 * that an older C library lacks. Only a view that reads by pread(2) keeps a descriptor, and for one lookup: programs
 * close and reuse descriptors that they don't know.
 */

#include <assert.h>
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

/*
 * The kernel's struct statx. Not every C library declares it, and beside those that do there is no room for
 * <linux/stat.h>.
 */
struct kernel_statx {
        uint32_t mask, block_size;
        uint64_t attributes;
        uint32_t n_links, owner, group;
        uint16_t mode, pad;
        uint64_t inode, size, n_blocks, attributes_mask;
        uint64_t times[8];
        uint32_t special_major, special_minor, device_major, device_minor;
        uint64_t later[14];
};

static_assert(sizeof(struct kernel_statx) == 256, "the kernel's");

#define KERNEL_STATX_BASIC 0x7ffU /* STATX_BASIC_STATS */

/* What we need of a struct statx, which is too large to keep on a small stack. */
struct status {
        uint64_t device, inode, size;
        uint32_t owner;
        uint16_t mode;
};

static int open_raw_statx(int fd, struct status *ret)
{
        struct kernel_statx stat;

        *ret = (struct status){ 0 }; /* not a regular file, should errno be 0 */
        if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, KERNEL_STATX_BASIC, &stat) < 0)
                return -errno;
        *ret = (struct status){
                .device = (uint64_t)stat.device_major << 32 | stat.device_minor,
                .inode = stat.inode,
                .size = stat.size,
                .owner = stat.owner,
                .mode = stat.mode,
        };
        return 0;
}

/* The table's file, if we may believe it. */
static int open_checked(const char *dir, struct status *ret)
{
        struct status dir_status;
        int dir_fd, fd = -1, r;

        dir_fd = open_raw(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd;
        r = open_raw_statx(dir_fd, &dir_status);
        if (r == 0)
                r = fd = open_raw(dir_fd, KHS_TABLE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        open_raw_close(dir_fd);
        if (r < 0)
                return r;

        r = open_raw_statx(fd, ret);
        if (r == 0 && !S_ISREG(ret->mode))
                r = -EBADMSG;
        if (r == 0 && ret->mode & 022)
                r = -EPERM;
        /* In a user namespace root's files may show another owner, which then is the directory's, too. */
        if (r == 0 && ret->owner != 0 && ret->owner != dir_status.owner)
                r = -EPERM;
        if (r < 0) {
                open_raw_close(fd);
                return r;
        }
        return fd;
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
        struct status status;

        fd = r = open_checked(dir, &status);
        if (r >= 0) {
                ret->device = status.device;
                ret->inode = status.inode;
                if (known && known->device == ret->device && known->inode == ret->inode)
                        r = -EALREADY;
                else if (mode == KHS_OPEN_MAP)
                        r = open_mapped(fd, status.size, &ret->view);
                else
                        r = khs_view_init(&ret->view, NULL, fd, status.size);
                if (mode == KHS_OPEN_MAP || r < 0)
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
