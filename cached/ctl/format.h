#pragma once

/*
 * The format of `resolve --format`: text with {fields}.
 */

#include <stdio.h>

#include "base/hint.h"
#include "view/service.h"

#define FORMAT_FIELDS "{addr}, {port}, {host}, {ordinal}, {node}, {zone}, {service} or {family}"

struct format_error {
        char found[64];   /* what is no field */
        char field[16];   /* of which nothing is known */
        char address[46]; /* of the endpoint */
        struct hint hint;
};

/* Return: 0; -EINVAL: @error has found and hint. */
int format_check(const char *format, struct format_error *error);

/**
 * format_write() - write a line for one endpoint
 * @format: checked
 *
 * `{{` and `}}` are braces. An IPv6 address before a colon stands in brackets, as it must in URLs and configuration
 * files.
 *
 * Return: 0; -ENODATA: nothing is known of a field, @error has field and address, and nothing was written.
 */
int format_write(FILE *to, const char *format, const struct view_service *service, const struct view_endpoint *endpoint,
                 struct format_error *error);
