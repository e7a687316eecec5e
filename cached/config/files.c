/*
 * Which files there are. The order of reading is the order of merging, lowest first:
 *
 *     main file, conf.d of /etc, conf.d of /run (each in strcmp order), K8SHSVC_SERVICES, --service
 *
 * What disappears between the reading of a directory and that of its file is gone, which is no
 * error; a link that leads nowhere is one. A directory that cannot be read says nothing about its
 * files: those that the previous load had stay.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/util.h"
#include "config/file/read.h"
#include "config/files.h"
#include "config/target.h"

struct reading {
        const struct config_origin *origin;
        const struct config_slots *before;
        struct config_slots *slots;
        bool reload;
};

/* ---- slots ---- */

static int compare_slots(const void *a, const void *b)
{
        const struct config_slot *x = a, *y = b;

        return strcmp(x->path, y->path);
}

void config_slots_sort(struct config_slots *slots)
{
        if (slots->n_items > 0)
                qsort(slots->items, slots->n_items, sizeof(*slots->items), compare_slots);
}

static const struct config_slot *slots_find(const struct config_slots *slots, const struct config_slot *like)
{
        if (slots->n_items == 0)
                return NULL;
        return bsearch(like, slots->items, slots->n_items, sizeof(*like), compare_slots);
}

void config_slots_deinit(struct config_slots *slots)
{
        for (size_t i = 0; i < slots->n_items; i++) {
                config_file_unref(slots->items[i].good);
                config_file_unref(slots->items[i].fresh);
                free(slots->items[i].path);
        }
        free(slots->items);
        config_findings_clear(&slots->findings);
        *slots = (struct config_slots){ 0 };
}

/* @fresh: NULL, or another reference is taken. */
static int slots_add(const struct reading *reading, const char *path, struct config_file *fresh)
{
        struct config_slots *slots = reading->slots;
        const struct config_slot *known;
        struct config_slot slot = { 0 };

        if (slots->n_items == slots->n_allocated) {
                size_t n = slots->n_allocated ? slots->n_allocated * 2 : 16;
                struct config_slot *larger = reallocarray(slots->items, n, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                slots->items = larger;
                slots->n_allocated = n;
        }
        slot.path = strdup(path);
        if (!slot.path)
                return -ENOMEM;
        slot.fresh = config_file_ref(fresh);
        known = slots_find(reading->before, &slot);
        if (known) {
                slot.known = true;
                slot.good = config_file_ref(known->good);
        }
        slots->items[slots->n_items++] = slot;
        return 0;
}

/* ---- files ---- */

static void files_report(const struct reading *reading, const char *path, const char *found, const char *expected)
{
        struct config_place place = { .path = path };

        config_findings_add(&reading->slots->findings, LOG_ERR, &place, "found %s, expected %s", found, expected);
}

/* -ENOENT: no such file. */
static int files_add(const struct reading *reading, const char *path)
{
        _cleanup_(config_file_unrefp) struct config_file *file = NULL;
        int r;

        r = config_file_read(&file, path);
        return r < 0 ? r : slots_add(reading, path, file);
}

static int files_add_main(const struct reading *reading)
{
        const struct config_origin *origin = reading->origin;
        const struct config_slots *slots = reading->slots;
        int r;

        if (!origin->main_file)
                return 0;
        r = files_add(reading, origin->main_file);
        if (r == -ENOENT && !origin->main_file_given)
                return 0;
        if (r == -ENOENT) {
                files_report(reading, origin->main_file, strerror(ENOENT), "a readable file");
                return reading->reload ? slots_add(reading, origin->main_file, NULL) : r;
        }
        if (r < 0 || !origin->main_file_given || reading->reload)
                return r;
        return slots->items[slots->n_items - 1].fresh->error;
}

bool config_files_want(const char *name)
{
        size_t n_name = strlen(name);

        return name[0] != '.' && n_name > 5 && strcmp(name + n_name - 5, ".conf") == 0;
}

static int is_wanted(const struct dirent *entry)
{
        return config_files_want(entry->d_name);
}

/* alphasort() asks the locale. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int files_add_entry(const struct reading *reading, const char *directory, const char *name)
{
        _cleanup_(cleanup_free) char *path = NULL;
        struct stat st;
        int r;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = files_add(reading, path);
        if (r != -ENOENT)
                return r;
        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
                files_report(reading, path, "a link to nowhere", "a file");
        return 0;
}

static int files_keep_directory(const struct reading *reading, const char *directory)
{
        size_t n_directory = strlen(directory);

        for (size_t i = 0; i < reading->before->n_items; i++) {
                const char *path = reading->before->items[i].path;

                if (strncmp(path, directory, n_directory) == 0 && path[n_directory] == '/' &&
                    slots_add(reading, path, NULL) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int files_add_directory(const struct reading *reading, const char *directory)
{
        struct dirent **entries;
        int n, r = 0;

        if (!directory)
                return 0;
        n = scandir(directory, &entries, is_wanted, compare_entries);
        if (n < 0 && (errno == ENOENT || errno == ENOMEM))
                return errno == ENOENT ? 0 : -ENOMEM;
        if (n < 0) {
                files_report(reading, directory, strerror(errno), "a readable directory");
                return files_keep_directory(reading, directory);
        }
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = files_add_entry(reading, directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int files_add_targets(const struct reading *reading, const char *path, const char *list,
                             const char *const *targets, size_t n_targets)
{
        _cleanup_(config_file_unrefp) struct config_file *file = NULL;
        int r;

        r = config_targets_read(&file, path, list, targets, n_targets);
        return r < 0 ? r : slots_add(reading, path, file);
}

int config_files_read(struct config_slots *ret, const struct config_origin *origin, const struct config_slots *before,
                      bool reload)
{
        const struct reading reading = { .origin = origin, .before = before, .slots = ret, .reload = reload };
        int r;

        r = files_add_main(&reading);
        if (r >= 0)
                r = files_add_directory(&reading, origin->conf_dir);
        if (r >= 0)
                r = files_add_directory(&reading, origin->run_dir);
        if (r >= 0)
                r = files_add_targets(&reading, "K8SHSVC_SERVICES", origin->env_services, NULL, 0);
        if (r >= 0)
                r = files_add_targets(&reading, "--service", NULL, origin->services, origin->n_services);
        return r;
}
