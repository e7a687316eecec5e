#pragma once

/*
 * Loading: from all files, K8SHSVC_SERVICES and --service to one struct config.
 *
 * What is good stays: an error costs one key or one file, never the daemon. The loader keeps the
 * last good version of each file, so that a reload with a broken file changes nothing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/origin.h"

/*
 * config_report_fn() - one finding, ready to print: "FILE:LINE: [SECTION] KEY: found, expected".
 * @priority is LOG_ERR for what was left out, LOG_WARNING for what was mended.
 */
typedef void (*config_report_fn)(void *userdata, int priority, const char *message);

struct config_loader;

/* @origin is borrowed for the life of the loader. Return: 0; -ENOMEM. */
int config_loader_new(struct config_loader **ret, const struct config_origin *origin, config_report_fn report,
                      void *userdata);
struct config_loader *config_loader_free(struct config_loader *loader);

/**
 * config_load() - read all files (again) and merge them
 * @ret:        the new configuration, owned by the caller; always usable on success
 * @ret_errors: number of errors, 0 when all is clean; a warning is none
 *
 * Lowest first: defaults, main file, conf_dir, run_dir (each in strcmp order), K8SHSVC_SERVICES,
 * --service. A later file replaces a key's whole value. An empty value restores the inherited one:
 * what the key would be had no file set it, that is [daemon]'s for source, refresh-min,
 * refresh-max and max-stale of a service and the built-in default for all others.
 *
 * The first call is the start: a file with a syntax error is skipped, of a readable file only a bad
 * key or section. Later calls are reloads: a file that has changed and has any error counts as its
 * last good version, or as absent where there is none. What the start has taken of a bad file is
 * its last good version. A file that is gone is forgotten, except that of --config.
 *
 * On failure nothing is forgotten: the next call finds the last good versions that this one found.
 *
 * Return: 0; -ENOMEM; only from the first call: -EINVAL when a --service or K8SHSVC_SERVICES target
 * is bad (reported), another negative errno when the file of --config cannot be read (reported). A
 * target that a reload makes bad is an error like others.
 */
int config_load(struct config_loader *loader, struct config **ret, size_t *ret_errors);

/*
 * Whether the last successful load used what the one before it used, to the letter and line. The
 * namespace may differ all the same: `auto` asks other files.
 */
bool config_loader_unchanged(const struct config_loader *loader);
