/*
 * The whole-file reader: what is read, what is refused, and that nothing waits.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/test-file-XXXXXX", path[64];

static void setup(void)
{
        cr_assert_not_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/file", dir);
}

static void teardown(void)
{
        unlink(path);
        rmdir(dir);
}

TestSuite(file, .init = setup, .fini = teardown, .timeout = 20);

static void put(const void *bytes, size_t n)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
        close(fd);
}

/* Refused with @error, and the outputs are as before. */
static void expect_error(const char *which, size_t max, int error)
{
        char before, *text = &before;
        size_t n = 7;

        cr_expect_eq(file_read(which, max, &text, &n), error, "%s", which);
        cr_expect_eq(text, &before);
        cr_expect_eq(n, 7);
}

Test(file, is_read_whole_with_a_nul_behind)
{
        static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 100000 };
        char bytes[100000], *text;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(i * 7 % 251);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                size_t n = 4711;

                put(bytes, sizes[i]);
                cr_assert_eq(file_read(path, 100000, &text, &n), 0);
                cr_expect_eq(n, sizes[i]);
                cr_expect_eq(memcmp(text, bytes, n), 0);
                cr_expect_eq(text[n], '\0');
                free(text);
        }
}

Test(file, larger_than_allowed_is_refused)
{
        char *text;
        size_t n;

        put("12345678", 8);
        expect_error(path, 7, -EFBIG);
        cr_assert_eq(file_read(path, 8, &text, &n), 0);
        cr_expect_eq(n, 8);
        free(text);
}

/* Files of /proc say that they are empty. */
Test(file, the_size_that_a_file_claims_is_only_a_hint)
{
        char *text;
        size_t n;

        cr_assert_eq(file_read("/proc/self/status", 1 << 20, &text, &n), 0);
        cr_expect_gt(n, 100);
        free(text);
        expect_error("/proc/self/status", 100, -EFBIG);
}

Test(file, what_is_no_regular_file_is_refused_and_nothing_waits)
{
        expect_error(path, 100, -ENOENT);
        expect_error(dir, 100, -EISDIR);
        expect_error("/dev/null", 100, -EINVAL);
        expect_error("/dev/zero", 100, -EINVAL);
        cr_assert_eq(mkfifo(path, 0600), 0);
        expect_error(path, 100, -EINVAL);
}
