#pragma once

/*
 * The daemon: the one owner of the event loop and of everything that runs on it.
 *
 * It reads the configuration, takes the directory's lock, begins with what the daemon before left,
 * publishes, and then does what signals, timers and the sources ask for, until SIGTERM. One thread;
 * no handler blocks.
 */

#include <stddef.h>

struct daemon_options {
        const char *config_file;     /* --config; NULL: the built-in path */
        const char *const *services; /* --service */
        size_t n_services;
        const char *env_services; /* K8SHSVC_SERVICES */
};

/**
 * daemon_run() - be the daemon
 *
 * Errors are logged where they happen, one line each.
 *
 * Return: exit status: 0 stopped by a signal; 1 it can't run here; 2 a bad target.
 */
int daemon_run(const struct daemon_options *options);

/* --check-config. Return: 0 all is clean; 1 errors, all of them logged; 2 a bad target. */
int daemon_check_config(const struct daemon_options *options);
