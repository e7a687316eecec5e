#pragma once

/*
 * The static source: addresses that stand in the configuration. For a laptop, a test, a machine outside the
 * cluster.
 */

#include "source/source.h"

/* Return: 0; -ENOMEM. */
int source_static_new(struct source **ret);
