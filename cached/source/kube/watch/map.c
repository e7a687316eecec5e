/*
 * Chains in buckets, doubled when there are more items than buckets. The hash is keyed by random bytes: names
 * come from whoever may create objects in the namespace.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/watch/map.h"
#include "table/siphash.h"

void kube_map_deinit(struct kube_map *map)
{
        free(map->buckets);
        *map = (struct kube_map){ 0 };
}

static struct kube_map_item **map_bucket(const struct kube_map *map, const char *name)
{
        return &map->buckets[khs_siphash13(map->seed, name, strlen(name)) & (map->n_buckets - 1)];
}

static int map_grow(struct kube_map *map)
{
        struct kube_map old = *map;

        map->n_buckets = old.n_buckets > 0 ? old.n_buckets * 2 : 16;
        map->buckets = calloc(map->n_buckets, sizeof(*map->buckets));
        if (!map->buckets) {
                *map = old;
                return -ENOMEM;
        }
        if (old.n_buckets == 0)
                (void)random_fill(map->seed, sizeof(map->seed));
        for (size_t i = 0; i < old.n_buckets; i++) {
                for (struct kube_map_item *item = old.buckets[i], *next; item; item = next) {
                        struct kube_map_item **bucket = map_bucket(map, item->name);

                        next = item->next;
                        item->next = *bucket;
                        *bucket = item;
                }
        }
        free(old.buckets);
        return 0;
}

int kube_map_put(struct kube_map *map, struct kube_map_item *item)
{
        struct kube_map_item **bucket;
        int r = map->n_items < map->n_buckets ? 0 : map_grow(map);

        if (r < 0)
                return r;
        bucket = map_bucket(map, item->name);
        item->next = *bucket;
        *bucket = item;
        map->n_items++;
        return 0;
}

struct kube_map_item *kube_map_get(const struct kube_map *map, const char *name)
{
        struct kube_map_item *item = map->n_buckets > 0 ? *map_bucket(map, name) : NULL;

        while (item && strcmp(item->name, name) != 0)
                item = item->next;
        return item;
}

void kube_map_remove(struct kube_map *map, struct kube_map_item *item)
{
        struct kube_map_item **at = map_bucket(map, item->name);

        while (*at != item)
                at = &(*at)->next;
        *at = item->next;
        map->n_items--;
}

struct kube_map_item *kube_map_next(const struct kube_map *map, const struct kube_map_item *item)
{
        size_t i = 0;

        if (item && item->next)
                return item->next;
        if (item)
                i = (size_t)(map_bucket(map, item->name) - map->buckets) + 1;
        while (i < map->n_buckets && !map->buckets[i])
                i++;
        return i < map->n_buckets ? map->buckets[i] : NULL;
}
