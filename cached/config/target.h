#pragma once

/*
 * The targets of --service and K8SHSVC_SERVICES as a configuration file.
 */

#include "config/file/file.h"

/**
 * config_targets_read() - write targets as the sections and keys that they stand for
 * @path:    what findings name as their file
 * @list:    targets separated by blanks; NULL: none
 * @targets: one target each
 *
 * A target that is none is a finding.
 *
 * Return: 0; -ENOMEM.
 */
int config_targets_read(struct config_file **ret, const char *path, const char *list, const char *const *targets,
                        size_t n_targets);
