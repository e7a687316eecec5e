/*
 * The daemon's log: one line a message, to stderr, with the priority prefix of sd-daemon(3) unless stderr is a
 * terminal.
 *
 * Nobody may be reading stderr: a journal that has stopped, a container runtime that is stuck, a terminal held
 * by Ctrl-S, a full disk. So a line is written only if it can be taken at once; dropped lines are counted, and
 * the count is logged when a line gets through again. The daemon's work never waits for its log.
 *
 * poll(2) alone is not enough where others write to the same pipe or socket: its room may be gone when the line
 * comes. A socket is written with MSG_DONTWAIT. A pipe or terminal is opened once more, since O_NONBLOCK on the
 * descriptor that we were given would be everybody's; where that is not allowed, poll(2) has to do.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define MAX_LINE   1024 /* below PIPE_BUF: a pipe takes it whole or not at all */
#define BURST      500  /* lines at once */
#define PER_SECOND 20
#define RESERVE    100 /* of the burst, for warnings and errors */

static int max_priority = LOG_INFO;
static struct {
        bool on;
        unsigned int n_left;
        uint64_t filled_usec;
} limit;
static unsigned long n_unwritten, n_left_out;
static bool cut; /* a terminal took part of a line */

void log_set_level(int priority)
{
        max_priority = priority;
}

/* ---- writing ---- */

struct output {
        bool known;
        int fd;
        bool is_socket, is_terminal;
};

static const struct output *log_output(void)
{
        static struct output output;
        struct stat st;

        if (output.known)
                return &output;
        output = (struct output){ .known = true, .fd = STDERR_FILENO, .is_terminal = isatty(STDERR_FILENO) };
        if (fstat(STDERR_FILENO, &st) == 0) {
                output.is_socket = S_ISSOCK(st.st_mode);
                if (S_ISFIFO(st.st_mode) || output.is_terminal) {
                        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

                        if (fd >= 0)
                                output.fd = fd;
                }
        }
        return &output;
}

static bool log_write(int priority, const char *text)
{
        const struct output *output = log_output();
        struct pollfd writable = { .fd = output->fd, .events = POLLOUT };
        const char *begin = cut ? "\n" : "";
        char line[MAX_LINE + 8];
        ssize_t written;
        int n;

        if (poll(&writable, 1, 0) != 1 || !(writable.revents & POLLOUT))
                return false;
        if (output->is_terminal)
                n = snprintf(line, sizeof(line), "%s%s\n", begin, text);
        else
                n = snprintf(line, sizeof(line), "%s<%d>%s\n", begin, priority, text);
        if (n <= 0)
                return false;
        if (output->is_socket)
                written = send(output->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
                written = write(output->fd, line, (size_t)n);
        if (written > 0)
                cut = written < n;
        return written == n;
}

/* Return: whether no such count is left to be logged before a line. */
static bool log_unwritten(void)
{
        char text[64];

        if (n_unwritten == 0)
                return true;
        (void)snprintf(text, sizeof(text), "%lu messages could not be written", n_unwritten);
        if (!log_write(LOG_WARNING, text))
                return false;
        n_unwritten = 0;
        return true;
}

static void log_left_out(void)
{
        char text[64];

        if (n_left_out == 0)
                return;
        (void)snprintf(text, sizeof(text), "%lu messages came too fast and were left out", n_left_out);
        if (log_write(LOG_WARNING, text))
                n_left_out = 0;
}

/* ---- not too much ---- */

void log_limit(void)
{
        limit.on = true;
        limit.n_left = BURST;
        limit.filled_usec = usec_now();
}

static bool log_is_too_much(int priority)
{
        unsigned int kept = priority > LOG_WARNING ? RESERVE : 0;
        uint64_t now, n;

        if (!limit.on)
                return false;
        now = usec_now();
        n = (now - limit.filled_usec) * PER_SECOND / USEC_PER_SEC;
        if (n > 0) {
                limit.n_left = n < BURST - limit.n_left ? limit.n_left + (unsigned int)n : BURST;
                limit.filled_usec = now;
        }
        if (limit.n_left <= kept)
                return true;
        limit.n_left--;
        return false;
}

/* ---- messages ---- */

static void log_text(int priority, const char *text)
{
        if (log_is_too_much(priority))
                n_left_out++;
        else if (!log_unwritten() || !log_write(priority, text))
                n_unwritten++;
}

void log_message(int priority, const char *format, ...)
{
        int saved_errno = errno;
        char text[MAX_LINE];
        va_list args;

        if (priority > max_priority)
                return;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        /* What came from a network or a file can't forge a line of its own. */
        for (char *c = text; *c; c++) {
                if ((unsigned char)*c < ' ')
                        *c = ' ';
        }
        log_text(priority, text);
        errno = saved_errno;
}

void log_beat(void)
{
        int saved_errno = errno;

        if (log_unwritten())
                log_left_out();
        errno = saved_errno;
}

/* ---- not too much of one kind ---- */

unsigned long log_limiter_roll(struct log_limiter *limiter)
{
        uint64_t now = usec_now();
        unsigned long n_over = limiter->n_lines > limiter->n_max ? limiter->n_lines - limiter->n_max : 0;

        if (now - limiter->begun_usec < limiter->period_usec)
                return 0;
        limiter->begun_usec = now;
        limiter->n_lines = 0;
        return n_over;
}

bool log_limiter_take(struct log_limiter *limiter)
{
        return limiter->n_lines++ < limiter->n_max;
}
