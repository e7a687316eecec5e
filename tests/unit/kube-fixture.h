#pragma once

/*
 * Objects of the Kubernetes API, written as JSON with ' for ".
 */

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 1, 2))) static inline json_t *kube_json(const char *format, ...)
{
        json_error_t error;
        json_t *object;
        va_list ap;
        char *text;

        va_start(ap, format);
        cr_assert_geq(vasprintf(&text, format, ap), 0);
        va_end(ap);
        for (char *c = text; *c; c++)
                *c = *c == '\'' ? '"' : *c;
        object = json_loads(text, 0, &error);
        cr_assert(object, "%s at %d of %s", error.text, error.position, text);
        free(text);
        return object;
}
