#pragma once

/*
 * What the configuration and the environment say of the API server and of this machine.
 */

/* Strings may be NULL where nothing is configured; they are copied. */
struct source_kube_options {
        const char *kubeconfig;                  /* file; wins over the following */
        const char *api_server;                  /* URL */
        const char *account_dir;                 /* of the service account; NULL: where the kubelet mounts it */
        const char *service_host, *service_port; /* KUBERNETES_SERVICE_HOST, _PORT */
        const char *zone, *node;                 /* configured, else of NODE_ZONE, NODE_NAME */
        const char *host;                        /* this machine's name, which may be that of its node */
};
