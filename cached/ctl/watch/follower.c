/*
 * Two lists, both sorted by key: the services as they were, and the catalog as it is. A service whose version and
 * status are what they were is not read again.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/watch/follower.h"
#include "read/wait.h"

#define NO_TABLE_USEC 200000U

struct looking {
        struct follower *follower;
        struct view_service **services; /* as they are now */
        size_t n_services, n_walked;    /* of the earlier ones */
        follower_change change;
        void *user;
};

void follower_init(struct follower *follower, struct ctl *ctl, const char *only)
{
        *follower = (struct follower){ .ctl = ctl, .only = only };
}

static void tracked_free(struct view_service *s)
{
        view_service_deinit(s);
        free(s);
}

void follower_deinit(struct follower *follower)
{
        for (size_t i = 0; i < follower->n_services; i++)
                tracked_free(follower->services[i]);
        free(follower->services);
}

/* ---- the table ---- */

/* Aliases are the catalog's, which is about to be replaced. */
static void follower_forget_aliases(struct follower *f)
{
        for (size_t i = 0; i < f->n_services; i++)
                f->services[i]->n_aliases = 0;
}

/* Moves on to the table that has the name now, and to its catalog. Return: 0; -EAGAIN: no table; -ENOMEM. */
static int follower_open(struct follower *f)
{
        struct ctl *ctl = f->ctl;
        int r;

        follower_forget_aliases(f);
        if (ctl->has_table)
                view_table_look(&ctl->table);
        if (ctl->has_table && !ctl->table.superseded && ctl->table.alive == KHS_ALIVE) {
                view_catalog_deinit(&ctl->catalog);
                ctl->catalog = (struct view_catalog){ 0 };
                r = view_catalog_read(&ctl->table, &ctl->catalog);
        } else {
                ctl_close_table(ctl);
                r = ctl_try_table(ctl);
        }
        if (r < 0)
                return r == -ENOMEM ? r : -EAGAIN;
        /* One that could not be read only because it is busy is not gone. */
        return ctl->catalog.n_changing > 0 ? -EAGAIN : 0;
}

/* ---- comparing ---- */

static bool tracked_equal(const struct view_service *a, const struct view_service *b)
{
        return a->version == b->version && a->state == b->state && a->reason == b->reason && a->source == b->source &&
               a->servable == b->servable && a->policy == b->policy;
}

/* Return: the service, whole; NULL: it is gone meanwhile, or there is no memory, which *@error says. */
static struct view_service *looking_read(struct looking *l, const char *key, int *error)
{
        struct view_service *s = malloc(sizeof(*s));
        int r = s ? view_catalog_whole(&l->follower->ctl->catalog, &l->follower->ctl->table, key, s) : -ENOMEM;

        *error = r == -ENOMEM ? r : 0;
        if (r == 0)
                return s;
        free(s);
        return NULL;
}

/* The earlier services that sort before @key are gone; NULL: all that are left. */
static void looking_drop_before(struct looking *l, const char *key)
{
        struct follower *f = l->follower;

        while (l->n_walked < f->n_services && (!key || strcmp(f->services[l->n_walked]->key, key) < 0)) {
                l->change(l->user, f->services[l->n_walked], NULL);
                tracked_free(f->services[l->n_walked++]);
        }
}

static int looking_service(struct looking *l, const struct view_service *summary)
{
        struct follower *f = l->follower;
        struct view_service *before = NULL, *after;
        int error = 0;

        looking_drop_before(l, summary->key);
        if (l->n_walked < f->n_services && strcmp(f->services[l->n_walked]->key, summary->key) == 0)
                before = f->services[l->n_walked++];
        if (before && tracked_equal(before, summary)) {
                before->age_ds = summary->age_ds;
                before->ttl_s = summary->ttl_s;
                before->aliases = summary->aliases;
                before->n_aliases = summary->n_aliases;
                l->services[l->n_services++] = before;
                return 0;
        }
        after = looking_read(l, summary->key, &error);
        if (after)
                l->services[l->n_services++] = after;
        if (before || after)
                l->change(l->user, before, after);
        if (before)
                tracked_free(before);
        return error;
}

int follower_look(struct follower *f, follower_change change, void *user)
{
        struct looking l = { .follower = f, .change = change, .user = user };
        const struct view_catalog *catalog = &f->ctl->catalog;
        int r = follower_open(f);

        if (r < 0)
                return r == -EAGAIN ? 0 : r;
        l.services = calloc(catalog->n_services + 1, sizeof(*l.services));
        if (!l.services)
                return -ENOMEM;
        for (size_t i = 0; i < catalog->n_services && r == 0; i++) {
                if (!f->only || strcmp(catalog->services[i].key, f->only) == 0)
                        r = looking_service(&l, &catalog->services[i]);
        }
        looking_drop_before(&l, NULL);
        free(f->services);
        f->services = l.services;
        f->n_services = l.n_services;
        f->has_looked = true;
        return r;
}

uint32_t follower_counter(const struct follower *f)
{
        return f->ctl->has_table ? khs_wait_counter(&f->ctl->table.file.view) : 0;
}

void follower_wait(const struct follower *f, uint32_t seen, uint64_t usec)
{
        if (f->ctl->has_table)
                khs_wait(&f->ctl->table.file.view, seen, usec);
        else
                (void)usleep((useconds_t)(usec < NO_TABLE_USEC ? usec : NO_TABLE_USEC));
}
