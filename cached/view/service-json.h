#pragma once

/*
 * A service as JSON: the keys that programs rely on. Keys are only ever added; what is unknown is null.
 */

#include "view/json.h"
#include "view/service.h"

/* @service: whole. @key: as in view/json.h. */
void view_service_json(struct json_writer *w, const char *key, const struct view_service *service);

/* The address as text. */
const char *view_endpoint_address(const struct view_endpoint *endpoint, char ret[static 46]);
