/*
 * Chains in buckets, doubled when there are more names than buckets; where there is no memory for that, chains grow
 * longer. The hash is keyed by random bytes: names come from whoever may create objects in the cluster.
 */

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "base/util.h"
#include "table/siphash.h"

#define MIN_BUCKETS 64U

struct name {
        struct name *next;
        uint32_t hash, n_holders;
        char text[];
};

void names_deinit(struct names *names)
{
        free(names->buckets);
        *names = (struct names){ 0 };
}

static struct name **names_bucket(const struct names *names, uint32_t hash)
{
        return &names->buckets[hash & (names->n_buckets - 1)];
}

static void names_push(struct names *names, struct name *name)
{
        struct name **bucket = names_bucket(names, name->hash);

        name->next = *bucket;
        *bucket = name;
}

static void names_grow(struct names *names)
{
        struct names old = *names;

        names->n_buckets = old.n_buckets > 0 ? old.n_buckets * 2 : MIN_BUCKETS;
        names->buckets = calloc(names->n_buckets, sizeof(*names->buckets));
        if (!names->buckets) {
                *names = old;
                return;
        }
        if (old.n_buckets == 0)
                (void)random_fill(names->seed, sizeof(names->seed));
        for (size_t i = 0; i < old.n_buckets; i++) {
                for (struct name *name = old.buckets[i], *next; name; name = next) {
                        next = name->next;
                        names_push(names, name);
                }
        }
        free(old.buckets);
}

static struct name *names_find(const struct names *names, uint32_t hash, const char *text)
{
        struct name *name = *names_bucket(names, hash);

        while (name && (name->hash != hash || strcmp(name->text, text) != 0))
                name = name->next;
        return name;
}

static struct name *name_new(const char *text, size_t n, uint32_t hash)
{
        struct name *name = malloc(sizeof(*name) + n + 1);

        if (!name)
                return NULL;
        *name = (struct name){ .hash = hash, .n_holders = 1 };
        memcpy(name->text, text, n + 1);
        return name;
}

static struct name *names_share(struct names *names, const char *text)
{
        size_t n = strlen(text);
        struct name *name;
        uint32_t hash;

        if (names->n_names >= names->n_buckets)
                names_grow(names);
        if (names->n_buckets == 0)
                return NULL;
        hash = (uint32_t)khs_siphash13(names->seed, text, n);
        name = names_find(names, hash, text);
        if (name) {
                name->n_holders++;
                return name;
        }
        name = name_new(text, n, hash);
        if (name) {
                names_push(names, name);
                names->n_names++;
        }
        return name;
}

const char *names_take(struct names *names, const char *text)
{
        struct name *name;

        if (!text)
                return NULL;
        name = names ? names_share(names, text) : name_new(text, strlen(text), 0);
        return name ? name->text : NULL;
}

static void names_unlink(struct names *names, const struct name *name)
{
        struct name **at = names_bucket(names, name->hash);

        while (*at != name)
                at = &(*at)->next;
        *at = name->next;
        names->n_names--;
}

void names_drop(struct names *names, const char *text)
{
        struct name *name;

        if (!text)
                return;
        name = container_of(text, struct name, text);
        if (--name->n_holders > 0)
                return;
        if (names)
                names_unlink(names, name);
        free(name);
}
