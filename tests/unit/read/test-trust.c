/*
 * Which table is believed: every owner, mode, mount, user namespace and privilege, on real files. Kinds of file system
 * and calls that are refused are played (--wrap).
 */

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "read/open.h"
#include "table-fixture.h"

#define OWNER    1000
#define STRANGER 2000

/* ---- what the code under test asks for ---- */

static struct {
        bool secure;
        uint32_t file_system; /* 0: the real one */
        int statfs_error;
        long refused; /* number of a system call */
        int refused_error;
} play;

unsigned long __wrap_getauxval(unsigned long type);
unsigned long __real_getauxval(unsigned long type);
int __wrap_fstatfs64(int fd, struct statfs *ret);
int __real_fstatfs64(int fd, struct statfs *ret);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

unsigned long __wrap_getauxval(unsigned long type)
{
        return type == AT_SECURE ? play.secure : __real_getauxval(type);
}

int __wrap_fstatfs64(int fd, struct statfs *ret)
{
        int r = __real_fstatfs64(fd, ret);

        if (play.file_system)
                ret->f_type = (__fsword_t)play.file_system;
        if (!play.statfs_error)
                return r;
        errno = play.statfs_error;
        return -1;
}

long __wrap_syscall(long number, ...)
{
        long a[6];
        va_list args;

        va_start(args, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(args, long);
        va_end(args);
        if (play.refused_error && number == play.refused) {
                errno = play.refused_error;
                return -1;
        }
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- */

static struct fixture f;

static void init(void)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
                cr_skip_test("needs root and a mount namespace");
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
}

static void set(uid_t dir_owner, mode_t dir_mode, uid_t owner, mode_t mode)
{
        cr_assert_eq(fchown(f.dir_fd, dir_owner, dir_owner), 0);
        cr_assert_eq(fchmod(f.dir_fd, dir_mode), 0);
        cr_assert_eq(fchownat(f.dir_fd, KHS_TABLE_NAME, owner, owner, 0), 0);
        cr_assert_eq(fchmodat(f.dir_fd, KHS_TABLE_NAME, mode, 0), 0);
}

static int open_as(enum khs_open_mode mode)
{
        struct khs_table_file file;
        int r = khs_table_open(f.dir, mode, NULL, &file);

        if (r == 0)
                khs_table_close(&file);
        return r;
}

/* Only a process of one thread can make a user namespace, so that an emulator can't, and none in a chroot. */
static bool can_make_user_namespaces(void)
{
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
                _exit(unshare(CLONE_NEWUSER) < 0 && (errno == EINVAL || errno == EPERM));
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return status == 0;
}

/* What a process in a user namespace of its own gets, to which every owner is a stranger. */
static int open_in_user_namespace(void)
{
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(unshare(CLONE_NEWUSER) < 0 ? 255 : -open_as(KHS_OPEN_PREAD));
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 255, "no user namespaces: %x", (unsigned int)status);
        return -WEXITSTATUS(status);
}

