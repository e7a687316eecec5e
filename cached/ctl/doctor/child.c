/*
 * A child and a pipe.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/doctor/child.h"

#define CHILD_USEC (30 * USEC_PER_SEC)
#define POLL_USEC  (2 * USEC_PER_MSEC)

static _Noreturn void child_main(child_fn fn, void *user, int fd)
{
        FILE *to = fdopen(fd, "w");

        if (to) {
                fn(to, user);
                (void)fclose(to);
        }
        _exit(0);
}

/* Reads to the end, which is the child's, or until time is up. */
static void child_read(int fd, uint64_t end, char *ret, size_t size)
{
        uint64_t now;
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        char rest[256];
        size_t n = 0;

        while ((now = usec_now()) < end && poll(&poll_fd, 1, (int)((end - now) / USEC_PER_MSEC) + 1) > 0) {
                size_t room = size - 1 - n;
                ssize_t got = read(fd, room > 0 ? ret + n : rest, room > 0 ? room : sizeof(rest));

                if (got <= 0)
                        break;
                n += room > 0 ? (size_t)got : 0;
        }
        ret[n] = '\0';
}

/* Return: as child_run(). */
static int child_wait(pid_t pid, uint64_t end)
{
        int status = 0;

        while (waitpid(pid, &status, WNOHANG) == 0) {
                if (usec_now() >= end) {
                        (void)kill(pid, SIGKILL);
                        (void)waitpid(pid, &status, 0);
                        return -ETIMEDOUT;
                }
                (void)usleep(POLL_USEC);
        }
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int child_run(child_fn fn, void *user, char *ret, size_t size)
{
        uint64_t end = usec_now() + CHILD_USEC;
        int ends[2];
        pid_t pid;

        if (pipe(ends) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                (void)close(ends[0]);
                child_main(fn, user, ends[1]);
        }
        (void)close(ends[1]);
        if (pid < 0) {
                int r = -errno;

                (void)close(ends[0]);
                return r;
        }
        child_read(ends[0], end, ret, size);
        (void)close(ends[0]);
        return child_wait(pid, end);
}
