#pragma once

/*
 * From the bytes of an INI file to its entries.
 */

#include "config/file/file.h"

#define CONFIG_LINE_MAX (64U << 10) /* bytes, without the end of the line */

/**
 * config_ini_parse() - fill the entries of a file from its text
 * @file:   file->text holds the bytes and a NUL behind them, and is cut up in place
 * @n_text: number of bytes, among them no NUL
 *
 * Syntax errors go to file->reading and mark the file as broken; its entries then mean nothing.
 *
 * Return: 0; -ENOMEM.
 */
int config_ini_parse(struct config_file *file, size_t n_text);
