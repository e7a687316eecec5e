#pragma once

/*
 * Reading one configuration file.
 */

#include "config/file/file.h"

#define CONFIG_FILE_MAX (16U << 20) /* bytes */

/**
 * config_file_read() - read a file as INI
 *
 * Return: 0, also when the file is broken (see there); -ENOENT; -ENOMEM.
 */
int config_file_read(struct config_file **ret, const char *path);
