#pragma once

/*
 * What one watch has brought: slices by name, joined to their services, and which services have changed since
 * they were last looked at.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "source/kube/decode/slice.h"
#include "source/kube/watch/map.h"

/* Which faults of a service's slices were logged in the current minute. */
struct kube_fault_log {
        uint64_t since_usec;
        unsigned int logged; /* enum kube_fault, bits */
};

/* A service that has slices, or had some when it was last looked at. */
struct kube_stored {
        struct kube_map_item item; /* by its name */
        TAILQ_ENTRY(kube_stored) changed_link;
        bool is_changed;
        uint64_t changed_usec; /* CLOCK_REALTIME, by the last event that says so; 0: none has */
        struct kube_fault_log faults;
        size_t n_slices, room;
        const struct kube_slice **slices; /* in the order of their names */
};

struct kube_store {
        struct kube_map slices, services;
        TAILQ_HEAD(, kube_stored) changed;
        uint32_t list; /* number of the list that is being read, or was read last */
};

void kube_store_init(struct kube_store *store);
void kube_store_deinit(struct kube_store *store);

/* Takes @slice over in place of the one of its name, or refuses it. Return: 0 or -ENOMEM: all is as it was. */
int kube_store_put(struct kube_store *store, struct kube_slice *slice);
void kube_store_remove(struct kube_store *store, const char *name);

/* Between these two all that is still there is put, or kept; end() removes the rest. */
void kube_store_begin(struct kube_store *store);
void kube_store_keep(struct kube_store *store, const char *name);
void kube_store_end(struct kube_store *store);

/* NULL where it has none. Valid until it is taken from the changed ones without slices. */
const struct kube_stored *kube_store_get(const struct kube_store *store, const char *service);
/* For whoever logs them; NULL where the service is unknown. */
struct kube_fault_log *kube_store_faults(struct kube_store *store, const char *service);
void kube_store_touch(struct kube_store *store, const char *service);
/* Its pods have changed at @changed_usec; 0: nobody knows. An earlier one than is known does not count. */
void kube_store_date(struct kube_store *store, const char *service, uint64_t changed_usec);

/**
 * kube_store_take() - a service that has changed
 * @fn: is shown it; n_slices is 0 when there is nothing left of it
 *
 * Return: false when no other has changed.
 */
bool kube_store_take(struct kube_store *store, void (*fn)(void *userdata, const struct kube_stored *service),
                     void *userdata);
