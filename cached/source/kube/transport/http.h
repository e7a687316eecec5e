#pragma once

/*
 * The transport of the watches: HTTPS to one API server by libcurl, on the event loop.
 */

#include <systemd/sd-event.h>

#include "source/kube/transport/credentials.h"
#include "source/kube/watch/transport.h"

struct kube_http;

/**
 * kube_http_new() - speak to the server of these credentials
 * @credentials: taken over on success
 *
 * Nothing is connected before the first request. Requests share one connection where the server speaks
 * HTTP/2.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int kube_http_new(struct kube_http **ret, sd_event *event, struct kube_credentials *credentials);
/* Not from within a callback. No call may be left. */
struct kube_http *kube_http_free(struct kube_http *h);

struct kube_transport *kube_http_transport(struct kube_http *h);
