#pragma once

/*
 * What decides where a path of the configuration leads to: directories and files, each with a watch
 * of inotify(7).
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A name in a directory, or, without a name, all of the directory, or a file. */
struct config_watched {
        int wd;
        char *path; /* of the directory or file */
        char *name;
};

struct config_paths {
        int fd; /* of inotify_init1(); set by the owner */
        struct config_watched *items;
        size_t n_items, n_allocated;
        int error; /* negative errno: not everything can be watched; the first that can't: */
        char error_path[PATH_MAX];
};

/**
 * config_paths_add() - set the watches of a path
 * @path:      absolute, or from the current directory; need not exist
 * @directory: all names in it count, and what those of configuration files lead to
 *
 * What happens to the path from now on is told by the watches. A directory that must be gone through
 * and can't be watched, or a want of memory, is noted in @paths.
 */
void config_paths_add(struct config_paths *paths, const char *path, bool directory);

/* Whether this watch is one of them. */
bool config_paths_have(const struct config_paths *paths, int wd);

/* Frees the items; the watches stay. */
void config_paths_deinit(struct config_paths *paths);
