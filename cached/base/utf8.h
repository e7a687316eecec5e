#pragma once

/*
 * UTF-8, RFC 3629.
 */

#include <stddef.h>

/* Length of the UTF-8 character at @text, NUL-terminated; 0: it is none, or the end. */
size_t utf8_length(const char *text);
