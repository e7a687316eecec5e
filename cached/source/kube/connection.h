#pragma once

/*
 * The way to the API server: which one the configuration means, with whose credentials.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/timer.h"
#include "source/kube/options.h"
#include "source/kube/transport/credentials.h"
#include "source/kube/watch/transport.h"

enum { CONNECTION_KUBECONFIG, CONNECTION_SERVER, CONNECTION_DIR, CONNECTION_HOST, CONNECTION_PORT, CONNECTION_N };

struct kube_connection {
        sd_event *event;
        struct timer retry;
        char *options[CONNECTION_N];
        char *error;                   /* why there are no credentials, as logged last */
        uint64_t hash;                 /* of the kubeconfig's text, as it was read last */
        struct kube_credentials *next; /* of a kubeconfig that has changed; NULL: it has not */
        struct kube_http *http;
};

/* @retried: it is time to open it again, or for the first time. Return: 0; a negative errno of sd-event. */
int kube_connection_init(struct kube_connection *c, sd_event *event, void (*retried)(void *userdata), void *userdata);
/* No call may be left. */
void kube_connection_deinit(struct kube_connection *c);

bool kube_connection_is_same(const struct kube_connection *c, const struct source_kube_options *options);
/* No call may be left; retried() comes soon. Return: 0 or -ENOMEM. */
int kube_connection_configure(struct kube_connection *c, const struct source_kube_options *options);

/* Whether a kubeconfig has changed: then no call may be left before it is opened again. A bad one changes nothing. */
bool kube_connection_has_changed(struct kube_connection *c);

/* Reads the credentials where there are none yet; nothing is sent. Return: NULL: there are none, retried() comes later.
 */
struct kube_transport *kube_connection_open(struct kube_connection *c);
