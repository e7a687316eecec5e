/*
 * Slices of one watch.
 *
 *     slices     by name    -> slot { slice, service }      one object of the API is one slot
 *     services   by name    -> stored { slices, changed? }  the join of a service looks at these
 *     changed    a queue of services, each at most once: a service that changes a hundred times between two
 *                turns of the loop is joined once
 *
 * Objects are found by their own name, since the label that says whose they are may change. A list counts only
 * when it has ended: what it did not name is removed then, so a service is never seen half.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/watch/store.h"

struct slot {
        struct kube_map_item item; /* by the slice's name */
        struct kube_slice *slice;
        struct kube_stored *service;
        uint32_t list; /* that has named it last */
};

void kube_store_init(struct kube_store *store)
{
        *store = (struct kube_store){ .list = 0 };
        TAILQ_INIT(&store->changed);
}

static struct slot *store_slot(struct kube_map_item *item)
{
        return item ? container_of(item, struct slot, item) : NULL;
}

static struct kube_stored *store_service(struct kube_map_item *item)
{
        return item ? container_of(item, struct kube_stored, item) : NULL;
}

/* ---- services ---- */

static void store_free_service(struct kube_stored *service)
{
        free(service->slices);
        free((char *)service->item.name);
        free(service);
}

static void store_changed(struct kube_store *store, struct kube_stored *service)
{
        if (service->is_changed)
                return;
        service->is_changed = true;
        TAILQ_INSERT_TAIL(&store->changed, service, changed_link);
}

/* The service, made where it is new, with room for another slice. It is changed from now on. */
static struct kube_stored *store_reserve(struct kube_store *store, const char *name)
{
        struct kube_stored *service = store_service(kube_map_get(&store->services, name));

        if (!service) {
                service = calloc(1, sizeof(*service));
                if (!service)
                        return NULL;
                service->item.name = strdup(name);
                if (!service->item.name || kube_map_put(&store->services, &service->item) < 0) {
                        store_free_service(service);
                        return NULL;
                }
        }
        store_changed(store, service);
        if (service->n_slices == service->room) {
                size_t room = service->room > 0 ? service->room * 2 : 1;
                const struct kube_slice **slices = realloc(service->slices, room * sizeof(*slices));

                if (!slices)
                        return NULL;
                service->slices = slices;
                service->room = room;
        }
        return service;
}

static void store_link(struct kube_stored *service, const struct kube_slice *slice)
{
        size_t at = service->n_slices++;

        for (; at > 0 && strcmp(service->slices[at - 1]->name, slice->name) > 0; at--)
                service->slices[at] = service->slices[at - 1];
        service->slices[at] = slice;
}

static void store_unlink(struct kube_store *store, struct slot *slot)
{
        struct kube_stored *service = slot->service;
        size_t at = 0;

        while (service->slices[at] != slot->slice)
                at++;
        service->n_slices--;
        memmove(service->slices + at, service->slices + at + 1, (service->n_slices - at) * sizeof(*service->slices));
        store_changed(store, service);
}

/* ---- slices ---- */

static void store_drop(struct kube_store *store, struct slot *slot)
{
        store_unlink(store, slot);
        kube_map_remove(&store->slices, &slot->item);
        kube_slice_free(slot->slice);
        free(slot);
}

static struct slot *store_new_slot(struct kube_store *store, struct kube_slice *slice)
{
        struct slot *slot = calloc(1, sizeof(*slot));

        if (!slot)
                return NULL;
        slot->item.name = slice->name;
        if (kube_map_put(&store->slices, &slot->item) == 0)
                return slot;
        free(slot);
        return NULL;
}

int kube_store_put(struct kube_store *store, struct kube_slice *slice)
{
        struct kube_stored *service = store_reserve(store, slice->service);
        struct slot *slot = store_slot(kube_map_get(&store->slices, slice->name));

        if (service && !slot)
                slot = store_new_slot(store, slice);
        if (!service || !slot) {
                kube_slice_free(slice);
                return -ENOMEM;
        }
        if (slot->slice) {
                store_unlink(store, slot);
                slot->item.name = slice->name;
                kube_slice_free(slot->slice);
        }
        slot->slice = slice;
        slot->service = service;
        slot->list = store->list;
        store_link(service, slice);
        return 0;
}

void kube_store_remove(struct kube_store *store, const char *name)
{
        struct slot *slot = store_slot(kube_map_get(&store->slices, name));

        if (slot)
                store_drop(store, slot);
}

void kube_store_begin(struct kube_store *store)
{
        store->list++;
}

void kube_store_keep(struct kube_store *store, const char *name)
{
        struct slot *slot = store_slot(kube_map_get(&store->slices, name));

        if (slot)
                slot->list = store->list;
}

void kube_store_end(struct kube_store *store)
{
        struct kube_map_item *next;

        for (struct kube_map_item *item = kube_map_next(&store->slices, NULL); item; item = next) {
                next = kube_map_next(&store->slices, item);
                if (store_slot(item)->list != store->list)
                        store_drop(store, store_slot(item));
        }
}

/* ---- what is looked at ---- */

const struct kube_stored *kube_store_get(const struct kube_store *store, const char *service)
{
        return store_service(kube_map_get(&store->services, service));
}

struct kube_fault_log *kube_store_faults(struct kube_store *store, const char *service)
{
        struct kube_stored *stored = store_service(kube_map_get(&store->services, service));

        return stored ? &stored->faults : NULL;
}

void kube_store_touch(struct kube_store *store, const char *service)
{
        struct kube_stored *stored = store_service(kube_map_get(&store->services, service));

        if (stored)
                store_changed(store, stored);
}

void kube_store_date(struct kube_store *store, const char *service, uint64_t changed_usec)
{
        struct kube_stored *stored = store_service(kube_map_get(&store->services, service));

        if (stored && changed_usec > stored->changed_usec)
                stored->changed_usec = changed_usec;
}

bool kube_store_take(struct kube_store *store, void (*fn)(void *userdata, const struct kube_stored *service),
                     void *userdata)
{
        struct kube_stored *service = TAILQ_FIRST(&store->changed);

        if (!service)
                return false;
        TAILQ_REMOVE(&store->changed, service, changed_link);
        service->is_changed = false;
        fn(userdata, service);
        if (service->n_slices == 0 && !service->is_changed) {
                kube_map_remove(&store->services, &service->item);
                store_free_service(service);
        }
        return true;
}

void kube_store_deinit(struct kube_store *store)
{
        struct kube_map_item *item, *next;

        for (item = kube_map_next(&store->slices, NULL); item; item = next) {
                next = kube_map_next(&store->slices, item);
                kube_map_remove(&store->slices, item);
                kube_slice_free(store_slot(item)->slice);
                free(store_slot(item));
        }
        for (item = kube_map_next(&store->services, NULL); item; item = next) {
                next = kube_map_next(&store->services, item);
                kube_map_remove(&store->services, item);
                store_free_service(store_service(item));
        }
        kube_map_deinit(&store->slices);
        kube_map_deinit(&store->services);
        TAILQ_INIT(&store->changed);
}
