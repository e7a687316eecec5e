#pragma once

/*
 * The Kubernetes API as a source: EndpointSlices and pods, by list and watch.
 */

#include <systemd/sd-event.h>

#include "source/source.h"

/* Strings may be NULL where nothing is configured; they are copied. */
struct source_kube_options {
        const char *kubeconfig;                  /* file; wins over the following */
        const char *api_server;                  /* URL */
        const char *account_dir;                 /* of the service account; NULL: where the kubelet mounts it */
        const char *service_host, *service_port; /* KUBERNETES_SERVICE_HOST, _PORT */
        const char *zone, *node;                 /* configured, else of NODE_NAME */
        const char *host;                        /* this machine's name, which may be that of its node */
};

/**
 * source_kube_new() - follow services by the API
 *
 * Without usable credentials it reports failures, and looks for some every 30 s.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int source_kube_new(struct source **ret, sd_event *event, const struct source_kube_options *options);

/* Takes other options; watches begin anew where they name another server or other credentials. Return: 0 or -ENOMEM. */
int source_kube_reconfigure(struct source *source, const struct source_kube_options *options);
