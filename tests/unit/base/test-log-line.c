/* The forms of a line, and what a message can't do to them. */

#include <criterion/criterion.h>
#include <string.h>
#include <syslog.h>

#include "base/log-line.h"

#define TIME "2026-11-29T00:55:49.007Z"

static const struct {
        enum log_style style;
        int priority;
        const char *service, *text, *line;
} cases[] = {
        { LOG_STYLE_JOURNAL, LOG_ERR, NULL, "a", "<3>a\n" },
        { LOG_STYLE_JOURNAL, LOG_DEBUG, "s.n", "stale", "<7>s.n: stale\n" },
        { LOG_STYLE_TERSE, LOG_ERR, NULL, "a", "error: a\n" },
        { LOG_STYLE_TERSE, LOG_WARNING, "s.n", "a", "warning: s.n: a\n" },
        { LOG_STYLE_TERSE, LOG_NOTICE, NULL, "a", "a\n" },
        { LOG_STYLE_TERSE, LOG_INFO, NULL, "a", "a\n" },
        { LOG_STYLE_TERSE, LOG_DEBUG, NULL, "a", "debug: a\n" },
        { LOG_STYLE_COLOURED, LOG_ERR, NULL, "a", "\033[1;31merror:\033[0m a\n" },
        { LOG_STYLE_COLOURED, LOG_WARNING, NULL, "a", "\033[1;33mwarning:\033[0m a\n" },
        { LOG_STYLE_COLOURED, LOG_INFO, NULL, "a", "a\n" },
        { LOG_STYLE_COLOURED, LOG_DEBUG, NULL, "a", "\033[2mdebug:\033[0m a\n" },
        { LOG_STYLE_PLAIN, LOG_CRIT, NULL, "a", TIME " error a\n" },
        { LOG_STYLE_PLAIN, LOG_NOTICE, "s.n", "a", TIME " notice s.n: a\n" },
        { LOG_STYLE_JSON, LOG_INFO, NULL, "a",
          "{\"ts\":\"" TIME "\",\"level\":\"info\",\"service\":null,\"msg\":\"a\"}\n" },
        { LOG_STYLE_JSON, LOG_WARNING, "s.n", "a",
          "{\"ts\":\"" TIME "\",\"level\":\"warning\",\"service\":\"s.n\",\"msg\":\"a\"}\n" },
        /* what others wrote */
        { LOG_STYLE_JOURNAL, LOG_INFO, NULL, "a\n<0>b\x1b[31m\t\x7f\xc2\x9b", "<6>a <0>b [31m   \n" },
        { LOG_STYLE_TERSE, LOG_INFO, "a\nb", "\xff\xc3\xbc\xed\xa0\x80", "a b: ?\xc3\xbc???\n" },
        { LOG_STYLE_JSON, LOG_INFO, "a\"b", "\"\\\n\xc3\x28\xe2\x82\xac",
          "{\"ts\":\"" TIME "\",\"level\":\"info\",\"service\":\"a\\\"b\",\"msg\":\"\\\"\\\\ ?(\xe2\x82\xac\"}\n" },
};

Test(log_line, has_the_form_of_its_style)
{
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct log_entry entry = { .priority = cases[i].priority,
                                           .time = { .tv_sec = 1795913749, .tv_nsec = 7999999 },
                                           .service = cases[i].service,
                                           .text = cases[i].text };
                char line[LOG_LINE_MAX + 1];
                size_t n = log_line_write(line, cases[i].style, &entry);

                line[n] = '\0';
                cr_expect_str_eq(line, cases[i].line);
        }
}

Test(log_line, the_longest_is_whole)
{
        static char text[LOG_TEXT_MAX + 1], service[254], line[LOG_LINE_MAX];
        struct log_entry entry = { .priority = LOG_WARNING, .service = service, .text = text };
        size_t n;

        memset(text, '"', LOG_TEXT_MAX);
        memset(service, '\\', sizeof(service) - 1);
        n = log_line_write(line, LOG_STYLE_JSON, &entry);
        cr_expect_lt(n, LOG_LINE_MAX);
        cr_expect_eq(memcmp(line + n - 4, "\"\"}\n", 4), 0);
}

Test(log_line, ends_where_there_is_no_room)
{
        static char text[2 * LOG_LINE_MAX], line[LOG_LINE_MAX];
        struct log_entry entry = { .priority = LOG_INFO, .text = text };

        memset(text, 'x', sizeof(text) - 1);
        for (int style = LOG_STYLE_JOURNAL; style <= LOG_STYLE_JSON; style++) {
                cr_expect_eq(log_line_write(line, (enum log_style)style, &entry), LOG_LINE_MAX);
                cr_expect_eq(line[LOG_LINE_MAX - 1], '\n');
        }
}
