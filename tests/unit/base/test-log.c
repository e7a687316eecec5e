/* The log when nobody reads it. poll(2) is wrapped: what it said may be untrue a moment later. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

TestSuite(log, .timeout = 60);

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

static bool lies; /* there is always room */

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
        if (!lies)
                return __real_poll(fds, n, timeout);
        for (nfds_t i = 0; i < n; i++)
                fds[i].revents = fds[i].events;
        return (int)n;
}

/* What stands in a descriptor now, NUL-terminated. */
static const char *read_all(int fd)
{
        static char text[1 << 20];
        size_t n = 0;

        cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        for (;;) {
                ssize_t r = read(fd, text + n, sizeof(text) - n - 1);

                if (r <= 0)
                        break;
                n += (size_t)r;
        }
        text[n] = '\0';
        return text;
}

static size_t count(const char *text, const char *wanted)
{
        size_t n = 0;

        for (; (text = strstr(text, wanted)); text++)
                n++;
        return n;
}

/* stderr is the second one. */
static int make_stderr(bool is_socket)
{
        int ends[2];

        if (is_socket)
                cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        else
                cr_assert_eq(pipe(ends), 0);
        cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        close(ends[1]);
        log_set_format(LOG_FORMAT_JOURNAL);
        return ends[0];
}

/* What stderr is for systemd. */
static void claim_journal(unsigned int beside)
{
        char value[64];
        struct stat st;

        cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
        snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino + beside);
        setenv("JOURNAL_STREAM", value, 1);
}

