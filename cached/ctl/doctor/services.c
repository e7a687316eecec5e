/*
 * The services: those that never got an answer or have lost theirs, and whether a real lookup is answered from the
 * table.
 */

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/doctor/check.h"
#include "ctl/doctor/child.h"
#include "ctl/state.h"
#include "view/words.h"

#define PENDING_DS 100 /* a first answer takes no longer */

struct tally {
        uint8_t state;
        size_t n;
        const struct view_service *first;
};

static void services_say(struct doctor *d, const struct tally *t, const char *what, const char *mend)
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
        services_say(d, &pending, "never resolved", "look at the name and its namespace, and at the sources above");
        services_say(d, &stale, "not confirmed any more",
                     "look at the sources above; addresses are served until max-stale");
        services_say(d, &expired, "older than max-stale", "look at the sources above; programs ask the next source");
        if (pending.n + stale.n + expired.n == 0)
                doctor_sayf(d, "services", VERDICT_OK, NULL, "%zu, none waits for long", catalog->n_services);
}

/* ---- a real lookup ---- */

static bool services_has(const struct view_service *s, const struct addrinfo *ai)
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
static const struct view_service *services_candidate(const struct ctl *ctl)
{
        for (size_t i = 0; i < ctl->catalog.n_services; i++) {
                const struct view_service *s = &ctl->catalog.services[i];

                if (s->n4 + s->n6 > 0 && s->servable && s->state == KHS_SERVICE_FRESH)
                        return s;
        }
        return NULL;
}

/* In a child: the module is called. Writes what is wrong. */
static void services_look_up(FILE *to, void *user)
{
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        const struct view_service *s = user;
        struct addrinfo *list = NULL;
        int r = getaddrinfo(s->key, NULL, &hints, &list);

        if (r != 0)
                (void)fprintf(to, "fails: %s", gai_strerror(r));
        else if (!services_has(s, list))
                (void)fputs("returns an address that the table lacks", to);
}

void doctor_check_lookup(struct doctor *d)
{
        const struct view_service *candidate = services_candidate(d->ctl);
        struct view_service whole;
        char wrong[256];
        int r;

        if (!candidate || d->ctl->table.alive == KHS_DEAD ||
            view_catalog_whole(&d->ctl->catalog, &d->ctl->table, candidate->key, &whole) < 0)
                return;
        r = child_run(services_look_up, &whole, wrong, sizeof(wrong));
        if (r == 0 && !wrong[0])
                doctor_sayf(d, "lookup", VERDICT_OK, NULL, "getaddrinfo(%s) returns an address of the table",
                            whole.key);
        else if (r == 0)
                doctor_sayf(d, "lookup", VERDICT_BAD,
                            "mend what stands above; a cache in front answers with what it has", "getaddrinfo(%s) %s",
                            whole.key, wrong);
        else if (r > 0)
                doctor_sayf(d, "lookup", VERDICT_BAD, "mend what stands above",
                            "getaddrinfo(%s) ends the program by signal %d", whole.key, r);
        else if (r == -ETIMEDOUT)
                doctor_sayf(d, "lookup", VERDICT_BAD, "mend what stands above", "getaddrinfo(%s) takes more than 30 s",
                            whole.key);
        else
                doctor_sayf(d, "lookup", VERDICT_UNKNOWN, NULL, "it can't be tried: %s", strerror(-r));
        view_service_deinit(&whole);
}
