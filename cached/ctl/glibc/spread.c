/*
 * spread: real lookups, and which address came first how often.
 *
 * Nothing is foreseen here: the process calls getaddrinfo() as every program does, through nsswitch.conf and glibc's
 * sort. What was foreseen (ctl/sorting.h) only says why, where the result is uneven.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "answer/order.h"
#include "ctl/glibc/sorting.h"
#include "ctl/name.h"
#include "table/policy.h"
#include "view/service-json.h"

#define COUNT_DEFAULT 1000UL
#define COUNT_MAX     1000000UL
#define BAR_WIDTH     40U

struct tally {
        unsigned long count;
        struct view_endpoint endpoint; /* family and address */
        bool foreign;                  /* not the table's: another source has answered */
};

struct spread {
        struct ctl_found found;
        struct sorting sorting;
        unsigned long n_calls, n_failures;
        int error; /* of the last failure, EAI_* */
        struct tally *tallies;
        size_t n_tallies;

        /* The verdict. */
        const char *advice; /* NULL: as the policy says */
};

/* ---- the lookups ---- */

static bool spread_tally_is(const struct tally *t, int family, const void *bytes)
{
        return t->endpoint.family == family && memcmp(t->endpoint.address, bytes, family == AF_INET ? 4 : 16) == 0;
}

static struct tally *spread_tally(struct spread *s, int family, const void *bytes)
{
        struct tally *larger;

        for (size_t i = 0; i < s->n_tallies; i++) {
                if (spread_tally_is(&s->tallies[i], family, bytes))
                        return &s->tallies[i];
        }
        larger = reallocarray(s->tallies, s->n_tallies + 1, sizeof(*larger));
        if (!larger)
                return NULL;
        s->tallies = larger;
        larger += s->n_tallies++;
        *larger = (struct tally){ .endpoint.family = (uint8_t)family, .foreign = true };
        memcpy(larger->endpoint.address, bytes, family == AF_INET ? 4 : 16);
        return larger;
}

