#pragma once

/*
 * From the bytes of an INI file to its entries, by libini_config.
 */

#include "config/file/file.h"

/**
 * config_ini_parse() - append the entries of a text to @file
 *
 * @text: without NUL bytes; text[n_text] must be writable, and is as before in the end
 *
 * Syntax errors are added to file->reading and mark the file as broken; its entries then mean
 * nothing.
 *
 * Return: 0; -ENOMEM.
 */
int config_ini_parse(struct config_file *file, char *text, size_t n_text, const struct config_pulse *pulse);
