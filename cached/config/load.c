/*
 * Which files there are, see config/load.h.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/util.h"
#include "config/load.h"
#include "config/target.h"

int config_slot_compare(const void *a, const void *b)
{
        const struct config_slot *x = a, *y = b;

        return strcmp(x->path, y->path);
}

/* Takes over @fresh, also on failure. */
static int slot_add(struct config_load *load, const char *path, struct config_file *fresh)
{
        const struct config_slots *taken = load->taken;
        struct config_slots *slots = &load->slots;
        struct config_slot slot = { .fresh = fresh }, *known = NULL;

        if (slots->n_slots == slots->n_allocated) {
                size_t n = slots->n_allocated ? slots->n_allocated * 2 : 16;
                struct config_slot *larger = reallocarray(slots->slots, n, sizeof(*larger));

                if (!larger) {
                        config_file_free(fresh);
                        return -ENOMEM;
                }
                slots->slots = larger;
                slots->n_allocated = n;
        }
        slot.path = strdup(path);
        if (!slot.path) {
                config_file_free(fresh);
                return -ENOMEM;
        }
        if (taken->n_slots > 0)
                known = bsearch(&slot, taken->slots, taken->n_slots, sizeof(slot), config_slot_compare);
        if (known) {
                slot.known = true;
                slot.good = known->good;
        }
        slots->slots[slots->n_slots++] = slot;
        return 0;
}

/* -ENOENT: no such file. */
static int add_file(struct config_load *load, const char *path)
{
        struct config_file *file = NULL;
        int r;

        r = config_file_read(&file, path, &load->pulse);
        return r < 0 ? r : slot_add(load, path, file);
}

bool config_load_wants(const char *name)
{
        size_t n_name = strlen(name);

        return name[0] != '.' && n_name > 5 && strcmp(name + n_name - 5, ".conf") == 0;
}

static int is_configuration(const struct dirent *entry)
{
        return config_load_wants(entry->d_name);
}

/* alphasort() asks the locale. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void report_path(struct config_load *load, const char *path, const char *found, const char *expected)
{
        struct config_place place = { .path = path };

        config_findings_add(&load->findings, LOG_ERR, &place, "found %s, expected %s", found, expected);
}

static int add_directory_entry(struct config_load *load, const char *directory, const char *name)
{
        _cleanup_(cleanup_free) char *path = NULL;
        struct stat st;
        int r;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = add_file(load, path);
        if (r != -ENOENT)
                return r;
        /* Gone since the directory was read is no error, a link to nowhere is. */
        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
                report_path(load, path, "a link to nowhere", "a file");
        return 0;
}

/* A directory that can't be read: what is known of its files stays. */
static int keep_directory(struct config_load *load, const char *directory)
{
        const struct config_slots *taken = load->taken;
        size_t n_directory = strlen(directory);

        for (size_t i = 0; i < taken->n_slots; i++) {
                const char *path = taken->slots[i].path;

                if (strncmp(path, directory, n_directory) == 0 && path[n_directory] == '/' &&
                    slot_add(load, path, NULL) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_directory(struct config_load *load, const char *directory)
{
        struct dirent **entries;
        int n, r = 0;

        if (!directory)
                return 0;
        n = scandir(directory, &entries, is_configuration, compare_entries);
        if (n < 0) {
                if (errno == ENOENT)
                        return 0;
                if (errno == ENOMEM)
                        return -ENOMEM;
                report_path(load, directory, strerror(errno), "a readable directory");
                return keep_directory(load, directory);
        }
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = add_directory_entry(load, directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int add_main(struct config_load *load)
{
        const struct config_origin *origin = load->origin;
        const struct config_slot *slot;
        int r;

        if (!origin->main_file)
                return 0;
        r = add_file(load, origin->main_file);
        if (r == -ENOENT && origin->main_file_given) {
                report_path(load, origin->main_file, strerror(ENOENT), "a readable file");
                return load->reload ? slot_add(load, origin->main_file, NULL) : r;
        }
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        slot = &load->slots.slots[load->slots.n_slots - 1];
        return origin->main_file_given && !load->reload ? slot->fresh->error : 0;
}

/* Takes over @file, also on failure. */
static int add_target_file(struct config_load *load, struct config_file *file, const char *const *targets,
                           size_t n_targets)
{
        for (size_t i = 0; i < n_targets; i++) {
                int r = config_target_add(file, targets[i]);

                if (r < 0) {
                        config_file_free(file);
                        return r;
                }
        }
        return slot_add(load, file->path, file);
}

static int add_targets(struct config_load *load)
{
        const struct config_origin *origin = load->origin;
        _cleanup_(config_file_freep) struct config_file *environment = NULL, *flags = NULL;
        struct config_file *file;
        int r;

        r = config_file_new(&environment, "K8SHSVC_SERVICES");
        if (r >= 0)
                r = config_file_new(&flags, "--service");
        if (r >= 0 && origin->env_services)
                r = config_targets_add(environment, origin->env_services);
        if (r < 0)
                return r;
        file = environment;
        environment = NULL;
        r = slot_add(load, file->path, file);
        if (r < 0)
                return r;
        file = flags;
        flags = NULL;
        return add_target_file(load, file, origin->services, origin->n_services);
}

int config_load_read(struct config_load *load)
{
        int r;

        r = add_main(load);
        if (r >= 0)
                r = add_directory(load, load->origin->conf_dir);
        if (r >= 0)
                r = add_directory(load, load->origin->run_dir);
        if (r >= 0)
                r = add_targets(load);
        return r;
}

void config_load_deinit(struct config_load *load)
{
        for (size_t i = 0; i < load->slots.n_slots; i++) {
                config_file_free(load->slots.slots[i].fresh);
                free(load->slots.slots[i].path);
        }
        free(load->slots.slots);
        config_findings_clear(&load->findings);
}
