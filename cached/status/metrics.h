#pragma once

/*
 * What Prometheus gets.
 */

#include <stdbool.h>
#include <stdio.h>

#include "status/snapshot.h"

/* @openmetrics: as OpenMetrics. */
void metrics_write(FILE *to, const struct snapshot *snapshot, bool openmetrics);
/* Content-Type. */
const char *metrics_type(bool openmetrics);
/* Whether the value of an Accept header, or NULL, asks for OpenMetrics. */
bool metrics_wants_open(const char *accept);
