/*
 * UTF-8, RFC 3629, and what of it may reach a terminal: neither broken sequences nor control characters, those of
 * ISO 6429's second set (U+0080 to U+009F) included.
 */

#include <stdbool.h>

#include "view/printable.h"

/* Neither overlong forms nor surrogates, nor what is beyond U+10FFFF: all of them show in the second byte. */
static void utf8_second_byte(unsigned char first, unsigned char *ret_low, unsigned char *ret_high)
{
        *ret_low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        *ret_high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
}

size_t utf8_length(const char *text)
{
        const unsigned char *s = (const unsigned char *)text;
        unsigned char low, high;
        size_t n;

        if (s[0] < 0x80)
                return s[0] > 0;
        if (s[0] < 0xc2 || s[0] > 0xf4)
                return 0;
        n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
        utf8_second_byte(s[0], &low, &high);
        for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
                if (s[i] < low || s[i] > high) /* as is the NUL at the end */
                        return 0;
        }
        return n;
}

static bool printable_is_control(const char *text, size_t n)
{
        const unsigned char *s = (const unsigned char *)text;

        return n == 0 || (n == 1 && (s[0] < 0x20 || s[0] == 0x7f)) || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* Most texts are plain from the first to the last byte. */
static size_t printable_plain(const char *text)
{
        size_t n = 0;

        while (text[n] >= 0x20 && text[n] < 0x7f)
                n++;
        return n;
}

size_t printable_write(FILE *to, const char *text)
{
        size_t n_columns = 0;

        while (*text) {
                size_t n = printable_plain(text), n_character;

                (void)fwrite(text, 1, n, to);
                text += n;
                n_columns += n;
                if (!*text)
                        break;
                n_character = utf8_length(text);
                if (printable_is_control(text, n_character))
                        (void)fputc('?', to);
                else
                        (void)fwrite(text, 1, n_character, to);
                text += n_character > 0 ? n_character : 1;
                n_columns++;
        }
        return n_columns;
}
