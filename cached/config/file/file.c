/*
 * The entries of a file, and who still needs them.
 *
 * A version of a file lives for as long as it is the last good one, which may be many loads, and
 * during a load it is also a candidate of that load: hence the references. The entries own no
 * string; they are freed with the text that they point into.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/file/file.h"

int config_file_new(struct config_file **ret, const char *path)
{
        struct config_file *file = calloc(1, sizeof(*file));

        if (file)
                file->path = strdup(path);
        if (!file || !file->path) {
                free(file);
                return -ENOMEM;
        }
        file->n_refs = 1;
        *ret = file;
        return 0;
}

struct config_file *config_file_ref(struct config_file *file)
{
        if (file)
                file->n_refs++;
        return file;
}

struct config_file *config_file_unref(struct config_file *file)
{
        if (!file || --file->n_refs > 0)
                return NULL;
        config_file_clear(file);
        config_findings_clear(&file->reading);
        config_findings_clear(&file->merging);
        free(file->path);
        free(file);
        return NULL;
}

int config_file_add(struct config_file *file, struct config_entry entry)
{
        if (file->n_entries == file->n_allocated) {
                size_t n = file->n_allocated ? file->n_allocated * 2 : 32;
                struct config_entry *entries = reallocarray(file->entries, n, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                file->entries = entries;
                file->n_allocated = n;
        }
        file->entries[file->n_entries++] = entry;
        return 0;
}

void config_file_clear(struct config_file *file)
{
        free(file->entries);
        free(file->text);
        file->entries = NULL;
        file->text = NULL;
        file->n_entries = file->n_allocated = 0;
}

bool config_file_equal(const struct config_file *a, const struct config_file *b)
{
        if (a->n_entries != b->n_entries || a->broken != b->broken)
                return false;
        for (size_t i = 0; i < a->n_entries; i++) {
                const struct config_entry *x = &a->entries[i], *y = &b->entries[i];

                if (x->line != y->line || !x->key != !y->key || strcmp(x->value, y->value) != 0)
                        return false;
                if (x->key && strcmp(x->key, y->key) != 0)
                        return false;
        }
        return true;
}
