#pragma once

/*
 * What the API server lets this daemon do, asked before anything depends on it: k8shsvcd --check-config --live.
 */

#include <stdio.h>

#include "source/kube/options.h"
#include "source/source.h"

/**
 * kube_access_check() - ask for each right that these registrations need
 * @set: as the source would follow it
 * @to:  a comment for each check; then, as YAML for `kubectl apply -f -`, the Roles that are missing
 *
 * Runs a loop of its own. `get` on nodes is asked for where an order needs it; its lack is told and counts as fine.
 *
 * Return: 0: all rights are there; 1: some are not; a negative errno: they can't be asked for, which was logged.
 */
int kube_access_check(const struct source_kube_options *options, const struct source_set *set, FILE *to);
