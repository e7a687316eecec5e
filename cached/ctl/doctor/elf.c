/*
 * The first bytes of an ELF file. Those that matter here have the same place in both classes.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/doctor/elf.h"

int elf_read_kind(const char *path, struct elf_kind *ret)
{
        Elf64_Ehdr head;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = pread(fd, &head, sizeof(head), 0);
        (void)close(fd);
        if (n < 0)
                return -errno;
        if (n < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
                return -ENOEXEC;
        *ret = (struct elf_kind){ .class = head.e_ident[EI_CLASS], .machine = head.e_machine };
        return 0;
}

const char *elf_kind_name(const struct elf_kind *kind, char ret[static 32])
{
        static const struct {
                struct elf_kind kind;
                const char *name;
        } names[] = {
                { { ELFCLASS64, EM_X86_64 }, "x86_64" }, { { ELFCLASS32, EM_X86_64 }, "x32" },
                { { ELFCLASS32, EM_386 }, "i386" },      { { ELFCLASS64, EM_AARCH64 }, "aarch64" },
                { { ELFCLASS32, EM_ARM }, "arm" },       { { ELFCLASS64, EM_PPC64 }, "ppc64" },
                { { ELFCLASS64, EM_S390 }, "s390x" },    { { ELFCLASS64, EM_RISCV }, "riscv64" },
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (elf_kind_equal(kind, &names[i].kind)) {
                        (void)snprintf(ret, 32, "%s", names[i].name);
                        return ret;
                }
        }
        (void)snprintf(ret, 32, "ELF machine %u, class %u", kind->machine, kind->class);
        return ret;
}