static void bind_read_only(void)
{
        cr_assert_eq(mount(f.dir, f.dir, NULL, MS_BIND, NULL), 0);
        cr_assert_eq(mount(NULL, f.dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
}

struct place {
        uid_t dir_owner;
        mode_t dir_mode;
        uid_t owner;
        mode_t mode;
};

static void check(const struct place *p, bool read_only, bool namespace, bool secure)
{
        bool closed = !(p->dir_mode & 022) && !(p->mode & 022);
        bool known = namespace || p->owner == 0 || p->owner == p->dir_owner;
        int expected = (closed && known) || (read_only && !secure) ? 0 : -EPERM, r;

        play.secure = secure;
        r = namespace ? open_in_user_namespace() : open_as(KHS_OPEN_PREAD);
        cr_expect_eq(r, expected, "%o %u / %o %u%s%s%s: %d", p->dir_mode, p->dir_owner, p->mode, p->owner,
                     read_only ? ", read-only" : "", namespace ? ", user namespace" : "", secure ? ", setuid" : "", r);
}

Test(trust, asks_who_can_have_written_it)
{
        static const uid_t dir_owners[] = { 0, OWNER }, owners[] = { 0, OWNER, STRANGER };
        static const mode_t dir_modes[] = { 0755, 0711, 0775, 0757, 0777, 01777, 02777 },
                            modes[] = { 0644, 0664, 0646 };
        bool namespaces = can_make_user_namespaces();
        unsigned int n = 0;

        init();
        for (unsigned int i = 0; i < 2 * 3 * 7 * 3; i++) {
                const struct place p = { dir_owners[i % 2], dir_modes[i / 6 % 7], owners[i / 2 % 3], modes[i / 42] };

                set(p.dir_owner, p.dir_mode, p.owner, p.mode);
                for (unsigned int how = 0; how < 8; how++, n++) {
                        if (how & 1)
                                bind_read_only();
                        if (namespaces || !(how & 2))
                                check(&p, how & 1, how & 2, how & 4);
                        if (how & 1)
                                cr_assert_eq(umount(f.dir), 0);
                }
        }
        cr_expect_eq(n, 1008);
        play.secure = false;
        fixture_deinit(&f);
        if (!namespaces)
                cr_skip_test("all but what programs in a user namespace believe: none can be made here");
}

/* A daemon reads back what it wrote. */
Test(trust, is_given_to_ones_own_table)
{
        init();
        set(OWNER, 0777, 0, 0644);
        cr_expect_eq(open_as(KHS_OPEN_MAP), -EPERM);
        cr_expect_eq(open_as(KHS_OPEN_OWN), 0);
        set(0, 0777, STRANGER, 0644);
        cr_expect_eq(open_as(KHS_OPEN_OWN), -EPERM);
        fixture_deinit(&f);
}

Test(trust, is_told_to_the_daemon)
{
        init();
        cr_expect_eq(khs_table_trust(f.dir_fd), KHS_TRUST_ALL);
        set(0, 0777, OWNER, 0644);
        cr_expect_eq(khs_table_trust(f.dir_fd), KHS_TRUST_READ_ONLY);
        play.file_system = 0x65735546;
        cr_expect_eq(khs_table_trust(f.dir_fd), KHS_TRUST_NONE);
        play.file_system = 0;
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);
        cr_expect_eq(khs_table_trust(f.dir_fd), -ENOENT);
        fixture_deinit(&f);
}

/* ---- where it lies ---- */

Test(trust, asks_where_it_lies)
{
        static const struct {
                const char *name;
                uint32_t magic;
                int expected;
        } cases[] = {
                { "tmpfs", 0x01021994, 0 },       { "ramfs", 0x858458f6, 0 },       { "ext4", 0xef53, 0 },
                { "xfs", 0x58465342, 0 },         { "btrfs", 0x9123683e, 0 },       { "f2fs", 0xf2f52010, 0 },
                { "zfs", 0x2fc12fc1, 0 },         { "overlayfs", 0x794c7630, 0 },   { "fuse", 0x65735546, -EREMOTE },
                { "9p", 0x01021997, -EREMOTE },   { "nfs", 0x6969, -EREMOTE },      { "cifs", 0xff534d42, -EREMOTE },
                { "smb2", 0xfe534d42, -EREMOTE }, { "ceph", 0x00c36400, -EREMOTE }, { "unknown", 0x12345678, -EREMOTE },
        };

        init();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                play.file_system = cases[i].magic;
                cr_expect_eq(open_as(KHS_OPEN_MAP), cases[i].expected, "%s", cases[i].name);
                cr_expect_eq(open_as(KHS_OPEN_OWN), cases[i].expected, "%s, one's own", cases[i].name);
                bind_read_only();
                cr_expect_eq(open_as(KHS_OPEN_MAP), cases[i].expected, "%s, read-only", cases[i].name);
                cr_assert_eq(umount(f.dir), 0);
        }
        play.file_system = 0;
        fixture_deinit(&f);
}

/* Neither (a) nor a read-only mount can be known then. */
Test(trust, is_strict_where_it_may_not_ask)
{
        static const int errors[] = { 0, EPERM, ENOSYS, EACCES };

        init();
        bind_read_only();
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                play.statfs_error = errors[i];
                set(0, 0755, 0, 0644);
                cr_expect_eq(open_as(KHS_OPEN_MAP), 0, "%s", strerror(errors[i]));
                set(0, 0777, 0, 0644);
                cr_expect_eq(open_as(KHS_OPEN_MAP), errors[i] ? -EPERM : 0, "%s", strerror(errors[i]));
        }
        cr_assert_eq(umount(f.dir), 0);
        fixture_deinit(&f);
}

/* ---- what is known of a file ---- */

Test(trust, needs_no_statx)
{
        static const int errors[] = { EPERM, ENOSYS };
        struct khs_status status[3], dir[3];
        int fd;

        init();
        set(OWNER, 0750, STRANGER, 0604);
        fd = openat(f.dir_fd, KHS_TABLE_NAME, O_RDONLY | O_CLOEXEC);
        for (int i = 0; i < 3; i++) {
                play.refused = SYS_statx;
                play.refused_error = i < 2 ? errors[i] : 0;
                cr_expect_eq(khs_status_of(fd, &status[i]), 0);
                cr_expect_eq(khs_status_of(f.dir_fd, &dir[i]), 0);
                cr_expect_eq(open_as(KHS_OPEN_OWN), -EPERM);
        }
        for (int i = 0; i < 2; i++) {
                cr_expect_eq(status[i].size, status[2].size);
                cr_expect_eq(status[i].inode, status[2].inode);
                cr_expect_eq(status[i].device, status[2].device);
                cr_expect_eq(status[i].owner, STRANGER);
                cr_expect_eq(status[i].mode, S_IFREG | 0604);
                cr_expect_eq(status[i].device, dir[i].device);
                cr_expect_eq(dir[i].owner, OWNER);
                cr_expect_eq(dir[i].mode, S_IFDIR | 0750);
        }
        (void)close(fd);
        fixture_deinit(&f);
}
