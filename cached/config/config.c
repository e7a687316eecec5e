/*
 * The configuration, see config/config.h: which version of each file is used, what is said about it, and
 * the life of struct config and struct config_loader. The stages, each its own module:
 *
 *     config-load     which files there are
 *     config-file     the bytes of one, by config-ini (libini_config) to sections and keys
 *     config-target   --service and K8SHSVC_SERVICES as such a file
 *     config-merge    all of them, by config-name, config-key, config-field and config-value
 *     config-complete what no single key can know, with config-alias
 *
 * A load reads all files and merges them. At the start the files are taken as they are. On a
 * reload a file with errors is exchanged for its last good version, or left out when it never had
 * one, and all is merged again, until no file is left to exchange: an alias that collides makes a
 * file bad only in the company of others. Each file is exchanged once at most, so this ends.
 *
 * A file that has not changed since it was taken, errors included, stays as it is: at the start it
 * was accepted without its bad keys, and that is its last good version.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "config/config.h"
#include "config/keys/key.h"
#include "config/load.h"
#include "config/merge.h"

struct config_loader {
        const struct config_origin *origin;
        config_report_fn report;
        void *userdata;
        struct config_slots taken; /* of the last load, sorted by path */
        void (*pulse)(void *userdata);
        bool started;
        bool unchanged; /* the last load has found what the one before had taken */
};

static void loader_report(const struct config_loader *loader, int priority, const char *message)
{
        if (loader->report)
                loader->report(loader->userdata, priority, message);
}

/* The bad --service and K8SHSVC_SERVICES: the last two slots. */
static size_t count_target_errors(const struct config_load *load)
{
        size_t n_errors = 0;

        for (size_t i = load->slots.n_slots - CONFIG_TARGET_SLOTS; i < load->slots.n_slots; i++) {
                const struct config_file *file = load->slots.slots[i].fresh;

                n_errors += file->reading.n_errors + file->merging.n_errors;
        }
        return n_errors;
}

/* --- which version is used --- */

static bool has_errors(const struct config_file *file)
{
        return file->broken || file->reading.n_errors > 0 || file->merging.n_errors > 0;
}

static void choose(struct config_load *load)
{
        for (size_t i = 0; i < load->slots.n_slots; i++) {
                struct config_slot *slot = &load->slots.slots[i];

                slot->used = slot->fresh && !slot->fresh->broken ? slot->fresh : NULL;
                slot->settled = i + CONFIG_TARGET_SLOTS >= load->slots.n_slots || !load->reload;
                if (!load->reload)
                        continue;
                if (!slot->used)
                        slot->used = slot->good;
                else if (slot->good && config_file_equal(slot->fresh, slot->good))
                        slot->settled = true;
        }
}

/* Exchanges the new versions that turned out bad. Return: whether there were any. */
static bool exchange(struct config_load *load)
{
        bool exchanged = false;

        for (size_t i = 0; i < load->slots.n_slots; i++) {
                struct config_slot *slot = &load->slots.slots[i];

                if (slot->settled || !slot->used || slot->used != slot->fresh || !has_errors(slot->fresh))
                        continue;
                slot->used = slot->good;
                exchanged = true;
        }
        return exchanged;
}

static int merge(struct config_load *load, struct config **ret)
{
        _cleanup_(cleanup_free) struct config_file **files = NULL;
        struct config *config = NULL;
        int r;

        files = calloc(load->slots.n_slots, sizeof(struct config_file *));
        if (!files)
                return -ENOMEM;
        choose(load);
        do {
                size_t n_files = 0;

                for (size_t i = 0; i < load->slots.n_slots; i++)
                        if (load->slots.slots[i].used)
                                files[n_files++] = load->slots.slots[i].used;
                config = config_free(config);
                r = config_merge(&config, load->origin, files, n_files);
                if (r < 0)
                        return r;
        } while (exchange(load));
        *ret = config;
        return 0;
}

/* --- what is said --- */

static int emit(const struct config_loader *loader, const char *path, struct config_findings *findings,
                size_t *n_errors)
{
        _cleanup_(cleanup_free) char *more = NULL;
        size_t n_shown = 0;

        if (findings->no_memory)
                return -ENOMEM;
        config_findings_sort(findings);
        for (size_t i = 0; i < findings->n_items; i++) {
                loader_report(loader, findings->items[i].priority, findings->items[i].message);
                n_shown += findings->items[i].priority <= LOG_ERR;
        }
        *n_errors += findings->n_errors;
        if (findings->n_errors == n_shown)
                return 0;
        if (asprintf(&more, "%s: found %zu more errors", path, findings->n_errors - n_shown) < 0) {
                more = NULL;
                return -ENOMEM;
        }
        loader_report(loader, LOG_ERR, more);
        return 0;
}

