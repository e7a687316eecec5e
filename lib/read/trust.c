/*
 * A table decides where programs connect to, setuid ones among them, so two things have to be known of its file:
 *
 *     (a) a map of it is the memory that the daemon writes to. On tmpfs and local disks it is. FUSE, virtiofs, 9p and
 *         network file systems keep pages of their own, which go stale one by one: a withdrawn address would be served
 *         under a fresh heartbeat.
 *     (b) nobody but the daemon can have written it. Either the directory is closed to group and others, and the file
 *         is root's or the directory's owner's; or the mount is read-only here, so that whoever shares it with the
 *         daemon has arranged that. The latter is not enough for programs with raised privileges: their caller may have
 *         made the mount.
 *
 * In a user namespace all strangers show as one owner (65534). That the owners are the same then says nothing, but that
 * the directory is closed still does.
 *
 * A filter may refuse to say where the file lies. Then only the strict half of (b) counts, and (a) is taken for
 * granted.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "read/trust.h"

#define WRITABLE_BY_OTHERS 022

#ifndef ST_RDONLY
#define ST_RDONLY 1
#endif

/* ---- what is known of a file ---- */

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

_Static_assert(sizeof(struct kernel_statx) == 256, "the kernel's");

#define KERNEL_STATX_BASIC 0x7ffU /* STATX_BASIC_STATS */

#if defined(__i386__) || defined(__arm__)
#define SYS_STATUS SYS_fstatat64
/* As the kernel has it; the C library's depends on how wide its time is. */
struct trust_stat {
        uint64_t st_dev;
        uint32_t pad_dev, short_ino, st_mode, st_nlink, st_uid, st_gid;
        uint64_t st_rdev;
        uint32_t pad_rdev;
        uint64_t st_size;
        uint32_t st_blksize;
        uint64_t st_blocks;
        uint32_t times[6];
        uint64_t st_ino;
};
#elif defined(SYS_newfstatat)
#define SYS_STATUS SYS_newfstatat
#define trust_stat stat
#endif

/* As the older call has it: a file is the same whichever was allowed. */
static uint64_t trust_device(uint32_t major, uint32_t minor)
{
        return (minor & 0xff) | (uint64_t)major << 8 | (uint64_t)(minor & ~0xffU) << 12;
}

/* Not inlined, as is the next: one struct on the stack is enough. */
__attribute__((noinline)) static int trust_statx(int fd, struct khs_status *ret)
{
        struct kernel_statx stat;

        if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, KERNEL_STATX_BASIC, &stat) < 0)
                return -errno;
        *ret = (struct khs_status){
                .device = trust_device(stat.device_major, stat.device_minor),
                .inode = stat.inode,
                .size = stat.size,
                .owner = stat.owner,
                .mode = stat.mode,
        };
        return 0;
}

/* Kernels before 4.11 lack statx(), and filters of container runtimes that are as old refuse it. */
__attribute__((noinline)) static int trust_fstatat(int fd, struct khs_status *ret)
{
#ifdef SYS_STATUS
        struct trust_stat stat;

        if (syscall(SYS_STATUS, fd, "", &stat, AT_EMPTY_PATH) == 0) {
                *ret = (struct khs_status){
                        .device = stat.st_dev,
                        .inode = stat.st_ino,
                        .size = (uint64_t)stat.st_size,
                        .owner = stat.st_uid,
                        .mode = (uint16_t)stat.st_mode,
                };
                return 0;
        }
#endif
        return -errno;
}

int khs_status_of(int fd, struct khs_status *ret)
{
        *ret = (struct khs_status){ 0 }; /* not a regular file, should errno be 0 */
        return trust_statx(fd, ret) == 0 ? 0 : trust_fstatat(fd, ret);
}

/* ---- (a) ---- */

static bool trust_shares_memory(uint32_t file_system)
{
        static const uint32_t shared[] = {
                0x01021994, /* tmpfs */
                0x858458f6, /* ramfs */
                0x794c7630, /* overlayfs */
                0x0000ef53, /* ext2, ext3, ext4 */
                0x58465342, /* xfs */
                0x9123683e, /* btrfs */
                0xf2f52010, /* f2fs */
                0x2fc12fc1, /* zfs */
        };

        for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
                if (shared[i] == file_system)
                        return true;
        }
        return false;
}

/* ---- (b) ---- */

static bool trust_has_one_writer(const struct khs_status *dir, const struct khs_status *file)
{
        return !(dir->mode & WRITABLE_BY_OTHERS) && !(file->mode & WRITABLE_BY_OTHERS) &&
               (file->owner == 0 || file->owner == dir->owner);
}

/* ---- */

enum khs_trust khs_trust_judge(const struct khs_status *dir, const struct khs_status *file, int fd, bool *ret_read_only)
{
        struct statfs where;
        bool known = fstatfs(fd, &where) == 0;

        *ret_read_only = known && where.f_flags & ST_RDONLY;
        if (known && !trust_shares_memory((uint32_t)where.f_type))
                return KHS_TRUST_NONE;
        return trust_has_one_writer(dir, file) ? KHS_TRUST_ALL : KHS_TRUST_READ_ONLY;
}

int khs_trust_check(const struct khs_status *dir, const struct khs_status *file, int fd)
{
        bool read_only;

        switch (khs_trust_judge(dir, file, fd, &read_only)) {
        case KHS_TRUST_ALL:
                return 0;
        case KHS_TRUST_READ_ONLY:
                return read_only && !getauxval(AT_SECURE) ? 0 : -EPERM;
        default:
                return -EREMOTE;
        }
}
