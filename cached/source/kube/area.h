#pragma once

/*
 * The registrations of one namespace, and the watches that bring what they need.
 */

#include <sys/queue.h>

#include "source/kube/feed.h"
#include "source/kube/watch/selectors.h"
#include "source/source.h"

struct kube_area;
struct kube_group;

/* A registered service. */
struct kube_member {
        struct kube_map_item item; /* of its area, by the service's name */
        struct kube_area *area;
        struct kube_group *group;
        TAILQ_ENTRY(kube_member) due_link;
        bool is_due;     /* it is to be reported */
        bool is_covered; /* its group's feed has asked for it */
        bool is_kept;    /* it stands in the new set */
        bool told_truncated, told_not_headless;
        uint8_t family, include, order;
        bool discovered;
        char *selector, *go_micro; /* of a [pods] section; NULL */
        char *key;                 /* "S.N" */
};

/* Services that one watch follows; while that is being replaced, two. */
struct kube_group {
        struct kube_area *area;
        struct kube_feed *feed;       /* what is reported comes from here; NULL: none has listed yet */
        struct kube_feed *next;       /* takes its place when it has listed */
        struct kube_member *pods;     /* the one member of a [pods] section; NULL */
        bool is_old;                  /* its watch follows something else than it is to */
        TAILQ_ENTRY(kube_group) link; /* of pods */
};

/* What an area needs of its source. */
struct kube_area_context {
        sd_event *event;
        struct kube_transport *transport; /* NULL: there is none now */
        struct kube_map areas;
        TAILQ_HEAD(, kube_member) due;
        void (*wake)(void *userdata); /* something is due, or a store has changed */
        void (*failed)(void *userdata, struct kube_member *member, const struct kube_feed *feed);
        void (*seen)(void *userdata, const struct kube_slice *slice);
        void *userdata;
};

struct kube_area {
        struct kube_map_item item; /* by the namespace */
        struct kube_area_context *context;
        struct kube_map members;
        struct kube_selectors selectors;
        struct kube_group groups[KUBE_SELECTORS_MAX];
        struct kube_group headless; /* of a [namespace] section */
        TAILQ_HEAD(, kube_group) pods;
        bool is_kept, is_discovering;
        uint8_t family, include, order; /* of what is discovered */
};

/* Return: NULL when there is no memory. */
struct kube_area *kube_area_get(struct kube_area_context *context, const char *namespace);
struct kube_area *kube_area_free(struct kube_area *area);

/* Takes what the registration says now. Return: 0 or -ENOMEM. */
int kube_area_put(struct kube_area *area, const struct source_service *service);
/* Starts to discover services, with these values for what is found. */
void kube_area_discover(struct kube_area *area, const struct source_service *section);

/* All is put: what was not goes, and the watches follow. Return: 0 or -ENOMEM. */
int kube_area_follow(struct kube_area *area);
/* Begins all watches that there are to be and are not. Return: 0 or -ENOMEM. */
int kube_area_connect(struct kube_area *area);
/* Ends all watches; nothing is reported. */
void kube_area_disconnect(struct kube_area *area);

struct kube_member *kube_area_find(const struct kube_area *area, const char *name);
void kube_member_due(struct kube_member *member);
void kube_area_all_due(struct kube_area *area);
