#pragma once

/*
 * Merging: files in their order, lowest first, into one struct config.
 */

#include "config/config.h"
#include "config/file/file.h"
#include "config/origin.h"

#define CONFIG_SERVICES_MAX 100000U /* of each kind: [service], [pods], [namespace] */

/**
 * config_merge() - merge @files, whose ->merging tells afterwards what was left out of each
 *
 * Return: 0; -ENOMEM.
 */
int config_merge(struct config **ret, const struct config_origin *origin, struct config_file **files, size_t n_files);
