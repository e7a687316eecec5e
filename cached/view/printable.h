#pragma once

/*
 * Text from the table, which may hold any bytes, for people and their terminals.
 */

#include <stddef.h>
#include <stdio.h>

/* Length of the UTF-8 character at @text, NUL-terminated; 0: it is none, or the end. */
size_t utf8_length(const char *text);

/* Writes @text with a `?` for everything that a terminal might act on. Return: how many columns it takes. */
size_t printable_write(FILE *to, const char *text);
