/*
 * Which version of each file is used, what is reported about it, and what is remembered.
 *
 *     files         which files there are; read, ini and target turn each into entries
 *       |
 *     loader        chooses a version of each, merges, and looks at the findings
 *       |           ^
 *     merge         entries to struct config, findings on the way
 *
 * At the start files are taken as they are. On a reload a file with errors is exchanged for its last
 * good version, or left out when it never had one, and all is merged again until no file is left to
 * exchange: an alias that collides makes a file bad only in the company of others. Each file is
 * exchanged at most once, so this ends.
 *
 * A file that has not changed since it was taken, errors included, stays as it is: the start
 * accepted it without its bad keys, and that is its last good version.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/util.h"
#include "config/files.h"
#include "config/loader.h"
#include "config/merge/merge.h"

struct config_loader {
        const struct config_origin *origin;
        config_report_fn report;
        void *userdata;
        struct config_slots taken; /* of the last load, sorted by path */
        bool started;
        bool unchanged; /* the last load found what the one before had taken */
};

/* ---- which version is used ---- */

static bool has_errors(const struct config_file *file)
{
        return file->broken || file->reading.n_errors > 0 || file->merging.n_errors > 0;
}

static bool is_target_slot(const struct config_slots *slots, size_t i)
{
        return i + CONFIG_TARGET_SLOTS >= slots->n_items;
}

static bool has_target_errors(const struct config_slots *slots)
{
        for (size_t i = 0; i < slots->n_items; i++)
                if (is_target_slot(slots, i) && has_errors(slots->items[i].fresh))
                        return true;
        return false;
}

static void loader_choose(const struct config_loader *loader, struct config_slots *slots)
{
        for (size_t i = 0; i < slots->n_items; i++) {
                struct config_slot *slot = &slots->items[i];

                slot->used = slot->fresh && !slot->fresh->broken ? slot->fresh : NULL;
                slot->settled = !loader->started || is_target_slot(slots, i);
                if (loader->started && !slot->used)
                        slot->used = slot->good;
                else if (slot->used && slot->good && config_file_equal(slot->fresh, slot->good))
                        slot->settled = true;
        }
}

/* Exchanges the new versions that turned out bad. Return: whether there were any. */
static bool loader_exchange(struct config_slots *slots)
{
        bool exchanged = false;

        for (size_t i = 0; i < slots->n_items; i++) {
                struct config_slot *slot = &slots->items[i];

                if (slot->settled || !slot->used || slot->used != slot->fresh || !has_errors(slot->fresh))
                        continue;
                slot->used = slot->good;
                exchanged = true;
        }
        return exchanged;
}

static int loader_merge(const struct config_loader *loader, struct config_slots *slots, struct config **ret)
{
        _cleanup_(cleanup_free) struct config_file **files = calloc(slots->n_items, sizeof(*files));
        struct config *config = NULL;
        int r;

        if (!files)
                return -ENOMEM;
        loader_choose(loader, slots);
        do {
                size_t n_files = 0;

                for (size_t i = 0; i < slots->n_items; i++)
                        if (slots->items[i].used)
                                files[n_files++] = slots->items[i].used;
                config = config_free(config);
                r = config_merge(&config, loader->origin, files, n_files);
                if (r < 0)
                        return r;
        } while (loader_exchange(slots));
        *ret = config;
        return 0;
}

/* ---- what is reported ---- */

__attribute__((format(printf, 3, 4))) static void loader_report(const struct config_loader *loader, int priority,
                                                                const char *format, ...)
{
        _cleanup_(cleanup_free) char *message = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&message, format, args) < 0)
                message = NULL;
        va_end(args);
        if (message && loader->report)
                loader->report(loader->userdata, priority, message);
}

/* Return: the number of errors. */
static size_t loader_report_findings(const struct config_loader *loader, const char *path,
                                     struct config_findings *findings)
{
        size_t n_hidden = findings->n_errors;

