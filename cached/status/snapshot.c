/*
 * Taking one costs a walk over the index, tens of milliseconds with 10,000 services: many clients that ask at once
 * must share it. How long one is good for is its owner's to say, by what it cost.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "status/snapshot.h"

static void snapshot_count(struct snapshot *s)
{
        for (size_t i = 0; i < s->catalog.n_services; i++) {
                const struct view_service *service = &s->catalog.services[i];

                s->states[service->state < SNAPSHOT_N_STATES ? service->state : SNAPSHOT_N_STATES - 1]++;
                if (service->state == KHS_SERVICE_PENDING && !s->pending)
                        s->pending = service->key;
        }
}

int snapshot_take(struct snapshot **ret, const char *directory)
{
        struct snapshot *s = calloc(1, sizeof(*s));
        struct timespec real;
        int r;

        if (!s)
                return -ENOMEM;
        s->n_refs = 1;
        s->taken_usec = usec_now();
        (void)clock_gettime(CLOCK_REALTIME, &real);
        s->real_usec = (uint64_t)real.tv_sec * USEC_PER_SEC + (uint64_t)real.tv_nsec / 1000;
        s->error = view_table_open(&s->table, directory);
        if (s->error == 0) {
                r = view_catalog_read(&s->table, &s->catalog);
                if (r < 0) {
                        view_table_close(&s->table);
                        free(s);
                        return r;
                }
                view_table_header(&s->table, &s->header);
                snapshot_count(s);
        }
        s->cost_usec = usec_now() - s->taken_usec;
        *ret = s;
        return 0;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
        s->n_refs++;
        return s;
}

struct snapshot *snapshot_unref(struct snapshot *s)
{
        if (s && --s->n_refs == 0) {
                view_catalog_deinit(&s->catalog);
                if (s->error == 0)
                        view_table_close(&s->table);
                free(s);
        }
        return NULL;
}

bool snapshot_is_well(const struct snapshot *s)
{
        return s->error == 0 && s->table.alive != KHS_DEAD;
}

bool snapshot_is_ready(const struct snapshot *s, char *why, size_t n_why)
{
        if (s->pending)
                (void)snprintf(why, n_why, "no first answer yet for %zu of %zu services, as for %s",
                               s->states[KHS_SERVICE_PENDING], s->catalog.n_services, s->pending);
        else if (s->header.n_refused > 0)
                (void)snprintf(why, n_why, "the table has no room for %" PRIu32 " of the registered services",
                               s->header.n_refused);
        return snapshot_is_well(s) && !s->pending && s->header.n_refused == 0;
}
