/*
 * UTF-8, RFC 3629. Text comes from networks, files and tables that others wrote: it may be anything.
 */

#include "base/utf8.h"

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
