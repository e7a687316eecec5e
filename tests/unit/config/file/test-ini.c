/*
 * The kinds of lines: what each becomes, and that the line of every value is known.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/file/ini.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct config_file *file;

static void parse(const char *text)
{
        cr_assert_eq(config_file_new(&file, "FILE"), 0);
        file->text = strdup(text);
        cr_assert_eq(config_ini_parse(file, strlen(text)), 0);
}

/* Entries as "LINE[SECTION]" and "LINE SECTION/KEY=VALUE", findings as they are. */
static const char *show(void)
{
        static char shown[4096];
        char *at = shown;

        *at = '\0';
        for (size_t i = 0; i < file->n_entries; i++) {
                const struct config_entry *e = &file->entries[i];

                if (e->key)
                        at += sprintf(at, "%u %s/%s=%s\n", e->line, e->section ? e->section : "", e->key, e->value);
                else
                        at += sprintf(at, "%u[%s]\n", e->line, e->value);
        }
        for (size_t i = 0; i < file->reading.n_items; i++)
                at += sprintf(at, "%s\n", file->reading.items[i].message);
        return shown;
}

static const struct {
        const char *text;
        const char *shown;
} cases[] = {
        { "", "" },
        { "[a]\nk = v\n", "1[a]\n2 a/k=v\n" },
        { "[ a ]\n\n KEY",
          "1[a]\nFILE:3: found ' KEY', expected KEY = VALUE without an indent (an indented line continues "
          "the list above it)\n" },
        { "k=v", "1 /k=v\n" },
        { "[a]\r\nKey Two \t=\t v = w \r\n", "1[a]\n2 a/key two=v = w\n" },
        { "[a]\nk =\n[b]\nk=\n", "1[a]\n2 a/k=\n3[b]\n4 b/k=\n" },
        /* A list goes on, and each value keeps its own line. */
        { "[a]\nk = 1\n 2\n\t3  4 \nl = 5\n", "1[a]\n2 a/k=1 2 3  4\n5 a/l=5\n" },
        { "[a]\nk =\n  1\n  2\nl =\n", "1[a]\n2 a/k=1 2\n5 a/l=\n" },
        /* A comment inside a list is skipped, indented or not; what is behind a value is none. */
        { "[a]\nk = 1\n# x\n  2\n  # y\n\t; z\n  3 # 4\n", "1[a]\n2 a/k=1 2 3 # 4\n" },
        /* A blank line ends a list, also one of blanks. */
        { "[a]\nk = 1\n\n  2\n",
          "1[a]\n2 a/k=1\nFILE:4: found '  2', expected KEY = VALUE without an indent (an indented "
          "line continues the list above it)\n" },
        { "[a]\nk = 1\n \t\r\n  2\n", "1[a]\n2 a/k=1\nFILE:4: found '  2', expected KEY = VALUE without an indent (an "
                                      "indented line continues the list above it)\n" },
        { "[a]\n  2\n",
          "1[a]\nFILE:2: found '  2', expected KEY = VALUE without an indent (an indented line continues the "
          "list above it)\n" },
        { "[a]]\n[[b]\n[c] d\n[]\n[ \t]\n[",
          "1[a]]\n2[[b]\nFILE:3: found '[c] d', expected [SECTION] alone on its line\n"
          "FILE:4: found '[]', expected a name between the brackets\n"
          "FILE:5: found '[ \\x09]', expected a name between the brackets\n"
          "FILE:6: found '[', expected [SECTION] alone on its line\n" },
        { "=\n = 3\nk\n",
          "FILE:1: found '=', expected a key before the equal sign\n"
          "FILE:2: found ' = 3', expected KEY = VALUE without an indent (an indented line continues the "
          "list above it)\n"
          "FILE:3: found 'k', expected KEY = VALUE or [SECTION]\n" },
};

Test(config_ini, kinds_of_lines)
{
        for (size_t i = 0; i < N(cases); i++) {
                parse(cases[i].text);
                cr_expect_str_eq(show(), cases[i].shown, "%s\nis\n%s\nexpected\n%s", cases[i].text, show(),
                                 cases[i].shown);
                cr_expect_eq(file->broken, file->reading.n_items > 0);
                config_file_unref(file);
        }
}

/* RFC 3629, and the table of Unicode's chapter 3.9. */
Test(config_ini, utf8)
{
        static const struct {
                const char *bytes;
                bool valid;
        } texts[] = {
                { "\x7f", true },
                { "\xc2\x80", true },
                { "\xdf\xbf", true },
                { "\xe0\xa0\x80", true },
                { "\xed\x9f\xbf", true },
                { "\xee\x80\x80", true },
                { "\xf0\x90\x80\x80", true },
                { "\xf4\x8f\xbf\xbf", true },
                { "\x80", false },
                { "\xbf", false },
                { "\xc0\xaf", false },
                { "\xc1\xbf", false },
                { "\xc2", false },
                { "\xc2\xc2\x80", false },
                { "\xe0\x80\x80", false },
                { "\xe0\x9f\xbf", false },
                { "\xe0\xa0", false },
                { "\xed\xa0\x80", false },
                { "\xed\xbf\xbf", false },
                { "\xf0\x80\x80\x80", false },
                { "\xf0\x8f\xbf\xbf", false },
                { "\xf4\x90\x80\x80", false },
                { "\xf5\x80\x80\x80", false },
                { "\xf8\x88\x80\x80\x80", false },
                { "\xfe", false },
                { "\xff", false },
        };

        for (size_t i = 0; i < N(texts); i++) {
                char text[64];

                snprintf(text, sizeof(text), "[a]\n# x%s\nk = v", texts[i].bytes);
                parse(text);
                cr_expect_eq(!file->broken, texts[i].valid, "%zu: %s", i, show());
                config_file_unref(file);
        }
}

Test(config_ini, a_line_has_at_most_64_kib)
{
        char *text = malloc(3 * CONFIG_LINE_MAX);

        for (size_t extra = 0; extra < 2; extra++) {
                size_t n = (size_t)sprintf(text, "[a]\nk=");

                memset(text + n, 'x', CONFIG_LINE_MAX - 2 + extra);
                n += CONFIG_LINE_MAX - 2 + extra;
                strcpy(text + n, "\nl = v\n");
                parse(text);
                cr_expect_eq(file->broken, extra == 1);
                if (extra == 1)
                        cr_expect_str_eq(file->reading.items[0].message,
                                         "FILE:2: found 'k=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                         "...', expected a line of at most 64 KiB");
                config_file_unref(file);
        }
        free(text);
}
