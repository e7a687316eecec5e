#pragma once

/*
 * /api/services: the JSON of `k8shsvcctl list`, piece by piece.
 */

#include <microhttpd.h>

#include "status/snapshot.h"

/*
 * A response that reads from @snapshot as the client takes it. @n_streams is higher by one as long as it is there, and
 * must outlive it. Return: NULL for want of memory.
 */
struct MHD_Response *stream_new(struct snapshot *snapshot, unsigned int *n_streams);
