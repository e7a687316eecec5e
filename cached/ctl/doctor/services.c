/*
 * The services: those that never got an answer or have lost theirs, and whether a real lookup is answered from the
 * table.
 */

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/doctor/check.h"
#include "ctl/state.h"
#include "view/words.h"

#define PENDING_DS 100 /* a first answer takes no longer */

struct tally {
        uint8_t state;
        size_t n;
        const struct view_service *first;
};

static void say_state(struct doctor *d, const struct tally *t, const char *what, const char *mend)
{
        const char *reason = t->n > 0 ? state_reason_text(t->first->reason) : NULL;

        if (t->n == 0)
                return;
        doctor_sayf(d, "services", VERDICT_BAD, mend, "%zu %s, as %s for %s%s%s", t->n, what, t->first->key,
                    output_age(t->first->age_ds).text, reason ? ": " : "", reason ? reason : "");
}

void doctor_check_services(struct doctor *d)
{
        const struct view_catalog *catalog = &d->ctl->catalog;
        struct tally pending = { .state = KHS_SERVICE_PENDING }, stale = { .state = KHS_SERVICE_STALE };
        struct tally expired = { .state = KHS_SERVICE_EXPIRED };
        struct tally *const tallies[] = { &pending, &stale, &expired };

        if (!d->ctl->has_table)
                return;
        for (size_t i = 0; i < catalog->n_services; i++) {
                const struct view_service *s = &catalog->services[i];

                for (size_t t = 0; t < 3; t++) {
                        if (s->state != tallies[t]->state ||
                            (s->state == KHS_SERVICE_PENDING && s->age_ds < PENDING_DS))
                                continue;
                        tallies[t]->first = tallies[t]->n++ == 0 ? s : tallies[t]->first;
                }
        }
        say_state(d, &pending, "never resolved", "look at the name and its namespace, and at the sources above");
        say_state(d, &stale, "not confirmed any more",
                  "look at the sources above; addresses are served until max-stale");
        say_state(d, &expired, "older than max-stale", "look at the sources above; programs ask the next source");
        if (pending.n + stale.n + expired.n == 0)
                doctor_sayf(d, "services", VERDICT_OK, NULL, "%zu, none waits for an answer", catalog->n_services);
}

/* ---- a real lookup ---- */

static bool service_has(const struct view_service *s, const struct addrinfo *ai)
{
        const void *bytes = ai->ai_family == AF_INET
                                    ? (const void *)&((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr
                                    : &((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr;

        for (uint32_t i = 0; i < s->n4 + s->n6; i++) {
                if (s->endpoints[i].family == ai->ai_family &&
                    memcmp(s->endpoints[i].address, bytes, ai->ai_family == AF_INET ? 4 : 16) == 0)
                        return true;
        }
        return false;
}

/* One that programs are answered for from the table; NULL: none. */
static const struct view_service *lookup_candidate(const struct ctl *ctl)
{
        for (size_t i = 0; i < ctl->catalog.n_services; i++) {
                const struct view_service *s = &ctl->catalog.services[i];

                if (s->n4 + s->n6 > 0 && s->servable && s->state == KHS_SERVICE_FRESH)
                        return s;
        }
        return NULL;
}

static void check_answer(struct doctor *d, const struct view_service *s, int error, const struct addrinfo *list)
{
        if (error != 0)
                doctor_sayf(d, "lookup", VERDICT_BAD, "mend what stands above", "getaddrinfo(%s) fails: %s", s->key,
                            gai_strerror(error));
        else if (!service_has(s, list))
                doctor_sayf(d, "lookup", VERDICT_BAD,
                            "mend what stands above; a cache in front answers with what it has",
                            "getaddrinfo(%s) returns an address that the table lacks", s->key);
        else
                doctor_sayf(d, "lookup", VERDICT_OK, NULL, "getaddrinfo(%s) returns an address of the table", s->key);
}

void doctor_check_lookup(struct doctor *d)
{
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        const struct view_service *candidate = lookup_candidate(d->ctl);
        struct addrinfo *list = NULL;
        struct view_service whole;
        int error;

        if (!candidate || d->ctl->table.alive == KHS_DEAD ||
            view_catalog_whole(&d->ctl->catalog, &d->ctl->table, candidate->key, &whole) < 0)
                return;
        error = getaddrinfo(candidate->key, NULL, &hints, &list);
        check_answer(d, &whole, error, list);
        if (list)
                freeaddrinfo(list);
        view_service_deinit(&whole);
}
