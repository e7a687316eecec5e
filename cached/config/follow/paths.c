/*
 * Where the configuration's files are, see config/follow/paths.h.
 *
 * A path is followed as the kernel follows it, component by component and link by link. Each
 * directory on the way is watched for the name that is looked up in it, the last one for all names:
 *
 *     /etc/k8shsvc/conf.d          /            "etc"
 *                                  /etc         "k8shsvc"
 *                                  /etc/k8shsvc "conf.d"
 *                                  .../conf.d   any
 *
 * So a directory that is missing is waited for where it would appear, and one that is moved away,
 * deleted, or reached by a link that changes (a ConfigMap volume only swaps `..data`) is noticed. A
 * watch is set before the name is looked up: no change falls between.
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "config/follow/paths.h"
#include "config/load.h"

#define LINKS_MAX 40U /* as the kernel */
#define PATHS_MAX 4096U

#define MASK                                                                                                           \
        (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF |           \
         IN_MOVE_SELF | IN_EXCL_UNLINK)

void config_paths_deinit(struct config_paths *paths)
{
        for (size_t i = 0; i < paths->n_items; i++) {
                free(paths->items[i].path);
                free(paths->items[i].name);
        }
        free(paths->items);
        paths->items = NULL;
        paths->n_items = paths->n_allocated = 0;
}

static bool paths_have(const struct config_paths *paths, int wd, const char *name)
{
        for (size_t i = 0; i < paths->n_items; i++) {
                const struct config_watched *item = &paths->items[i];

                if (item->wd == wd && (!item->name || (name && strcmp(item->name, name) == 0)))
                        return true;
        }
        return false;
}

bool config_paths_have(const struct config_paths *paths, int wd)
{
        for (size_t i = 0; i < paths->n_items; i++) {
                if (paths->items[i].wd == wd)
                        return true;
        }
        return false;
}

static int paths_push(struct config_paths *paths, int wd, const char *path, const char *name)
{
        struct config_watched item = { .wd = wd };

        if (paths->n_items == paths->n_allocated) {
                size_t n = paths->n_allocated ? paths->n_allocated * 2 : 32;
                struct config_watched *items = reallocarray(paths->items, n, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                paths->items = items;
                paths->n_allocated = n;
        }
        item.path = strdup(path);
        item.name = name ? strdup(name) : NULL;
        if (!item.path || (name && !item.name)) {
                free(item.path);
                free(item.name);
                return -ENOMEM;
        }
        paths->items[paths->n_items++] = item;
        return 0;
}

static void paths_fail(struct config_paths *paths, int error, const char *path)
{
        if (paths->error != 0)
                return;
        paths->error = error;
        (void)snprintf(paths->error_path, sizeof(paths->error_path), "%s", path);
}

/* Return: whether the way goes on here. What can't be watched may lead to what can. */
static bool paths_add(struct config_paths *paths, const char *path, const char *name)
{
        int wd, r;

        wd = inotify_add_watch(paths->fd, path, MASK);
        if (wd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return false;
        if (wd < 0) {
                paths_fail(paths, -errno, path);
                return true;
        }
        if (paths_have(paths, wd, name))
                return true;
        r = paths->n_items < PATHS_MAX ? paths_push(paths, wd, path, name) : -E2BIG;
        if (r < 0)
                paths_fail(paths, r, path);
        return true;
}

/* A way through the file system: @at has no link in it, @rest is still to be gone. */
struct way {
        char at[PATH_MAX];
        char rest[PATH_MAX];
        unsigned int n_links;
};

static bool way_begin(struct way *way, const char *at, const char *rest)
{
        way->n_links = 0;
        return (size_t)snprintf(way->at, sizeof(way->at), "%s", rest[0] == '/' ? "/" : at) < sizeof(way->at) &&
               (size_t)snprintf(way->rest, sizeof(way->rest), "%s", rest) < sizeof(way->rest);
}

/* Takes the next name off the rest. */
static bool way_name(struct way *way, char name[static NAME_MAX + 1])
{
        size_t start = strspn(way->rest, "/"), n = strcspn(way->rest + start, "/");

        if (n == 0 || n > NAME_MAX)
                return false;
        memcpy(name, way->rest + start, n);
        name[n] = '\0';
        memmove(way->rest, way->rest + start + n, strlen(way->rest + start + n) + 1);
        return true;
}

/* Goes one step on, into @name or to where it is a link to. Return: false where there is nothing. */
static bool way_step(struct way *way, const char *name)
{
        char next[PATH_MAX], target[PATH_MAX], rest[PATH_MAX];
        const char *gap = strcmp(way->at, "/") == 0 ? "" : "/";
        ssize_t n;

        if ((size_t)snprintf(next, sizeof(next), "%s%s%s", way->at, gap, name) >= sizeof(next))
                return false;
        n = readlink(next, target, sizeof(target) - 1);
        if (n < 0 && errno != EINVAL)
                return false;
        if (n < 0) {
                memcpy(way->at, next, strlen(next) + 1);
                return true;
        }
        target[n] = '\0';
        if (++way->n_links > LINKS_MAX ||
            (size_t)snprintf(rest, sizeof(rest), "%s/%s", target, way->rest) >= sizeof(rest))
                return false;
        memcpy(way->rest, rest, strlen(rest) + 1);
        if (target[0] == '/')
                memcpy(way->at, "/", 2);
        return true;
}

/* Return: whether the way has an end, which is then @way->at. */
static bool paths_go(struct config_paths *paths, struct way *way)
{
        char name[NAME_MAX + 1];

        while (way_name(way, name)) {
                if (strcmp(name, ".") == 0)
                        continue;
                /* The watch first: a change between the two calls would be missed. */
                if (strcmp(name, "..") != 0 && !paths_add(paths, way->at, name))
                        return false;
                if (!way_step(way, name))
                        return false;
        }
        return true;
}

/* Files of a directory that are links: what they lead to may change where it is. */
static void paths_links(struct config_paths *paths, const char *directory)
{
        DIR *dir = opendir(directory);
        struct dirent *entry;

        if (!dir)
                return;
        while ((entry = readdir(dir))) {
                struct way way;

                if ((entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) && config_load_wants(entry->d_name) &&
                    way_begin(&way, directory, entry->d_name))
                        (void)paths_go(paths, &way);
        }
        (void)closedir(dir);
}

void config_paths_add(struct config_paths *paths, const char *path, bool directory)
{
        struct way way;

        if (!way_begin(&way, ".", path) || !paths_go(paths, &way))
                return;
        if (paths_add(paths, way.at, NULL) && directory)
                paths_links(paths, way.at);
}
