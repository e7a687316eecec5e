#pragma once

/*
 * One watch and what it has brought: slices of a namespace, or the pods of a [pods] section, decoded and kept.
 */

#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/timer.h"
#include "source/kube/watch/store.h"
#include "source/kube/watch/watch.h"

/* What it follows; strings are copied. */
struct kube_feed_options {
        const char *namespace;
        const char *selector;
        const char *service;  /* pods: whose endpoints they are; NULL: EndpointSlices */
        const char *go_micro; /* pods: name in go-micro's annotations; or NULL */
};

/* What happens to it. It is not freed from within its own. */
struct kube_feed_events {
        void (*listed)(void *userdata);  /* for the first time: the store has everything */
        void (*changed)(void *userdata); /* the store has changed services, and no list is half read */
        void (*open)(void *userdata);    /* after it was lost */
        void (*lost)(void *userdata);    /* is_lost, reason, and true_usec say more */
        void (*seen)(void *userdata, const struct kube_slice *slice);
        bool (*wants)(void *userdata, const char *service);
        void *userdata;
};

struct kube_feed {
        struct kube_feed_events events;
        struct kube_watch *watch;
        struct kube_store store;
        struct timer timer;
        char *namespace, *service, *go_micro;
        bool in_list;   /* one is half read: the store is not to be looked at */
        bool is_listed; /* at least once */
        bool is_lost;
        uint8_t reason; /* enum khs_reason */
        unsigned int status;
        uint64_t true_usec;
        struct log_limiter limiter; /* of changes of its state */
        struct kube_fault_log faults;
};

/* Return: 0 or -ENOMEM. */
int kube_feed_new(struct kube_feed **ret, sd_event *event, struct kube_transport *transport,
                  const struct kube_feed_options *options, const struct kube_feed_events *events);
struct kube_feed *kube_feed_free(struct kube_feed *f);

/* What is known is true, and stays so until it is lost. */
static inline bool kube_feed_is_standing(const struct kube_feed *f)
{
        return f->is_listed && !f->is_lost;
}
