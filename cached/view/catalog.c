/*
 * Walking the index. An entry whose record changes while it is read is read again, so that no service is missing
 * only because it is busy.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "view/catalog.h"

#define MAX_TRIES 16
#define MIN_UNITS 2 /* of a record: its header, and a key behind it */

/* Room for one more of an array that doubles. */
static void *catalog_grow(void *array, size_t n, size_t size)
{
        if (n & (n - 1) || (n > 0 && n < 16))
                return array;
        return reallocarray(array, n < 16 ? 16 : n * 2, size);
}

static int catalog_add_alias(struct view_catalog *c, const struct view_table *table, const struct khs_found *found,
                             const char *name)
{
        struct view_alias *larger = catalog_grow(c->aliases, c->n_aliases, sizeof(*larger));
        int r;

        if (!larger)
                return -ENOMEM;
        c->aliases = larger;
        r = khs_found_alias(&table->file.view, found, c->aliases[c->n_aliases].target);
        if (r < 0)
                return r == -EBUSY ? -EAGAIN : r;
        strcpy(c->aliases[c->n_aliases++].name, name);
        return 0;
}

static int catalog_add_service(struct view_catalog *c, const struct view_table *table, const struct khs_found *found,
                               const char *key)
{
        struct view_service *larger = catalog_grow(c->services, c->n_services, sizeof(*larger));
        int r;

        if (!larger)
                return -ENOMEM;
        c->services = larger;
        r = view_service_read(table, found, key, VIEW_SUMMARY, &c->services[c->n_services]);
        if (r == 0)
                c->n_services++;
        return r;
}

/* Return: 0, also of a free entry; -EAGAIN: it changed meanwhile; -EBADMSG: damaged; -ENOMEM. */
static int catalog_add_entry(struct view_catalog *c, const struct view_table *table, uint32_t i)
{
        struct khs_found found;
        char key[256];
        int r = khs_view_entry(&table->file.view, i, &found, key);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        /* A key has no NUL: what a damaged one hides behind it is nothing that could be looked up. */
        if (strlen(key) != found.n_key)
                return -EBADMSG;
        /* Only in a damaged table do entries share blocks; it shall not cost more memory than one that is full. */
        if (c->n_services + c->n_aliases >= table->file.view.arena_units / MIN_UNITS)
                return -EBADMSG;
        if (found.record.key & KHS_REC_ALIAS)
                return catalog_add_alias(c, table, &found, key);
        return catalog_add_service(c, table, &found, key);
}

static int catalog_walk(struct view_catalog *c, const struct view_table *table)
{
        uint32_t n = table->file.view.n_buckets * KHS_BUCKET_ENTRIES;

        for (uint32_t i = 0; i < n; i++) {
                int r = -EAGAIN;

                for (int tries = 0; r == -EAGAIN && tries < MAX_TRIES; tries++)
                        r = catalog_add_entry(c, table, i);
                if (r == -ENOMEM)
                        return r;
                c->n_damaged += r < 0 && r != -EAGAIN;
                c->n_changing += r == -EAGAIN;
        }
        return 0;
}

/* ---- order ---- */

static int catalog_compare_services(const void *a, const void *b)
{
        const struct view_service *x = a, *y = b;

        return strcmp(x->key, y->key);
}

static int catalog_compare_aliases(const void *a, const void *b)
{
        const struct view_alias *x = a, *y = b;
        int r = strcmp(x->target, y->target);

        return r ? r : strcmp(x->name, y->name);
}

/* Both are sorted by the service's key: one walk joins them. */
static int catalog_join(struct view_catalog *c)
{
        size_t at = 0;

        c->names = calloc(c->n_aliases + 1, sizeof(*c->names));
        if (!c->names)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_aliases; i++)
                c->names[i] = c->aliases[i].name;
        for (size_t i = 0; i < c->n_services; i++) {
                struct view_service *s = &c->services[i];

                while (at < c->n_aliases && strcmp(c->aliases[at].target, s->key) < 0)
                        at++;
                s->aliases = c->names + at;
                for (; at < c->n_aliases && strcmp(c->aliases[at].target, s->key) == 0; at++)
                        s->n_aliases++;
        }
        return 0;
}

/* A damaged table may lead to one record by several entries. */
static void catalog_drop_duplicates(struct view_catalog *c)
{
        size_t n = 0;

        for (size_t i = 0; i < c->n_services; i++) {
                if (n > 0 && strcmp(c->services[n - 1].key, c->services[i].key) == 0)
                        continue;
                c->services[n++] = c->services[i];
        }
        c->n_services = n;
}

int view_catalog_read(const struct view_table *table, struct view_catalog *ret)
{
        struct view_catalog c = { 0 };
        int r = catalog_walk(&c, table);

        if (r == 0) {
                if (c.n_services > 0)
                        qsort(c.services, c.n_services, sizeof(*c.services), catalog_compare_services);
                if (c.n_aliases > 0)
                        qsort(c.aliases, c.n_aliases, sizeof(*c.aliases), catalog_compare_aliases);
                catalog_drop_duplicates(&c);
                r = catalog_join(&c);
        }
        if (r < 0)
                view_catalog_deinit(&c);
        else
                *ret = c;
        return r;
}

void view_catalog_deinit(struct view_catalog *catalog)
{
        free(catalog->services);
        free(catalog->aliases);
        free(catalog->names);
}

const struct view_service *view_catalog_find(const struct view_catalog *catalog, const char *key)
{
        struct view_service wanted;

        if (catalog->n_services == 0 || strlen(key) >= sizeof(wanted.key))
                return NULL;
        strcpy(wanted.key, key);
        return bsearch(&wanted, catalog->services, catalog->n_services, sizeof(wanted), catalog_compare_services);
}

int view_catalog_whole(const struct view_catalog *catalog, const struct view_table *table, const char *key,
                       struct view_service *ret)
{
        const struct view_service *known = view_catalog_find(catalog, key);
        int r = view_service_find(table, key, VIEW_WHOLE, ret);

        if (r == 0 && known) {
                ret->aliases = known->aliases;
                ret->n_aliases = known->n_aliases;
        }
        return r;
}
