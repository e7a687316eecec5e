/*
 * The daemon's log: one line a message, to stderr, in the form of whoever reads that (base/log-line.h).
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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log-line.h"
#include "base/log.h"
#include "base/util.h"

#define BURST      500 /* lines at once */
#define PER_SECOND 20
#define RESERVE    100 /* of the burst, for warnings and errors */

static int max_priority = LOG_INFO;
static struct {
        bool on;
        unsigned int n_left;
        uint64_t filled_usec;
} limit;
static unsigned long n_unwritten, n_left_out; /* since they were logged */
static uint64_t n_dropped;                    /* of both, ever */
static bool cut;                              /* a terminal took part of a line */
static enum log_format format_wanted;
static bool is_once;

void log_set_level(int priority)
{
        max_priority = priority;
}

void log_set_format(enum log_format format)
{
        format_wanted = format;
}

void log_set_once(void)
{
        is_once = true;
}

uint64_t log_n_dropped(void)
{
        return n_dropped;
}

/* ---- writing ---- */

struct output {
        bool known;
        int fd;
        bool is_socket, is_terminal, has_colours, is_journal;
};

/* Whether it is what systemd.exec(5) says of stderr: "DEVICE:INODE". */
static bool output_is_journal(const struct stat *st)
{
        const char *stream = getenv("JOURNAL_STREAM");
        char expected[48];

        (void)snprintf(expected, sizeof(expected), "%llu:%llu", (unsigned long long)st->st_dev,
                       (unsigned long long)st->st_ino);
        return stream && strcmp(stream, expected) == 0;
}

/* As https://no-color.org says. */
static bool output_has_colours(void)
{
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static const struct output *log_output(void)
{
        static struct output output;
        struct stat st;

        if (output.known)
                return &output;
        output = (struct output){ .known = true, .fd = STDERR_FILENO, .is_terminal = isatty(STDERR_FILENO) };
        output.has_colours = output.is_terminal && output_has_colours();
        if (fstat(STDERR_FILENO, &st) == 0) {
                output.is_socket = S_ISSOCK(st.st_mode);
                output.is_journal = output_is_journal(&st);
                if (S_ISFIFO(st.st_mode) || output.is_terminal) {
                        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

                        if (fd >= 0)
                                output.fd = fd;
                }
        }
        return &output;
}

static enum log_style log_style(const struct output *output)
{
        if (format_wanted == LOG_FORMAT_JSON)
                return LOG_STYLE_JSON;
        if (format_wanted == LOG_FORMAT_JOURNAL || (format_wanted == LOG_FORMAT_AUTO && output->is_journal))
                return LOG_STYLE_JOURNAL;
        if (output->has_colours)
                return LOG_STYLE_COLOURED;
        return output->is_terminal || is_once ? LOG_STYLE_TERSE : LOG_STYLE_PLAIN;
}

static bool log_write(int priority, const char *service, const char *text)
{
        const struct output *output = log_output();
        struct pollfd writable = { .fd = output->fd, .events = POLLOUT };
        struct log_entry entry = { .priority = priority, .service = service, .text = text };
        char line[1 + LOG_LINE_MAX];
        size_t n = 0;
        ssize_t written;

        if (poll(&writable, 1, 0) != 1 || !(writable.revents & POLLOUT))
                return false;
        (void)clock_gettime(CLOCK_REALTIME, &entry.time);
        if (cut)
                line[n++] = '\n';
        n += log_line_write(line + n, log_style(output), &entry);
        if (output->is_socket)
                written = send(output->fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
                written = write(output->fd, line, n);
        if (written > 0)
                cut = (size_t)written < n;
        return written == (ssize_t)n;
}

/* Return: whether no such count is left to be logged before a line. */
static bool log_unwritten(void)
{
        char text[64];

        if (n_unwritten == 0)
                return true;
        (void)snprintf(text, sizeof(text), "%lu messages could not be written", n_unwritten);
        if (!log_write(LOG_WARNING, NULL, text))
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
        if (log_write(LOG_WARNING, NULL, text))
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

static void log_text(int priority, const char *service, const char *text)
{
        if (log_is_too_much(priority))
                n_left_out++;
        else if (!log_unwritten() || !log_write(priority, service, text))
                n_unwritten++;
        else
                return;
        n_dropped++;
}

__attribute__((format(printf, 3, 0))) static void log_formatted(int priority, const char *service, const char *format,
                                                                va_list args)
{
        int saved_errno = errno;
        char text[LOG_TEXT_MAX + 1];

        if (priority > max_priority)
                return;
        (void)vsnprintf(text, sizeof(text), format, args);
        log_text(priority, service, text);
        errno = saved_errno;
}

void log_message(int priority, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        log_formatted(priority, NULL, format, args);
        va_end(args);
}

void log_service(int priority, const char *service, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        log_formatted(priority, service, format, args);
        va_end(args);
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
