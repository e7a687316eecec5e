#pragma once

/*
 * One list+watch of the Kubernetes API, kept open for ever: see watch.c for the states.
 *
 * No sockets and no loop of its own: requests go to a transport, objects to a sink, and the sink calls
 * kube_watch_tick() when the watch has asked for it.
 */

#include <jansson.h>

#include "source/kube/watch/transport.h"
#include "table/format.h" /* enum khs_reason */

/* What a watch reports. It is not freed from within these. */
struct kube_sink {
        /* A list begins: what it does not name until end() is gone. It may begin again before that. */
        void (*begin)(void *userdata);
        void (*object)(void *userdata, const json_t *object, bool gone);
        void (*end)(void *userdata);

        /* What is known is true, and from now on each change is reported. */
        void (*open)(void *userdata);
        /*
         * Changes are no longer reported. @text: what happened, for people; @status: of HTTP, or 0;
         * @true_usec: when what is known was last known to be true; 0: never. Called for each attempt that failed.
         */
        void (*lost)(void *userdata, enum khs_reason reason, unsigned int status, const char *text, uint64_t true_usec);

        /* kube_watch_tick() is to be called then; replaces what was asked for before. */
        void (*due)(void *userdata, uint64_t at_usec);
        void *userdata;
};

struct kube_watch;

/**
 * kube_watch_new() - list and watch
 * @path:     of the resource, e.g. "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
 * @selector: of labels; "" for all
 *
 * Begins at the first tick, for which it asks at once. All but strings, which are copied, must outlive it.
 *
 * Return: 0 or -ENOMEM.
 */
int kube_watch_new(struct kube_watch **ret, struct kube_transport *transport, const struct kube_sink *sink,
                   const char *path, const char *selector);
struct kube_watch *kube_watch_free(struct kube_watch *w);

void kube_watch_tick(struct kube_watch *w);
