#pragma once

/*
 * Fields of JSON objects, of the type that they should have: the API leaves out what is empty or writes
 * null, and what comes in another type is a fault of the object, not of this daemon.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The field, or NULL where it is missing, null or of another type; the last sets *ret_bad. */
json_t *kube_field(const json_t *object, const char *name, json_type type, bool *ret_bad);
/* A string's text; NULL: it is none, or has a NUL byte, as nothing has that we look at. */
const char *kube_text(const json_t *value);
/* The field of a string's text, and that of a boolean that may be missing. */
const char *kube_field_text(const json_t *object, const char *name, bool *ret_bad);
bool kube_field_bool(const json_t *object, const char *name, bool missing, bool *ret_bad);

/* Of metadata; NULL where there is none. */
const char *kube_object_name(const json_t *object);
const char *kube_object_namespace(const json_t *object);
const char *kube_object_label(const json_t *object, const char *label);
const char *kube_object_annotation(const json_t *object, const char *annotation);
const char *kube_object_version(const json_t *object);

/* Microseconds since 1970 of "2026-11-29T00:55:49.123Z"; 0: it is no such time. */
uint64_t kube_time_parse(const char *text);

/* RFC 1123: 1..63 of [a-z0-9-], no dash at either end. */
bool kube_is_label(const char *text);
/* Labels with dots between them, 1..253 bytes. */
bool kube_is_name(const char *text);

/* For the log: at most @n_ret - 1 bytes of what a server sent, without any that a terminal would act on. Returns @ret.
 */
const char *kube_printable(const char *text, char *ret, size_t n_ret);
