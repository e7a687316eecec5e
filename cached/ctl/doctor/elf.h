#pragma once

/*
 * For which programs a library is: class and machine of an ELF file.
 */

#include <stdbool.h>
#include <stdint.h>

struct elf_kind {
        uint8_t class; /* ELFCLASS32 or ELFCLASS64 */
        uint16_t machine;
};

/* Return: 0; -ENOEXEC: no ELF file; another negative errno. */
int elf_read_kind(const char *path, struct elf_kind *ret);

static inline bool elf_kind_equal(const struct elf_kind *a, const struct elf_kind *b)
{
        return a->class == b->class && a->machine == b->machine;
}

/* "x86_64", or a number. */
const char *elf_kind_name(const struct elf_kind *kind, char ret[static 32]);