        config_findings_sort(findings);
        for (size_t i = 0; i < findings->n_items; i++) {
                loader_report(loader, findings->items[i].priority, "%s", findings->items[i].message);
                n_hidden -= findings->items[i].priority <= LOG_ERR;
        }
        if (n_hidden > 0)
                loader_report(loader, LOG_ERR, "%s: found %zu more errors", path, n_hidden);
        return findings->n_errors;
}

static size_t loader_report_all(const struct config_loader *loader, struct config_slots *slots)
{
        size_t n_errors = loader_report_findings(loader, "configuration", &slots->findings);

        for (size_t i = 0; i < slots->n_items; i++) {
                const struct config_slot *slot = &slots->items[i];

                if (!slot->fresh)
                        continue;
                n_errors += loader_report_findings(loader, slot->path, &slot->fresh->reading);
                n_errors += loader_report_findings(loader, slot->path, &slot->fresh->merging);
                if (slot->used != slot->fresh && loader->started)
                        loader_report(loader, LOG_WARNING, "%s: %s", slot->path,
                                      slot->used ? "its last good version stays in use"
                                                 : "left out as a whole until it is mended");
        }
        return n_errors;
}

/* ---- what is remembered ---- */

static bool is_unchanged(const struct config_loader *loader, const struct config_slots *slots)
{
        if (!loader->started || loader->taken.n_items != slots->n_items)
                return false;
        for (size_t i = 0; i < slots->n_items; i++) {
                const struct config_slot *slot = &slots->items[i];

                if (!slot->known || !slot->used != !slot->good)
                        return false;
                if (slot->used && slot->used != slot->good && !config_file_equal(slot->used, slot->good))
                        return false;
        }
        return true;
}

/* The used versions become the last good ones. Cannot fail. */
static void loader_commit(struct config_loader *loader, struct config_slots *slots)
{
        loader->unchanged = is_unchanged(loader, slots);
        for (size_t i = 0; i < slots->n_items; i++) {
                struct config_slot *slot = &slots->items[i];
                struct config_file *good = config_file_ref(slot->used);

                config_file_unref(slot->good);
                slot->fresh = config_file_unref(slot->fresh);
                slot->used = NULL;
                slot->good = good;
        }
        config_findings_clear(&slots->findings);
        config_slots_sort(slots);
        config_slots_deinit(&loader->taken);
        loader->taken = *slots;
        *slots = (struct config_slots){ 0 };
        loader->started = true;
}

/* ---- the interface ---- */

int config_loader_new(struct config_loader **ret, const struct config_origin *origin, config_report_fn report,
                      void *userdata)
{
        struct config_loader *loader = calloc(1, sizeof(*loader));

        if (!loader)
                return -ENOMEM;
        loader->origin = origin;
        loader->report = report;
        loader->userdata = userdata;
        *ret = loader;
        return 0;
}

struct config_loader *config_loader_free(struct config_loader *loader)
{
        if (!loader)
                return NULL;
        config_slots_deinit(&loader->taken);
        free(loader);
        return NULL;
}

static void config_freep(struct config **config)
{
        config_free(*config);
}

int config_load(struct config_loader *loader, struct config **ret, size_t *ret_errors)
{
        _cleanup_(config_slots_deinit) struct config_slots slots = { 0 };
        _cleanup_(config_freep) struct config *config = NULL;
        size_t n_errors;
        int r;

        r = config_files_read(&slots, loader->origin, &loader->taken, loader->started);
        if (r >= 0)
                r = loader_merge(loader, &slots, &config);
        if (r == -ENOMEM)
                return r;
        n_errors = loader_report_all(loader, &slots);
        if (r < 0)
                return r;
        if (!loader->started && has_target_errors(&slots))
                return -EINVAL;

        loader_commit(loader, &slots);
        *ret_errors = n_errors;
        *ret = config;
        config = NULL;
        return 0;
}

bool config_loader_unchanged(const struct config_loader *loader)
{
        return loader->unchanged;
}
