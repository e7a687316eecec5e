/*
 * The boot id.
 *
 * A table's times count from the boot that it was written in. The kernel shows the number as 32 hexadecimal digits and
 * four hyphens. Readers ask for it, too, so there is neither stdio nor a cancellation point.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "table/boot-id.h"

static int boot_id_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t boot_id_read(char *text, size_t size)
{
        long fd = syscall(SYS_openat, AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0), n;

        if (fd < 0)
                return 0;
        n = syscall(SYS_read, (int)fd, text, size);
        (void)syscall(SYS_close, (int)fd);
        return n > 0 ? (size_t)n : 0;
}

bool khs_boot_id(uint8_t ret[static 16])
{
        char text[36];
        size_t n_text = boot_id_read(text, sizeof(text)), n = 0;

        memset(ret, 0, 16);
        for (size_t i = 0; i < n_text && n < 32; i++) {
                if (boot_id_digit(text[i]) < 0)
                        continue;
                ret[n / 2] = (uint8_t)(ret[n / 2] << 4 | boot_id_digit(text[i]));
                n++;
        }
        return n == 32;
}
