#pragma once

/*
 * One configuration file as a list of sections and keys, in the order of the file.
 *
 * Nothing is known here of what the keys mean. A file that can't be read as INI has findings and
 * no entries. struct config_file also stands for --service and K8SHSVC_SERVICES, with line 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/file/report.h"

#define CONFIG_FILE_MAX (16U << 20) /* bytes */

struct config_entry {
        const char *section; /* title, as written; borrowed from the head; NULL: before any section */
        char *key;           /* lower case; NULL for the head of a section */
        char *value;         /* without surrounding white space; of a head: its title */
        uint32_t line;
};

/* Called now and then while a long file is read, which may take seconds. */
struct config_pulse {
        void (*fn)(void *userdata); /* NULL: nobody is waiting */
        void *userdata;
};

struct config_file {
        char *path;
        struct config_entry *entries;
        size_t n_entries;
        size_t n_allocated;
        size_t rank; /* in the order of merging; for the merge */
        bool broken; /* unreadable or a syntax error: no entries */
        int error;   /* negative errno when it is unreadable */
        struct config_findings reading;
        struct config_findings merging; /* of the last merge */
};

/**
 * config_slurp() - read a regular file whole
 *
 * @max: most bytes
 * @ret: the bytes and a NUL behind them; to be freed
 *
 * Never waits: a FIFO, device or socket is refused.
 *
 * Return: 0; -EFBIG; -EISDIR; -EINVAL not a regular file; -ENOMEM; another negative errno.
 */
int config_slurp(const char *path, size_t max, char **ret, size_t *ret_n);

int config_file_new(struct config_file **ret, const char *path);
/* With @key NULL the head of section @value. */
int config_file_add(struct config_file *file, const char *key, const char *value, size_t n_value, uint32_t line);

/**
 * config_file_read() - read a file as INI
 *
 * Return: 0, also when the file is broken (see there); -ENOENT; -ENOMEM.
 */
int config_file_read(struct config_file **ret, const char *path, const struct config_pulse *pulse);
bool config_file_equal(const struct config_file *a, const struct config_file *b);
struct config_file *config_file_free(struct config_file *file);
static inline void config_file_freep(struct config_file **file)
{
        config_file_free(*file);
}
