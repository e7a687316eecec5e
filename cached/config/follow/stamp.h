#pragma once

/*
 * What the configuration's files look like from outside, without reading them.
 */

#include <stdint.h>

#define CONFIG_STAMP_PATHS 3 /* the main file, then two directories; NULL: none */

/**
 * config_stamp() - all files in one number, which differs when one of them changes
 *
 * Looked at are the names of the configuration files and, of what each leads to through all links,
 * device, inode, size, mtime and ctime. What cannot be looked at counts by its error.
 */
uint64_t config_stamp(const char *const paths[static CONFIG_STAMP_PATHS]);
