#pragma once

/*
 * The configuration of a running daemon: read at the start, followed from then on.
 *
 * Owns the loader and the follower. Findings are logged when they are new, and all of them again
 * when somebody asks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "config/follow/follower.h"
#include "config/loader.h"

struct config_live;

struct config_live_options {
        const char *main_file;       /* --config; NULL: the built-in path */
        const char *const *services; /* --service */
        size_t n_services;
        const char *env_services; /* K8SHSVC_SERVICES */
        const char *resolv_conf;  /* for namespace = auto */
};

/**
 * config_live_new() - read the configuration for the first time
 * @event:   NULL: the files are not followed
 * @options: strings are borrowed for the life of the object
 * @fn:      called from the loop when config_live_load() is due
 *
 * Return: 0, or errors of config_load(), which are logged.
 */
int config_live_new(struct config_live **ret, sd_event *event, const struct config_live_options *options,
                    config_follower_fn fn, void *userdata);
struct config_live *config_live_free(struct config_live *l);

/* The one that is in use. */
const struct config *config_live_get(const struct config_live *l);
/* Errors in what was loaded last, and all lines that were logged about it, warnings too. */
size_t config_live_n_errors(const struct config_live *l);
size_t config_live_n_findings(const struct config_live *l);

/* @fn is called soon, whether or not anything has changed. */
void config_live_ask(struct config_live *l);

/**
 * config_live_load() - read the configuration again
 * @asked: by a person: all findings are logged, not only new ones
 *
 * Return: 1: it is another one; 0: it is what it was; -EAGAIN: the files changed while they were
 * read, nothing is taken and @fn is going to be called again; another negative errno: it stays what
 * it was, which is logged.
 */
int config_live_load(struct config_live *l, bool asked);
