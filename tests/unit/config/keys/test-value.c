/*
 * Values of the configuration: what is read, and what is refused without touching the result.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/file/findings.h"
#include "config/keys/value.h"

#define UNTOUCHED UINT64_C(12345)
#define N(array)  (sizeof(array) / sizeof((array)[0]))

struct number_case {
        const char *text;
        int r;
        uint64_t value;
};

static void check_numbers(const struct number_case *cases, size_t n, int (*parse)(const char *, uint64_t *))
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value = UNTOUCHED;

                cr_expect_eq(parse(cases[i].text, &value), cases[i].r, "'%s'", cases[i].text);
                cr_expect_eq(value, cases[i].r == 0 ? cases[i].value : UNTOUCHED, "'%s': %llu", cases[i].text,
                             (unsigned long long)value);
        }
}

Test(config_value, durations)
{
        static const struct number_case cases[] = {
                { "500ms", 0, 500000 },
                { "5s", 0, 5000000 },
                { "10m", 0, 600000000 },
                { "1h", 0, 3600000000 },
                { "7d", 0, 604800000000 },
                { "0s", 0, 0 },
                { "5", -EINVAL, 0 },
                { "", -EINVAL, 0 },
                { "s", -EINVAL, 0 },
                { "5 s", -EINVAL, 0 },
                { "5S", -EINVAL, 0 },
                { "5us", -EINVAL, 0 },
                { "-5s", -EINVAL, 0 },
                { "+5s", -EINVAL, 0 },
                { "1.5s", -EINVAL, 0 },
                { "1h30m", -EINVAL, 0 },
                { "5s ", -EINVAL, 0 },
                { "18446744073709551616ms", -EINVAL, 0 },
                { "18446744073709551615d", -EINVAL, 0 },
                { "213503982334602d", -EINVAL, 0 },
        };

        check_numbers(cases, N(cases), config_duration_parse);
}

Test(config_value, durations_are_written_as_they_are_read)
{
        static const char *const texts[] = { "50ms", "1500ms", "1s", "90s", "10m", "1h", "7d", "0ms" };

        for (size_t i = 0; i < N(texts); i++) {
                config_usec usec;

                cr_assert_eq(config_duration_parse(texts[i], &usec), 0);
                cr_expect_str_eq(config_duration_format(usec).text, texts[i]);
        }
}

Test(config_value, sizes)
{
        static const struct number_case cases[] = {
                { "4096", 0, 4096 },      { "64K", 0, 65536 },
                { "256M", 0, 268435456 }, { "8G", 0, 8589934592 },
                { "8g", -EINVAL, 0 },     { "8GiB", -EINVAL, 0 },
                { "1T", -EINVAL, 0 },     { "M", -EINVAL, 0 },
                { "1.5G", -EINVAL, 0 },   { "17179869184G", -EINVAL, 0 },
        };

        check_numbers(cases, N(cases), config_size_parse);
}

Test(config_value, numbers)
{
        static const struct number_case cases[] = {
                { "0", 0, 0 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -EINVAL, 0 },
                { "1K", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
        };

        check_numbers(cases, N(cases), config_number_parse);
}

#define L63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

Test(config_value, strings)
{
        static const struct {
                int (*parse)(const char *, char **);
                const char *text;
                const char *value; /* NULL: refused */
        } cases[] = {
                { config_label_parse, "Kube-System", "kube-system" },
                { config_label_parse, L63, L63 },
                { config_label_parse, L63 "d", NULL },
                { config_label_parse, "-a", NULL },
                { config_label_parse, "a-", NULL },
                { config_label_parse, "a.b", NULL },
                { config_label_parse, "a_b", NULL },
                { config_label_parse, "", NULL },
                { config_domain_parse, "Cluster.Local.", "cluster.local" },
                { config_domain_parse, "local", "local" },
                { config_domain_parse, ".", NULL },
                { config_domain_parse, "a..b", NULL },
                { config_domain_parse, ".a", NULL },
                { config_domain_parse, "a_b", NULL },
                { config_alias_parse, "My_DB.internal", "my_db.internal" },
                { config_alias_parse, "user", "user" },
                { config_alias_parse,
                  L63 "." L63 "." L63 "."
                      "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija",
                  L63 "." L63 "." L63 "."
                      "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija" },
                { config_alias_parse,
                  L63 "." L63 "." L63 "."
                      "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijab",
                  NULL },
                { config_alias_parse, L63 "d.x", NULL },
                { config_alias_parse, "user.", NULL },
                { config_alias_parse, "10", NULL },
                { config_alias_parse, "10.0.0.1", NULL },
                { config_alias_parse, "0x7f.0x1", NULL },
                { config_alias_parse, "0x7f", NULL },
                { config_alias_parse, "10.0.0.x1", "10.0.0.x1" },
                { config_alias_parse,
                  "a\xc2\xa0"
                  "b",
                  NULL },
                { config_path_parse, "/etc/kube", "/etc/kube" },
                { config_path_parse, "etc/kube", NULL },
                { config_url_parse, "https://10.96.0.1:443", "https://10.96.0.1:443" },
                { config_url_parse, "http://[fd00::1]:80/x", "http://[fd00::1]:80/x" },
                { config_url_parse, "https://", NULL },
                { config_url_parse, "https:///x", NULL },
                { config_url_parse, "ftp://x", NULL },
                { config_url_parse, "https://a b", NULL },
                { config_listen_parse, "127.0.0.1:9768", "127.0.0.1:9768" },
                { config_listen_parse, "[::1]:9768", "[::1]:9768" },
                { config_listen_parse, "127.0.0.1", NULL },
                { config_listen_parse, ":9768", NULL },
                { config_zone_parse, "EU-west_1.a", "EU-west_1.a" },
                { config_zone_parse, "-a", NULL },
                { config_zone_parse, "a b", NULL },
                { config_zone_parse, L63 "d", NULL },
                { config_go_micro_parse, "go.micro.srv.User_1", "go.micro.srv.User_1" },
                { config_go_micro_parse, "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd",
                  "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd" },
                { config_go_micro_parse, "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcde", NULL },
                { config_go_micro_parse, "user service", NULL },
                { config_go_micro_parse, "user.", NULL },
                { config_selector_parse, "app=worker,tier!=canary", "app=worker,tier!=canary" },
                { config_selector_parse, "k8s.io/x in (a, b),!c", "k8s.io/x in (a, b),!c" },
                { config_selector_parse, "a=b&x", NULL },
                { config_selector_parse, "", NULL },
        };

        for (size_t i = 0; i < N(cases); i++) {
                char *value = NULL;

                cr_expect_eq(cases[i].parse(cases[i].text, &value), cases[i].value ? 0 : -EINVAL, "'%s'",
                             cases[i].text);
                if (cases[i].value && value)
                        cr_expect_str_eq(value, cases[i].value);
                else
                        cr_expect_null(value, "'%s'", cases[i].text);
                free(value);
        }
}

Test(config_value, words)
{
        const char *cursor = " \t a  bb\n c\r\n ", *word;
        size_t n_word;

        cr_assert(config_word_next(&cursor, &word, &n_word));
        cr_expect(n_word == 1 && *word == 'a');
        cr_assert(config_word_next(&cursor, &word, &n_word));
        cr_expect(n_word == 2 && memcmp(word, "bb", 2) == 0);
        cr_assert(config_word_next(&cursor, &word, &n_word));
        cr_expect(n_word == 1 && *word == 'c');
        cr_expect_not(config_word_next(&cursor, &word, &n_word));
        cr_expect_not(config_word_next(&cursor, &word, &n_word));
}

Test(config_value, quotes_show_what_hides)
{
        char text[CONFIG_QUOTE_MAX + 2];

        memset(text, 1, sizeof(text));
        cr_expect_str_eq(config_quote("a\xc2\xa0\x1b[", 5).text, "'a\\xc2\\xa0\\x1b['");
        cr_expect_eq(strlen(config_quote(text, sizeof(text)).text), 4 * CONFIG_QUOTE_MAX + 5);
        cr_expect_str_eq(config_quote(text, sizeof(text)).text + 4 * CONFIG_QUOTE_MAX + 1, "...'");
}
