/*
 * The daemon's log: one line a message, to stderr, with the priority prefix of sd-daemon(3) unless a
 * person reads it on a terminal.
 *
 * Nobody may read stderr: a journal that has stopped, a container runtime that is stuck. So a line
 * is written only if it can be taken at once, and what was dropped is counted and told with the
 * first line that gets through. The daemon's work never waits for its words.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define MAX_LINE 1024 /* below PIPE_BUF: a pipe takes it whole or not at all */

static int max_priority = LOG_INFO;
static unsigned long n_dropped;

void log_set_level(int priority)
{
        max_priority = priority;
}

static bool try_write(int priority, const char *text)
{
        struct pollfd stderr_poll = { .fd = STDERR_FILENO, .events = POLLOUT };
        char line[MAX_LINE + 8];
        int n;

        if (poll(&stderr_poll, 1, 0) != 1 || !(stderr_poll.revents & POLLOUT))
                return false;
        if (isatty(STDERR_FILENO))
                n = snprintf(line, sizeof(line), "%s\n", text);
        else
                n = snprintf(line, sizeof(line), "<%d>%s\n", priority, text);
        return n > 0 && write(STDERR_FILENO, line, (size_t)n) == n;
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

        if (n_dropped > 0) {
                char dropped[64];

                (void)snprintf(dropped, sizeof(dropped), "%lu messages could not be written", n_dropped);
                if (try_write(LOG_WARNING, dropped))
                        n_dropped = 0;
        }
        if (n_dropped > 0 || !try_write(priority, text))
                n_dropped++;
        errno = saved_errno;
}
