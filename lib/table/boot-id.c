/*
 * The boot id.
 *
 * A table's times count from the boot that it was written in, and a daemon adopts only a table of its own boot. The
 * kernel shows the number as 32 hexadecimal digits and four hyphens.
 */

#include <stdio.h>
#include <string.h>

#include "table/boot-id.h"

static int boot_id_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool khs_boot_id(uint8_t ret[static 16])
{
        FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
        char text[64] = "";
        size_t n = 0;

        memset(ret, 0, 16);
        if (!file)
                return false;
        if (!fgets(text, sizeof(text), file))
                text[0] = '\0';
        (void)fclose(file);

        for (const char *p = text; *p && n < 32; p++) {
                if (boot_id_digit(*p) < 0)
                        continue;
                ret[n / 2] = (uint8_t)(ret[n / 2] << 4 | boot_id_digit(*p));
                n++;
        }
        return n == 32;
}
