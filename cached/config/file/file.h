#pragma once

/*
 * One configuration file as a list of sections and keys, in the order of its lines.
 *
 * Nothing here knows what the keys mean. A file that cannot be read as INI has findings and no
 * entries. struct config_file also stands for --service and K8SHSVC_SERVICES, whose entries have
 * line 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/file/findings.h"

/* All strings point into the file's text. */
struct config_entry {
        const char *section; /* title, as written; NULL: before any section */
        const char *key;     /* lower case; NULL for the head of a section */
        const char *value;   /* without surrounding white space; of a head: its title */
        uint32_t line;
};

struct config_file {
        unsigned int n_refs;
        char *path;
        char *text;
        struct config_entry *entries;
        size_t n_entries, n_allocated;
        size_t rank; /* in the order of merging; set by the merge */
        bool broken; /* unreadable or a syntax error: no entries */
        int error;   /* negative errno when it is unreadable */
        struct config_findings reading;
        struct config_findings merging; /* of the last merge */
};

int config_file_new(struct config_file **ret, const char *path);
struct config_file *config_file_ref(struct config_file *file);
struct config_file *config_file_unref(struct config_file *file);
static inline void config_file_unrefp(struct config_file **file)
{
        config_file_unref(*file);
}

/* Appends an entry. Return: 0; -ENOMEM. */
int config_file_add(struct config_file *file, struct config_entry entry);
void config_file_clear(struct config_file *file);

/* Whether two versions say the same on the same lines. */
bool config_file_equal(const struct config_file *a, const struct config_file *b);
