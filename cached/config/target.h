#pragma once

/*
 * Targets of --service and K8SHSVC_SERVICES as configuration: each is written as the section and
 * key that it stands for, so that it is merged and judged like a file.
 */

#include "config/file/file.h"

/* Appends one target to @file; a bad one is a finding. Return: 0; -ENOMEM. */
int config_target_add(struct config_file *file, const char *target);
/* The same for a list of them. */
int config_targets_add(struct config_file *file, const char *targets);
