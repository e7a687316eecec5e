/* Lines of `resolve --format`. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/format.h"

static char text[] = "\0web-0\0z1";
static const struct view_service service = { .key = "web.shop", .text = text };
static const struct view_endpoint known = {
        .family = AF_INET, .address = { 10, 0, 0, 1 }, .port = 8080, .ordinal = 0, .host = 1, .zone = 7
};
static const struct view_endpoint bare = { .family = AF_INET6, .address = { 0xfd, [15] = 1 }, .ordinal = -1 };

static void expect_line(const struct view_endpoint *endpoint, const char *format, const char *expected)
{
        struct format_error error;
        char *line = NULL;
        size_t n;
        FILE *to = open_memstream(&line, &n);

        cr_assert_not_null(to);
        cr_expect_eq(format_check(format, &error), 0, "%s", format);
        cr_expect_eq(format_write(to, format, &service, endpoint, &error), 0, "%s", format);
        (void)fclose(to);
        cr_expect_str_eq(line, expected);
        free(line);
}

Test(ctl_format, fields)
{
        expect_line(&known, "server {addr}:{port};", "server 10.0.0.1:8080;\n");
        expect_line(&known, "{host} {ordinal} {zone} {service} {family}", "web-0 0 z1 web.shop ipv4\n");
        expect_line(&known, "", "\n");
        expect_line(&known, "{{{addr}}}", "{10.0.0.1}\n");
}

Test(ctl_format, ipv6_before_a_colon_stands_in_brackets)
{
        expect_line(&bare, "{addr}", "fd00::1\n");
        expect_line(&bare, "{addr}:80 {addr}", "[fd00::1]:80 fd00::1\n");
}

Test(ctl_format, a_field_of_which_nothing_is_known_is_an_error_and_writes_nothing)
{
        static const char *const fields[] = { "port", "host", "ordinal", "node", "zone" };

        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                char format[32], *line = NULL;
                struct format_error error;
                size_t n;
                FILE *to = open_memstream(&line, &n);

                (void)snprintf(format, sizeof(format), "{addr} {%s}", fields[i]);
                cr_expect_eq(format_write(to, format, &service, &bare, &error), -ENODATA);
                cr_expect_str_eq(error.field, fields[i]);
                cr_expect_str_eq(error.address, "fd00::1");
                (void)fclose(to);
                cr_expect_str_eq(line, "");
                free(line);
        }
}

Test(ctl_format, what_is_no_field_is_refused)
{
        static const struct {
                const char *format, *found, *hint;
        } cases[] = {
                { "{adr}", "{adr}", "; did you mean addr?" },
                { "{addr", "{addr", "; did you mean addr?" },
                { "{}", "{}", "" },
                { "{unknown}", "{unknown}", "" },
                { "a}", "{", "" },
                { "{addr}{", "{", "" },
                { "{addr{port}}", "{addr", "; did you mean addr?" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct format_error error;

                cr_expect_eq(format_check(cases[i].format, &error), -EINVAL, "%s", cases[i].format);
                cr_expect_str_eq(error.found, cases[i].found);
                cr_expect_str_eq(error.hint.text, cases[i].hint);
        }
}
