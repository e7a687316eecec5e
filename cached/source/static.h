#pragma once

/*
 * The static source: addresses that stand in the configuration. For a laptop, a test, a machine
 * outside the cluster. They are reported at once and confirmed every 30 seconds: they are true for
 * as long as the daemon lives.
 */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "source/source.h"

#define SOURCE_STATIC_TTL_S 60

struct source_static;

/* @config is borrowed during the call. Return: 0; -ENOMEM. */
int source_static_new(struct source_static **ret, const struct config_service *config, source_report_fn report,
                      void *userdata);
struct source_static *source_static_free(struct source_static *s);

/* Whether both have the same addresses. */
bool source_static_equal(const struct source_static *a, const struct source_static *b);

/* Reports both families, if it is time. */
void source_static_tick(struct source_static *s, uint64_t now_usec);
