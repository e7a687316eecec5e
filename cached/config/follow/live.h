#pragma once

/*
 * The configuration of a running daemon: read at the start, followed from then on.
 *
 * Owns the loader and the watch. What is wrong with the files is logged when it is new, and all of
 * it again when somebody asks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "config/config.h"
#include "config/follow/watch.h"

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
 * @event:   NULL: it is not going to be followed
 * @options: strings are borrowed for the life of the object
 * @fn:      called from the loop when config_live_load() is due
 * @pulse:   called now and then while a load takes long
 *
 * Return: 0, or errors of config_load(), which are logged.
 */
int config_live_new(struct config_live **ret, sd_event *event, const struct config_live_options *options,
                    config_watch_fn fn, void (*pulse)(void *userdata), void *userdata);
struct config_live *config_live_free(struct config_live *l);

/* As it was loaded last. */
const struct config *config_live_get(const struct config_live *l);
/* Errors in what was loaded last, and all lines that were logged about it, warnings too. */
size_t config_live_n_errors(const struct config_live *l);
size_t config_live_n_findings(const struct config_live *l);

/* @fn is called soon, whether or not anything has changed. */
void config_live_ask(struct config_live *l);
/* To be called every second. */
void config_live_beat(struct config_live *l);

/**
 * config_live_load() - read the configuration again
 * @asked: by a person, who wants to hear everything that is wrong
 *
 * Return: 1 it is another one; 0 it is what it was; -EAGAIN it changed while it was read: nothing
 * is taken, @fn is going to be called again; another negative errno: it stays what it was, and
 * that is logged.
 */
int config_live_load(struct config_live *l, bool asked);
