/* The run directory and its lock, held by descriptor: what happens when their names go to others. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>

#include "base/util.h"
#include "publish/directory.h"
#include "table-fixture.h"

static struct fixture f;
static struct directory *d;

static void init(void)
{
        fixture_init(&f, NULL);
        cr_assert_eq(directory_new(&d, f.dir), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(directory_check(d), 0);
}

static void deinit(void)
{
        directory_free(d);
        fixture_deinit(&f);
}

static void in_dir(char ret[static 128], const char *name)
{
        (void)snprintf(ret, 128, "%s/%s", f.dir, name);
}

/* As `rm lock; k8shsvcd`. */
static int lock_as_another(void)
{
        bool created;

        cr_assert_eq(unlinkat(f.dir_fd, KHS_LOCK_NAME, 0), 0);
        return khs_lock_take(f.dir_fd, &created);
}

Test(directory, is_for_one_daemon)
{
        struct directory *other = NULL;

        init();
        cr_expect_eq(directory_new(&other, f.dir), -EAGAIN);
        cr_expect_null(other);
        deinit();
}

Test(directory, is_lost_when_another_daemon_has_the_lock)
{
        int fd;

        init();
        fd = lock_as_another();
        cr_assert_geq(fd, 0);
        cr_expect_eq(directory_check(d), -EAGAIN);
        (void)close(fd);
        deinit();
}

Test(directory, takes_a_removed_lock_again)
{
        struct directory *other;

        init();
        cr_assert_eq(unlinkat(f.dir_fd, KHS_LOCK_NAME, 0), 0);
        cr_expect_eq(directory_check(d), 0);
        cr_expect_eq(directory_check(d), 0);
        cr_expect_eq(directory_new(&other, f.dir), -EAGAIN, "it is locked");
        deinit();
}

/* ---- a daemon that holds a lock without a name ---- */

static atomic_bool stop;

static void *beat(void *userdata)
{
        uint64_t end = usec_now() + *(const uint64_t *)userdata;

        while (!stop && usec_now() < end) {
                khs_writer_beat(f.writer);
                (void)usleep(1000000);
        }
        return NULL;
}

/* Return: seconds that a second daemon waits while the first one beats for `usec` more. */
static double wait_for(uint64_t usec, int expected)
{
        struct directory *other = NULL;
        uint64_t start = usec_now();
        pthread_t thread;

        stop = false;
        cr_assert_eq(unlinkat(f.dir_fd, KHS_LOCK_NAME, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, beat, &usec), 0);
        cr_expect_eq(directory_new(&other, f.dir), expected);
        start = usec_now() - start;
        stop = true;
        (void)pthread_join(thread, NULL);
        directory_free(other);
        return (double)start / 1e6;
}

Test(directory, is_not_taken_over_before_the_other_daemon_has_ended)
{
        double seconds;

        init();
        seconds = wait_for(1500000, 0);
        cr_expect(seconds > 2.4 && seconds < 4.5, "%.1f s", seconds);
        seconds = wait_for(60000000, -EAGAIN);
        cr_expect(seconds > 4 && seconds < 7, "%.1f s", seconds);
        deinit();
}

Test(directory, without_a_table_needs_no_wait)
{
        struct directory *other;
        uint64_t start;

        init();
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_LOCK_NAME, 0), 0);
        start = usec_now();
        cr_expect_eq(directory_new(&other, f.dir), 0);
        cr_expect_lt(usec_now() - start, USEC_PER_SEC);
        directory_free(other);
        deinit();
}

/* ---- the path ---- */

Test(directory, is_lost_when_it_is_removed_or_renamed)
{
        char elsewhere[64 + 8], path[128];

        init();
        (void)snprintf(elsewhere, sizeof(elsewhere), "%s.moved", f.dir);
        cr_assert_eq(rename(f.dir, elsewhere), 0);
        cr_expect_eq(directory_check(d), -ENOTDIR);
        cr_assert_eq(mkdir(f.dir, 0755), 0);
        cr_expect_eq(directory_check(d), -ENOTDIR, "another one has the path");
        cr_assert_eq(rmdir(f.dir), 0);
        cr_assert_eq(rename(elsewhere, f.dir), 0);
        cr_expect_eq(directory_check(d), 0);

        in_dir(path, KHS_TABLE_NAME);
        cr_assert_eq(unlink(path), 0);
        in_dir(path, KHS_LOCK_NAME);
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(rmdir(f.dir), 0);
        cr_expect_eq(directory_check(d), -ENOTDIR);
        cr_assert_eq(mkdir(f.dir, 0755), 0);
        deinit();
}

Test(directory, is_lost_when_something_is_mounted_over_it)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
                cr_skip_test("needs root and a mount namespace");
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        init();
        cr_assert_eq(mount(f.dir, f.dir, NULL, MS_BIND, NULL), 0);
        cr_expect_eq(directory_check(d), 0, "the same directory");
        cr_assert_eq(mount("tmpfs", f.dir, "tmpfs", 0, "mode=755"), 0);
        cr_expect_eq(directory_check(d), -ENOTDIR);
        cr_assert_eq(umount(f.dir), 0);
        cr_expect_eq(directory_check(d), 0);
        cr_assert_eq(umount(f.dir), 0);
        deinit();
}
