/* What files look like from outside, see config/follow/stamp.h. */

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config/follow/stamp.h"
#include "config/load.h"

struct config_identity config_identify(const char *path)
{
        struct stat st;

        if (!path || stat(path, &st) < 0)
                return (struct config_identity){ 0 };
        return (struct config_identity){ .dev = st.st_dev, .ino = st.st_ino };
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
        hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
        return hash ^ hash >> 29;
}

static uint64_t stamp_file(const char *directory, const char *name)
{
        char path[PATH_MAX];
        uint64_t hash = 1;
        struct stat st;

        if ((size_t)snprintf(path, sizeof(path), "%s%s%s", directory, *name ? "/" : "", name) >= sizeof(path) ||
            stat(path, &st) < 0)
                return 0;
        for (const char *c = name; *c; c++)
                hash = mix(hash, (unsigned char)*c);
        hash = mix(hash, st.st_dev);
        hash = mix(hash, st.st_ino);
        hash = mix(hash, (uint64_t)st.st_size);
        hash = mix(hash, (uint64_t)st.st_mode);
        hash = mix(hash, (uint64_t)st.st_ctim.tv_sec);
        return mix(hash, (uint64_t)st.st_ctim.tv_nsec);
}

/* Of all files: equal while none of them changes. A sum, since a directory has no order. */
uint64_t config_stamp(const char *const paths[static CONFIG_STAMP_PATHS])
{
        uint64_t sum = paths[0] ? stamp_file(paths[0], "") : 0;

        for (size_t i = 1; i < CONFIG_STAMP_PATHS; i++) {
                DIR *dir = paths[i] ? opendir(paths[i]) : NULL;
                struct dirent *entry;

                while (dir && (entry = readdir(dir))) {
                        if (config_load_wants(entry->d_name))
                                sum += mix(stamp_file(paths[i], entry->d_name), i);
                }
                if (dir)
                        (void)closedir(dir);
        }
        return sum;
}