static void check_full(bool is_socket)
{
        int reader = make_stderr(is_socket);
        const char *text;
        char last[64];

        lies = true;
        for (int i = 0; i < 20000; i++)
                log_message(LOG_INFO, "message number %d", i);
        text = read_all(reader);
        cr_expect_eq(strncmp(text, "<6>message number 0\n<6>message number 1\n", 40), 0);
        cr_expect_eq(text[strlen(text) - 1], '\n', "a torn line");
        snprintf(last, sizeof(last), "<4>%zu messages could not be written\n", 20000 - count(text, "\n"));
        cr_expect_eq(log_n_dropped(), 20000 - count(text, "\n"));
        log_beat();
        cr_expect_str_eq(read_all(reader), last);
        log_beat();
        log_message(LOG_ERR, "the next");
        cr_expect_str_eq(read_all(reader), "<3>the next\n");
        /* The descriptor that others have, too, is as it was. */
        cr_expect_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

Test(log, never_waits_for_a_pipe_that_others_have_filled)
{
        check_full(false);
}

Test(log, never_waits_for_a_socket_that_others_have_filled)
{
        check_full(true);
}

Test(log, tells_what_is_missing_before_the_next_line)
{
        int reader = make_stderr(false);
        const char *text;

        for (int i = 0; i < 20000; i++)
                log_message(LOG_INFO, "message number %d", i);
        (void)read_all(reader);
        log_message(LOG_INFO, "again");
        text = read_all(reader);
        cr_expect_eq(count(text, "messages could not be written\n<6>again\n"), 1, "%s", text);
}

Test(log, a_line_can_not_be_forged)
{
        int reader = make_stderr(false);

        log_message(LOG_WARNING, "a\n<0>b\x1b[31m\t");
        log_message(LOG_DEBUG, "not at this level");
        log_set_level(LOG_DEBUG);
        log_message(LOG_DEBUG, "at this");
        cr_expect_str_eq(read_all(reader), "<4>a <0>b [31m \n<7>at this\n");
}

Test(log, is_cut_where_a_line_has_no_end)
{
        int reader = make_stderr(false);
        static char longest[5000];
        const char *text;

        memset(longest, 'x', sizeof(longest) - 1);
        log_message(LOG_INFO, "%s", longest);
        text = read_all(reader);
        cr_expect_eq(strlen(text), 3 + 1023 + 1);
        cr_expect_eq(text[strlen(text) - 1], '\n');
}

Test(log, has_a_limit_that_keeps_room_for_warnings)
{
        int reader = make_stderr(false);
        size_t n = 0, n_infos, n_errors;
        const char *text;

        for (int i = 0; i < 1000; i++)
                log_message(LOG_INFO, "unlimited");
        cr_expect_eq(count(read_all(reader), "unlimited"), 1000);

        log_limit();
        for (int i = 0; i < 2000; i++)
                log_message(LOG_INFO, "information");
        for (int i = 0; i < 2000; i++)
                log_message(LOG_ERR, "error");
        text = read_all(reader);
        n_infos = count(text, "information");
        n_errors = count(text, "error");
        /* The bucket fills while this runs. */
        cr_expect(n_infos >= 400 && n_infos < 1000, "%zu", n_infos);
        cr_expect(n_errors >= 100 && n_errors < 1000, "%zu", n_errors);
        log_beat();
        cr_expect_eq(sscanf(read_all(reader), "<4>%zu messages came too fast and were left out\n", &n), 1);
        cr_expect_eq(n, 4000 - n_infos - n_errors);
        cr_expect_eq(log_n_dropped(), n);
}

/* ---- who reads it ---- */

Test(log, has_priorities_only_where_stderr_is_the_journal)
{
        int reader = make_stderr(true);

        log_set_format(LOG_FORMAT_AUTO);
        claim_journal(0);
        log_message(LOG_ERR, "a");
        cr_expect_str_eq(read_all(reader), "<3>a\n");
        log_set_format(LOG_FORMAT_JSON);
        log_message(LOG_ERR, "b");
        cr_expect_eq(strncmp(read_all(reader), "{\"ts\":\"20", 9), 0);
        log_set_format(LOG_FORMAT_TEXT);
        log_message(LOG_ERR, "c");
        cr_expect_eq(count(read_all(reader), "Z error c\n"), 1);
}

Test(log, has_times_where_the_journal_is_another_descriptor)
{
        int reader = make_stderr(false);
        char begin[64];

        log_set_format(LOG_FORMAT_AUTO);
        claim_journal(1);
        log_service(LOG_WARNING, "user-svc.default", "a %d", 1);
        cr_expect_eq(sscanf(read_all(reader), "%63s warning user-svc.default: a 1", begin), 1);
        cr_expect_eq(strlen(begin), strlen("2026-11-29T00:55:49.123Z"), "%s", begin);

        log_set_once();
        log_message(LOG_ERR, "b");
        cr_expect_str_eq(read_all(reader), "error: b\n");
}

/* @form: what a terminal gets, but for the carriage return that OPOST adds. */
static void check_terminal(const char *form)
{
        struct termios attributes;
        int reader, writer;
        const char *text;

        reader = posix_openpt(O_RDWR | O_NOCTTY);
        cr_assert_eq(grantpt(reader) + unlockpt(reader), 0);
        writer = open(ptsname(reader), O_RDWR | O_NOCTTY);
        cr_assert_eq(tcgetattr(writer, &attributes), 0);
        attributes.c_oflag &= ~(tcflag_t)OPOST;
        cr_assert_eq(tcsetattr(writer, TCSANOW, &attributes), 0);
        cr_assert_eq(dup2(writer, STDERR_FILENO), STDERR_FILENO);
        log_message(LOG_ERR, "a");
        log_message(LOG_INFO, "b");
        text = read_all(reader);
        cr_expect_str_eq(text, form, "%s", text);
}

Test(log, is_coloured_on_a_terminal)
{
        unsetenv("NO_COLOR");
        setenv("TERM", "xterm", 1);
        check_terminal("\033[1;31merror:\033[0m a\nb\n");
}

Test(log, has_no_colour_where_nobody_wants_any)
{
        setenv("NO_COLOR", "1", 1);
        setenv("TERM", "xterm", 1);
        check_terminal("error: a\nb\n");
}
