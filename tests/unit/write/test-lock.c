/* One writer at a time, and what becomes of that when the lock file is removed. */

#include <errno.h>

#include "table-fixture.h"

Test(lock, lets_one_writer_in)
{
        int first, second;
        struct fixture f;
        struct stat stat;
        bool created;

        fixture_init(&f, NULL);
        first = khs_lock_take(f.dir_fd, &created);
        cr_assert_geq(first, 0);
        cr_expect(created);
        cr_assert_eq(fstat(first, &stat), 0);
        cr_expect_eq(stat.st_mode & 0777, 0600);
        cr_expect_eq(khs_lock_take(f.dir_fd, &created), -EAGAIN);
        (void)close(first);
        second = khs_lock_take(f.dir_fd, &created);
        cr_expect_geq(second, 0);
        cr_expect_not(created);
        (void)close(second);
        fixture_deinit(&f);
}

Test(lock, knows_whether_its_file_has_the_name)
{
        struct fixture f;
        int first, second;
        bool created;

        fixture_init(&f, NULL);
        first = khs_lock_take(f.dir_fd, &created);
        cr_expect_eq(khs_lock_check(f.dir_fd, first), 0);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_LOCK_NAME, 0), 0);
        cr_expect_eq(khs_lock_check(f.dir_fd, first), -ENOENT);
        second = khs_lock_take(f.dir_fd, &created);
        cr_assert_geq(second, 0);
        cr_expect(created, "somebody else may hold what was removed");
        cr_expect_eq(khs_lock_check(f.dir_fd, first), -EAGAIN);
        cr_expect_eq(khs_lock_check(f.dir_fd, second), 0);
        (void)close(first);
        (void)close(second);
        cr_expect_eq(khs_lock_check(f.dir_fd, second), -EBADF);
        fixture_deinit(&f);
}
