#pragma once

/*
 * The configuration as the daemon reads it, but for what its command line and environment add.
 */

#include "config/loader.h"

/* @report: NULL: findings are not of interest. Return: 0; a negative errno. Free @ret with config_free(). */
int ctl_load_configuration(struct config **ret, config_report_fn report, void *userdata);
