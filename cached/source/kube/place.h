#pragma once

/*
 * Where this machine is: its node and its zone, for order = zone and order = node.
 *
 *     node    configured; else NODE_NAME; else the host's name, once the API or a slice knows such a node
 *     zone    configured; else the label of the node in the API; else that of the node's endpoints in slices
 */

#include <systemd/sd-event.h>

#include "base/timer.h"
#include "source/kube/decode/slice.h"
#include "source/kube/watch/transport.h"

struct kube_place {
        char *zone, *node; /* NULL: unknown */
        char *candidate;   /* the host's name, where that is all there is */
        char *configured;  /* the three, as they were given */
        bool zone_is_set;  /* configured */
        bool zone_is_api;  /* the API's word, which slices don't change */

        struct kube_transport *transport;
        struct kube_call *call;
        struct timer timer;
        char *body;
        size_t n_body;
        unsigned int status;
        uint64_t young_usec; /* the last pause where the node had no zone yet */
        bool is_wanted;
        void (*changed)(void *userdata);
        void *userdata;
};

/* @changed: node or zone are others than before. Return: 0; a negative errno. */
int kube_place_init(struct kube_place *p, sd_event *event, void (*changed)(void *userdata), void *userdata);
/* All strings may be NULL. What was learned meanwhile is learned again where they change. Return: 0 or -ENOMEM. */
int kube_place_configure(struct kube_place *p, const char *zone, const char *node, const char *host);
void kube_place_deinit(struct kube_place *p);

/* Somebody wants to know. Asks over @transport, now and when it could not be answered. */
void kube_place_want(struct kube_place *p, struct kube_transport *transport);
/* The transport goes. */
void kube_place_disconnect(struct kube_place *p);
/* What a slice says of the own node. */
void kube_place_see(struct kube_place *p, const struct kube_slice *slice);