static int emit_slot(const struct config_loader *loader, const struct config_slot *slot, size_t *n_errors)
{
        _cleanup_(cleanup_free) char *notice = NULL;
        int r;

        if (!slot->fresh)
                return 0;
        r = emit(loader, slot->path, &slot->fresh->reading, n_errors);
        if (r >= 0)
                r = emit(loader, slot->path, &slot->fresh->merging, n_errors);
        if (r < 0 || slot->used == slot->fresh || !loader->started)
                return r;
        if (asprintf(&notice, "%s: %s", slot->path,
                     slot->used ? "its last good version stays in use" : "left out as a whole until it is mended") <
            0) {
                notice = NULL;
                return -ENOMEM;
        }
        loader_report(loader, LOG_WARNING, notice);
        return 0;
}

static int emit_all(const struct config_loader *loader, struct config_load *load, size_t *ret_n_errors)
{
        size_t n_errors = 0;
        int r;

        r = emit(loader, "configuration", &load->findings, &n_errors);
        for (size_t i = 0; i < load->slots.n_slots && r >= 0; i++)
                r = emit_slot(loader, &load->slots.slots[i], &n_errors);
        if (r >= 0)
                *ret_n_errors = n_errors;
        return r;
}

/* --- what is remembered --- */

static void slots_deinit(struct config_slots *slots)
{
        for (size_t i = 0; i < slots->n_slots; i++) {
                config_file_free(slots->slots[i].good);
                free(slots->slots[i].path);
        }
        free(slots->slots);
        *slots = (struct config_slots){ 0 };
}

static bool is_unchanged(const struct config_loader *loader, const struct config_load *load)
{
        if (!loader->started || loader->taken.n_slots != load->slots.n_slots)
                return false;
        for (size_t i = 0; i < load->slots.n_slots; i++) {
                const struct config_slot *slot = &load->slots.slots[i];

                if (!slot->known || !slot->used != !slot->good)
                        return false;
                if (slot->used && slot->used != slot->good && !config_file_equal(slot->used, slot->good))
                        return false;
        }
        return true;
}

/* The used versions become the last good ones. Can't fail. */
static void commit(struct config_loader *loader, struct config_load *load)
{
        struct config_slots *taken = &loader->taken;

        loader->unchanged = is_unchanged(loader, load);
        for (size_t i = 0; i < load->slots.n_slots; i++) {
                struct config_slot *slot = &load->slots.slots[i];

                if (slot->used == slot->fresh) {
                        slot->good = slot->fresh;
                        slot->fresh = NULL;
                } else if (slot->used) {
                        struct config_slot *known;

                        known = bsearch(slot, taken->slots, taken->n_slots, sizeof(*slot), config_slot_compare);
                        known->good = NULL;
                } else {
                        slot->good = NULL;
                }
                config_file_free(slot->fresh);
                slot->fresh = NULL;
        }
        slots_deinit(taken);
        *taken = load->slots;
        load->slots = (struct config_slots){ 0 };
        qsort(taken->slots, taken->n_slots, sizeof(*taken->slots), config_slot_compare);
        loader->started = true;
}

/* --- the interface --- */

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
        slots_deinit(&loader->taken);
        free(loader);
        return NULL;
}

void config_loader_set_pulse(struct config_loader *loader, void (*pulse)(void *userdata))
{
        loader->pulse = pulse;
}

static void config_freep(struct config **config)
{
        config_free(*config);
}

int config_load(struct config_loader *loader, struct config **ret, size_t *ret_errors)
{
        _cleanup_(config_load_deinit) struct config_load load = { .origin = loader->origin,
                                                                  .taken = &loader->taken,
                                                                  .reload = loader->started,
                                                                  .pulse = { .fn = loader->pulse,
                                                                             .userdata = loader->userdata } };
        _cleanup_(config_freep) struct config *config = NULL;
        size_t n_errors = 0;
        int r, r_emit;

        r = config_load_read(&load);
        if (r >= 0)
                r = merge(&load, &config);
        if (r == -ENOMEM)
                return r;
        r_emit = emit_all(loader, &load, &n_errors);
        if (r < 0 || r_emit < 0)
                return r < 0 ? r : r_emit;
        if (!loader->started && count_target_errors(&load) > 0)
                return -EINVAL;

        commit(loader, &load);
        *ret_errors = n_errors;
        *ret = config;
        config = NULL;
        return 0;
}

bool config_loader_unchanged(const struct config_loader *loader)
{
        return loader->unchanged;
}

static void services_free(struct config_service *services, size_t n_services)
{
        for (size_t i = 0; i < n_services; i++)
                config_service_deinit(&services[i]);
        free(services);
}

struct config *config_free(struct config *config)
{
        if (!config)
                return NULL;
        services_free(config->services, config->n_services);
        services_free(config->pods, config->n_pods);
        services_free(config->namespaces, config->n_namespaces);
        config_keys_free(config_daemon_keys, CONFIG_N_DAEMON_KEYS, config);
        free(config);
        return NULL;
}

static int compare_key(const void *key, const void *service)
{
        return strcmp(key, ((const struct config_service *)service)->key);
}

const struct config_service *config_find(const struct config *config, const char *key)
{
        if (config->n_services == 0)
                return NULL;
        return bsearch(key, config->services, config->n_services, sizeof(config->services[0]), compare_key);
}