static int spread_call(struct spread *s, const char *name)
{
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        struct addrinfo *list = NULL;
        struct tally *tally = NULL;
        int r = getaddrinfo(name, NULL, &hints, &list);

        if (r != 0) {
                s->error = r;
                s->n_failures++;
                return 0;
        }
        if (list->ai_family == AF_INET)
                tally = spread_tally(s, AF_INET, &((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr);
        else if (list->ai_family == AF_INET6)
                tally = spread_tally(s, AF_INET6, &((struct sockaddr_in6 *)(void *)list->ai_addr)->sin6_addr);
        freeaddrinfo(list);
        if (!tally)
                return -ENOMEM;
        tally->count++;
        return 0;
}

/* Those of the table come first, also those that never come first. */
static int spread_prepare(struct spread *s)
{
        const struct view_service *service = &s->found.service;

        for (uint32_t i = 0; i < s->sorting.n; i++) {
                struct tally *tally = spread_tally(s, service->endpoints[i].family, service->endpoints[i].address);
                if (!tally)
                        return -ENOMEM;
                tally->foreign = false;
        }
        return 0;
}

/* ---- the verdict ---- */

/* The family of the first addresses: all of one, since glibc sorts one before the other. */
static int spread_family(const struct spread *s)
{
        const struct tally *most = NULL;

        for (size_t i = 0; i < s->n_tallies; i++) {
                if (!most || s->tallies[i].count > most->count)
                        most = &s->tallies[i];
        }
        return most ? most->endpoint.family : AF_UNSPEC;
}

/* Whether some endpoint gets more than twice its share, or less than half of it. Small samples vary by themselves. */
static bool spread_is_uneven(const struct spread *s)
{
        int family = spread_family(s);
        unsigned long n = 0, sum = 0;

        for (size_t i = 0; i < s->n_tallies; i++) {
                n += s->tallies[i].endpoint.family == family;
                sum += s->tallies[i].endpoint.family == family ? s->tallies[i].count : 0;
        }
        for (size_t i = 0; i < s->n_tallies && n > 1 && sum >= 16 * n; i++) {
                unsigned long count = s->tallies[i].count;

                if (s->tallies[i].endpoint.family == family && (count * n > 2 * sum || count * n * 2 < sum))
                        return true;
        }
        return false;
}

static bool spread_is_foreign(const struct spread *s)
{
        for (size_t i = 0; i < s->n_tallies; i++) {
                if (s->tallies[i].foreign)
                        return true;
        }
        return false;
}

static bool spread_is_sorted(const struct spread *s)
{
        for (uint32_t i = 0; i < s->sorting.n; i++) {
                if (!sorting_keeps_first(&s->sorting, &s->found.service, i))
                        return true;
        }
        return false;
}

static void spread_judge(struct spread *s)
{
        uint32_t order = khs_policy_order(s->found.service.policy);

        if (s->n_failures > 0)
                s->advice = "lookups failed: see k8shsvcctl explain and doctor";
        else if (spread_is_foreign(s))
                s->advice = "another source than the table has answered: see k8shsvcctl explain and doctor";
        else if (order != KHS_ORDER_ROTATE && order != KHS_ORDER_RANDOM)
                s->advice = NULL; /* not meant to be even */
        else if (spread_is_uneven(s) && spread_is_sorted(s))
                s->advice = "glibc sorts the nearest addresses to the front (RFC 6724, rule 9), whoever's turn it is: "
                            "set answers = auto, or answers = single";
        else if (spread_is_uneven(s))
                s->advice =
                        "the lookups are not spread evenly, though glibc's sort is not the reason: a cache in front? "
                        "See k8shsvcctl doctor";
}

/* ---- showing it ---- */

static void spread_bar(const struct ctl *ctl, const struct tally *t, unsigned long sum, unsigned long most)
{
        unsigned long width = most > 0 ? (t->count * BAR_WIDTH + most / 2) / most : 0;
        char address[46], bar[BAR_WIDTH * 3 + 1] = "";

        for (unsigned long i = 0; ctl->out.terminal && i < width; i++)
                memcpy(bar + i * 3, "\xe2\x96\x88", 4); /* U+2588, full block */
        (void)view_endpoint_address(&t->endpoint, address);
        if (!ctl->out.terminal) {
                (void)fprintf(ctl->out.to, "%s\t%lu\t%.1f\n", address, t->count,
                              sum > 0 ? 100.0 * (double)t->count / (double)sum : 0);
                return;
        }
        (void)fprintf(ctl->out.to, "%-*s %8lu %5.1f %%  ", t->endpoint.family == AF_INET ? 15 : 39, address, t->count,
                      sum > 0 ? 100.0 * (double)t->count / (double)sum : 0);
        (void)output_text(&ctl->out, t->foreign ? STYLE_WARNING : STYLE_GOOD, bar);
        (void)fprintf(ctl->out.to, "%s\n", t->foreign ? " not from the table" : "");
}

static void spread_text(const struct ctl *ctl, const struct spread *s)
{
        unsigned long sum = s->n_calls - s->n_failures, most = 0;

        for (size_t i = 0; i < s->n_tallies; i++)
                most = s->tallies[i].count > most ? s->tallies[i].count : most;
        for (size_t i = 0; i < s->n_tallies; i++)
                spread_bar(ctl, &s->tallies[i], sum, most);
        if (s->n_failures > 0)
                (void)fprintf(ctl->out.to, "failed\t%lu\t%s\n", s->n_failures, gai_strerror(s->error));
}

static void spread_json(struct ctl *ctl, const struct spread *s)
{
        unsigned long sum = s->n_calls - s->n_failures;
        struct json_writer *w = &ctl->json;
        char address[46];

        json_put_open(w, NULL, '{');
        json_put_text(w, "service", s->found.service.key);
        json_put_number(w, "calls", s->n_calls);
        json_put_number(w, "failures", s->n_failures);
        json_put_text(w, "error", s->n_failures > 0 ? gai_strerror(s->error) : NULL);
        json_put_bool(w, "even", !spread_is_uneven(s));
        json_put_text(w, "advice", s->advice);
        json_put_open(w, "first", '[');
        for (size_t i = 0; i < s->n_tallies; i++) {
                const struct tally *t = &s->tallies[i];

                json_put_open(w, NULL, '{');
                json_put_text(w, "address", view_endpoint_address(&t->endpoint, address));
                json_put_number(w, "calls", t->count);
                json_put_decimal(w, "share", sum > 0 ? (double)t->count / (double)sum : 0);
                json_put_bool(w, "from_table", !t->foreign);
                json_put_close(w, '}');
        }
        json_put_close(w, ']');
        json_put_close(w, '}');
        json_put_end(w);
}

static int spread_run(struct ctl *ctl, struct spread *s)
{
        int r = spread_prepare(s);

        for (unsigned long i = 0; i < s->n_calls && r == 0; i++)
                r = spread_call(s, ctl->argument);
        if (r < 0)
                return ctl_no(ctl, "%s", strerror(-r));
        spread_judge(s);
        if (ctl->flags[CTL_JSON])
                spread_json(ctl, s);
        else
                spread_text(ctl, s);
        return s->advice ? ctl_no(ctl, "%s: %s", s->found.service.key, s->advice) : CTL_YES;
}

/* Return: 0, or the exit status after a line. */
static int spread_count(const struct ctl *ctl, unsigned long *ret)
{
        const char *text = ctl->flags[CTL_COUNT];
        char *end;

        *ret = COUNT_DEFAULT;
        if (!text)
                return 0;
        errno = 0;
        *ret = strtoul(text, &end, 10);
        if (errno != 0 || *end || text[0] < '0' || text[0] > '9' || *ret < 1 || *ret > COUNT_MAX)
                return ctl_misuse(ctl, "spread: --count: found %s, expected a number from 1 to %lu", text, COUNT_MAX);
        return 0;
}

int ctl_spread(struct ctl *ctl)
{
        struct spread s = { 0 };
        int r = spread_count(ctl, &s.n_calls);

        if (r == 0)
                r = ctl_find_name(ctl, ctl->argument, &s.found);
        if (r > 0)
                return r;
        r = sorting_init(&s.sorting, &s.found.service);
        if (r < 0) {
                r = ctl_no(ctl, "%s", strerror(-r));
        } else {
                r = spread_run(ctl, &s);
                sorting_deinit(&s.sorting);
        }
        free(s.tallies);
        view_service_deinit(&s.found.service);
        return r;
}
