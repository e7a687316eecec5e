/* JSON and text for terminals out of arbitrary bytes. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "view/json.h"
#include "view/printable.h"

static const struct {
        const char *text, *json, *printable;
} cases[] = {
        { "", "\"\"", "" },
        { "web-0", "\"web-0\"", "web-0" },
        { "a\"b\\c", "\"a\\\"b\\\\c\"", "a\"b\\c" },
        { "a\nb\033[31m\x7f", "\"a\\u000ab\\u001b[31m\\u007f\"", "a?b?[31m?" },
        { "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"", "gr\xc3\xbc\xc3\x9f" },
        { "\xe2\x82\xac\xf0\x9f\x90\xa7", "\"\xe2\x82\xac\xf0\x9f\x90\xa7\"", "\xe2\x82\xac\xf0\x9f\x90\xa7" },
        /* cut off, overlong, surrogate, beyond U+10FFFF, a lone continuation */
        { "\xc3", "\"\xef\xbf\xbd\"", "?" },
        { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "??" },
        { "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "??" },
        { "\xe0\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "???" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "???" },
        { "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "????" },
        { "\x80x", "\"\xef\xbf\xbdx\"", "?x" },
        /* C1 control characters act on terminals */
        { "\xc2\x9b", "\"\xc2\x9b\"", "?" },
};

static void expect_written(void (*write)(FILE *, const char *), const char *text, const char *expected)
{
        char *written = NULL;
        size_t n;
        FILE *to = open_memstream(&written, &n);

        cr_assert_not_null(to);
        write(to, text);
        (void)fclose(to);
        cr_expect_str_eq(written, expected);
        free(written);
}

static void write_json(FILE *to, const char *text)
{
        struct json_writer w = { .to = to };

        json_put_text(&w, NULL, text);
}

static void write_printable(FILE *to, const char *text)
{
        (void)printable_write(to, text);
}

Test(view_json, any_bytes_become_a_string)
{
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                expect_written(write_json, cases[i].text, cases[i].json);
}

Test(view_printable, nothing_reaches_a_terminal_that_acts_on_it)
{
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                expect_written(write_printable, cases[i].text, cases[i].printable);
}

static void write_nested(FILE *to, const char *text)
{
        struct json_writer w = { .to = to };

        json_put_open(&w, NULL, '[');
        json_put_open(&w, NULL, '{');
        json_put_text(&w, "a", text);
        json_put_number(&w, "b", UINT64_MAX);
        json_put_open(&w, "c", '[');
        json_put_close(&w, ']');
        json_put_null(&w, "d");
        json_put_bool(&w, "e", true);
        json_put_word(&w, "f", NULL, 0);
        json_put_word(&w, "g", "word", 7);
        json_put_decimal(&w, "h", 0.25);
        json_put_close(&w, '}');
        json_put_text(&w, NULL, NULL);
        json_put_close(&w, ']');
        json_put_end(&w);
}

Test(view_json, values_in_objects_and_arrays)
{
        expect_written(write_nested, "x",
                       "[{\"a\":\"x\",\"b\":18446744073709551615,\"c\":[],\"d\":null,\"e\":true,\"f\":0,\"g\":\"word\","
                       "\"h\":0.250},null]\n");
}
