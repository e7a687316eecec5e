#pragma once

/*
 * The daemon: the owner of the event loop and of everything that runs on it.
 *
 * It reads the configuration, locks the directory, takes over what the previous daemon left, publishes, and
 * serves signals, timers and sources until SIGTERM. One thread; no handler blocks.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct daemon_options {
        const char *config_file;     /* --config; NULL: the built-in path */
        const char *const *services; /* --service */
        size_t n_services;
        const char *env_services;   /* K8SHSVC_SERVICES */
        enum log_format log_format; /* LOG_FORMAT_AUTO: as configured */
};

/**
 * daemon_run() - run until a signal stops it
 *
 * Logs each error where it happens.
 *
 * Return: the exit status: 0 stopped by a signal; 1 it can't run here; 2 a target is malformed.
 */
int daemon_run(const struct daemon_options *options);

/*
 * --check-config; with @live it also asks the API server for the rights that are needed. Return: the exit status: 0 all
 * is clean; 1 errors, all logged, or rights that are missing; 2 a target is malformed.
 */
int daemon_check_config(const struct daemon_options *options, bool live);
