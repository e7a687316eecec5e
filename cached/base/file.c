/*
 * Reading a file whole.
 *
 * Whoever may write a configuration file may also put something else in its place, so nothing is
 * assumed of what a path leads to: open(2) must not wait for a FIFO's writer, a terminal must not
 * become ours, and the size is a bound that holds while the file grows. Files of /proc say that
 * they are empty, so the size that fstat(2) reports is only a hint.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

#define FIRST_SIZE 4096U

static void file_close(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}

/* Makes room for one byte more than @max, which tells that there is one, and for the NUL. */
static int file_grow(char **text, size_t *n_allocated, size_t wanted, size_t max)
{
        char *larger;
        size_t n;

        if (__builtin_add_overflow(wanted < max ? wanted : max, 2U, &n))
                return -ENOMEM;
        larger = realloc(*text, n);
        if (!larger)
                return -ENOMEM;
        *text = larger;
        *n_allocated = n;
        return 0;
}

static int file_read_all(int fd, size_t expected, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n = 0, n_allocated = 0;

        for (;;) {
                ssize_t got;

                if (n_allocated - n < 2 && file_grow(&text, &n_allocated, n > 0 ? n * 2 : expected, max) < 0)
                        return -ENOMEM;
                got = read(fd, text + n, n_allocated - n - 1);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > max)
                        return -EFBIG;
        }
        text[n] = '\0';
        *ret = text;
        *ret_n = n;
        text = NULL;
        return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_(file_close) int fd = -1;
        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        return file_read_all(fd, st.st_size > 0 ? (size_t)st.st_size : FIRST_SIZE, max, ret, ret_n);
}
