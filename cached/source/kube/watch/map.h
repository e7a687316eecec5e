#pragma once

/*
 * A hash of things by their name, embedded in their owners: constant time for 10,000 services.
 */

#include <stddef.h>
#include <stdint.h>

struct kube_map_item {
        const char *name; /* the owner's; unchanged while it is in the map */
        struct kube_map_item *next;
};

struct kube_map {
        struct kube_map_item **buckets;
        size_t n_buckets, n_items;
        uint8_t seed[16];
};

/* The items are their owners'. */
void kube_map_deinit(struct kube_map *map);

/* Return: 0 or -ENOMEM. The name must not be in it. */
int kube_map_put(struct kube_map *map, struct kube_map_item *item);
struct kube_map_item *kube_map_get(const struct kube_map *map, const char *name);
void kube_map_remove(struct kube_map *map, struct kube_map_item *item);
/* The one that follows in no particular order; the first for NULL. That one may be removed meanwhile, others not. */
struct kube_map_item *kube_map_next(const struct kube_map *map, const struct kube_map_item *item);
