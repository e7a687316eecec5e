/*
 * What may reach a terminal: neither broken sequences of UTF-8 nor control characters, those of ISO 6429's second set
 * (U+0080 to U+009F) included.
 */

#include <stdbool.h>

#include "base/utf8.h"
#include "view/printable.h"

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
