#pragma once

/*
 * The sources that know the cluster, as one: the Kubernetes API, else DNS; DNS alone where the other was left out of
 * the build.
 */

#include <stdio.h>
#include <systemd/sd-event.h>

#include "config/config.h"
#include "source/source.h"

struct cluster;

/* @dns is the cluster's to free, on success. Return: 0; -ENOMEM or another negative errno of sd-event. */
int cluster_new(struct cluster **ret, sd_event *event, struct source *dns, const struct config *config);
/* Its source goes with it. */
struct cluster *cluster_free(struct cluster *n);

/* What this node is called, and its zone, by the configuration, else the environment. NULL: neither says. */
const char *cluster_node(const struct config *config);
const char *cluster_zone(const struct config *config);

struct source *cluster_source(const struct cluster *n);
/* Server, credentials, zone and node are those of the configuration from now on. */
void cluster_reconfigure(struct cluster *n, const struct config *config);

/*
 * Asks the API server for each right that the configuration needs: lines and missing Roles go to @to, as YAML. Return:
 * 0: all are there, or none is needed; 1: some are not; a negative errno: they can't be asked for, which was logged.
 */
int cluster_check_access(const struct config *config, FILE *to);
