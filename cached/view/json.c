/*
 * JSON, RFC 8259. Values go to the stream as they come, since a table may hold half a million endpoints: building
 * the tree first, as jansson does, takes ten times as long.
 *
 * Strings come out of the table, which may hold any bytes.
 */

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "view/json.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool json_is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void json_string(FILE *to, const char *text)
{
        const unsigned char *s = (const unsigned char *)text;

        (void)fputc_unlocked('"', to);
        while (*s) {
                size_t n = 0;

                while (json_is_plain(s[n]))
                        n++;
                if (n > 0) {
                        (void)fwrite_unlocked(s, 1, n, to);
                        s += n;
                        continue;
                }
                n = utf8_length((const char *)s);
                if (*s == '"' || *s == '\\')
                        (void)fprintf(to, "\\%c", *s);
                else if (n == 1) /* control characters */
                        (void)fprintf(to, "\\u%04x", *s);
                else if (n == 0)
                        (void)fputs(REPLACEMENT, to);
                else
                        (void)fwrite_unlocked(s, 1, n, to);
                s += n > 0 ? n : 1;
        }
        (void)fputc_unlocked('"', to);
}

static void json_begin(struct json_writer *w, const char *key)
{
        if (w->comma)
                (void)fputc_unlocked(',', w->to);
        w->comma = true;
        if (key) {
                (void)fputc_unlocked('"', w->to);
                (void)fputs_unlocked(key, w->to);
                (void)fputs_unlocked("\":", w->to);
        }
}

void json_put_open(struct json_writer *w, const char *key, char bracket)
{
        json_begin(w, key);
        (void)fputc_unlocked(bracket, w->to);
        w->comma = false;
}

void json_put_close(struct json_writer *w, char bracket)
{
        (void)fputc_unlocked(bracket, w->to);
        w->comma = true;
}

void json_put_null(struct json_writer *w, const char *key)
{
        json_begin(w, key);
        (void)fputs_unlocked("null", w->to);
}

void json_put_text(struct json_writer *w, const char *key, const char *text)
{
        if (!text) {
                json_put_null(w, key);
                return;
        }
        json_begin(w, key);
        json_string(w->to, text);
}

void json_put_number(struct json_writer *w, const char *key, uint64_t value)
{
        char digits[20];
        size_t at = sizeof(digits);

        do
                digits[--at] = (char)('0' + value % 10);
        while ((value /= 10) > 0);
        json_begin(w, key);
        (void)fwrite_unlocked(digits + at, 1, sizeof(digits) - at, w->to);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
        json_begin(w, key);
        (void)fputs_unlocked(value ? "true" : "false", w->to);
}

void json_put_word(struct json_writer *w, const char *key, const char *word, uint64_t value)
{
        if (word)
                json_put_text(w, key, word);
        else
                json_put_number(w, key, value);
}

void json_put_decimal(struct json_writer *w, const char *key, double value)
{
        json_begin(w, key);
        (void)fprintf(w->to, "%.3f", value);
}

void json_put_end(struct json_writer *w)
{
        (void)fputc_unlocked('\n', w->to);
        w->comma = false;
}
