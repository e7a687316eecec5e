#pragma once

/*
 * What the configuration's files look like from outside: to notice changes that no event tells.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define CONFIG_STAMP_PATHS 3 /* the main file, then directories; NULL: none */

/* What a path leads to. */
struct config_identity {
        dev_t dev;
        ino_t ino; /* 0: missing */
};

struct config_identity config_identify(const char *path);

/* Device, inode, size, mode and time of all files, in one number: equal while none of them changes. */
uint64_t config_stamp(const char *const paths[static CONFIG_STAMP_PATHS]);
