#pragma once

/*
 * Text from the table, which may hold any bytes, for people and their terminals.
 */

#include <stddef.h>
#include <stdio.h>

/* Writes @text with a `?` for everything that a terminal might act on. Return: how many columns it takes. */
size_t printable_write(FILE *to, const char *text);
