/*
 * Values: text to numbers, durations, sizes, and strings that are what they claim to be. Strict on
 * purpose: "5 s", "1h30m" and "+5" are refused, since what a tolerant parser makes of them is seldom
 * what was meant.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "config/keys/value.h"

#define MSEC UINT64_C(1000)
#define SEC  (1000 * MSEC)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

struct unit {
        const char *name;
        uint64_t factor;
};

/* Ascending, so that the last that divides is the shortest. */
static const struct unit duration_units[] = {
        { "ms", MSEC }, { "s", SEC }, { "m", MIN }, { "h", HOUR }, { "d", DAY },
};

static const struct unit size_units[] = {
        { "", 1 },
        { "K", UINT64_C(1) << 10 },
        { "M", UINT64_C(1) << 20 },
        { "G", UINT64_C(1) << 30 },
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Digits at the start of @text; *@ret_rest is what follows them. */
static int digits_parse(const char *text, uint64_t *ret, const char **ret_rest)
{
        uint64_t number = 0;

        if (!is_digit(*text))
                return -EINVAL;
        for (; is_digit(*text); text++) {
                if (__builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
                        return -EINVAL;
        }
        *ret = number;
        *ret_rest = text;
        return 0;
}

static int units_parse(const char *text, const struct unit *units, size_t n_units, uint64_t *ret)
{
        const char *suffix;
        uint64_t number;
        int r;

        r = digits_parse(text, &number, &suffix);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_units; i++) {
                if (strcmp(suffix, units[i].name) != 0)
                        continue;
                if (__builtin_mul_overflow(number, units[i].factor, &number))
                        return -EINVAL;
                *ret = number;
                return 0;
        }
        return -EINVAL;
}

int config_number_parse(const char *text, uint64_t *ret)
{
        return units_parse(text, size_units, 1, ret);
}

int config_duration_parse(const char *text, config_usec *ret)
{
        return units_parse(text, duration_units, sizeof(duration_units) / sizeof(duration_units[0]), ret);
}

int config_size_parse(const char *text, uint64_t *ret)
{
        return units_parse(text, size_units, sizeof(size_units) / sizeof(size_units[0]), ret);
}

struct config_duration config_duration_format(config_usec usec)
{
        struct config_duration duration;
        const struct unit *unit = duration_units;

        for (size_t i = 1; i < sizeof(duration_units) / sizeof(duration_units[0]); i++)
                if (usec >= duration_units[i].factor && usec % duration_units[i].factor == 0)
                        unit = &duration_units[i];
        snprintf(duration.text, sizeof(duration.text), "%llu%s", (unsigned long long)(usec / unit->factor), unit->name);
        return duration;
}

static bool label_valid(const char *text, size_t n_text, const char *also)
{
        if (n_text == 0 || n_text > KHS_LABEL_MAX || text[0] == '-' || text[n_text - 1] == '-')
                return false;
        for (size_t i = 0; i < n_text; i++)
                if (!is_alnum(text[i]) && text[i] != '-' && !memchr(also, text[i], strlen(also)))
                        return false;
        return true;
}

bool config_label_valid(const char *text, size_t n_text)
{
        return label_valid(text, n_text, "");
}

static int value_copy(const char *text, size_t n_text, char **ret)
{
        char *s = strndup(text, n_text);

        if (!s)
                return -ENOMEM;
        *ret = s;
        return 0;
}

static int value_copy_lower(const char *text, size_t n_text, char **ret)
{
        int r;

        r = value_copy(text, n_text, ret);
        if (r < 0)
                return r;
        for (char *c = *ret; *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
        return 0;
}

static bool labels_valid(const char *text, size_t n_text, const char *also)
{
        const char *end = text + n_text;

        if (n_text == 0 || n_text > KHS_NAME_MAX)
                return false;
        for (;;) {
                const char *dot = memchr(text, '.', (size_t)(end - text));

                if (!label_valid(text, (size_t)((dot ? dot : end) - text), also))
                        return false;
                if (!dot)
                        return true;
                text = dot + 1;
        }
}

int config_label_parse(const char *text, char **ret)
{
        if (!config_label_valid(text, strlen(text)))
                return -EINVAL;
        return value_copy_lower(text, strlen(text), ret);
}

int config_domain_parse(const char *text, char **ret)
{
        size_t n_text = strlen(text);

        if (n_text > 1 && text[n_text - 1] == '.')
                n_text--;
        if (!labels_valid(text, n_text, ""))
                return -EINVAL;
        return value_copy_lower(text, n_text, ret);
}

int config_alias_parse(const char *text, char **ret)
{
        const char *last = strrchr(text, '.');
        struct in_addr number;

        if (!labels_valid(text, strlen(text), "_"))
                return -EINVAL;
        /* getaddrinfo() reads "10", "10.1" and "0x7f.1" as addresses and asks nobody. */
        last = last ? last + 1 : text;
        if (strspn(last, "0123456789") == strlen(last) || inet_aton(text, &number) != 0)
                return -EINVAL;
        return value_copy_lower(text, strlen(text), ret);
}

int config_path_parse(const char *text, char **ret)
{
        if (*text != '/')
                return -EINVAL;
        return value_copy(text, strlen(text), ret);
}

int config_url_parse(const char *text, char **ret)
{
        size_t n_scheme = 0;

        if (strncmp(text, "https://", 8) == 0)
                n_scheme = 8;
        else if (strncmp(text, "http://", 7) == 0)
                n_scheme = 7;
        if (n_scheme == 0 || text[n_scheme] == '\0' || text[n_scheme] == '/')
                return -EINVAL;
        for (const char *c = text; *c; c++)
                if (*c <= ' ' || *c >= 0x7f)
                        return -EINVAL;
        return value_copy(text, strlen(text), ret);
}

int config_listen_parse(const char *text, char **ret)
{
        struct address address;

        if (address_from_text(text, &address) < 0 || address.port == 0)
                return -EINVAL;
        return value_copy(text, strlen(text), ret);
}

static int label_value_parse(const char *text, size_t max, char **ret)
{
        size_t n_text = strlen(text);

        if (n_text == 0 || n_text > max || !is_alnum(text[0]) || !is_alnum(text[n_text - 1]))
                return -EINVAL;
        for (size_t i = 0; i < n_text; i++)
                if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
                        return -EINVAL;
        return value_copy(text, n_text, ret);
}

int config_zone_parse(const char *text, char **ret)
{
        return label_value_parse(text, KHS_LABEL_MAX, ret);
}

/* "selector-NAME" must fit into the name of a label. */
int config_go_micro_parse(const char *text, char **ret)
{
        return label_value_parse(text, CONFIG_GO_MICRO_MAX, ret);
}

/* Only the characters are judged: the API server knows the grammar, and says so. */
int config_selector_parse(const char *text, char **ret)
{
        size_t n_text = strlen(text);

        if (n_text == 0 || n_text > 4096)
                return -EINVAL;
        for (size_t i = 0; i < n_text; i++)
                if (!is_alnum(text[i]) && !is_blank(text[i]) && !strchr("-_./=!,()", text[i]))
                        return -EINVAL;
        return value_copy(text, n_text, ret);
}

bool config_word_next(const char **cursor, const char **ret_word, size_t *ret_n_word)
{
        const char *word = *cursor;
        size_t n_word = 0;

        while (is_blank(*word))
                word++;
        while (word[n_word] && !is_blank(word[n_word]))
                n_word++;
        *cursor = word + n_word;
        *ret_word = word;
        *ret_n_word = n_word;
        return n_word > 0;
}
