/*
 * explain: what getaddrinfo() returns here, and why.
 *
 *     nsswitch.conf -> is the table asked? -> the state of the service -> its policy -> glibc's sort
 *
 * Each step may be where the answer is decided; the last two are worked out for each endpoint.
 */

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/order.h"
#include "ctl/glibc/nsswitch.h"
#include "ctl/glibc/sorting.h"
#include "ctl/name.h"
#include "ctl/state.h"
#include "table/policy.h"
#include "view/service-json.h"
#include "view/words.h"

struct explanation {
        struct ctl_found found;
        struct nsswitch nsswitch;
        struct sorting sorting;
        bool asked;       /* the module is */
        bool answered;    /* from the table */
        char asking[512]; /* who is asked */
        char state[256];  /* what the module answers */
        char policy[512]; /* which of its addresses, and in which order */
};

/* ---- why ---- */

static void explain_asking(struct explanation *x)
{
        const struct nsswitch *n = &x->nsswitch;
        size_t at = nsswitch_find(n, "k8shsvc");
        const char *front = nsswitch_in_front(n, at);

        x->asked = at < n->n_services && !front;
        if (at == n->n_services)
                (void)snprintf(x->asking, sizeof(x->asking),
                               "programs do not ask this table: k8shsvc is not in the hosts line of %s (%s)",
                               NSSWITCH_CONF, n->found ? n->line : "there is none");
        else if (front)
                (void)snprintf(x->asking, sizeof(x->asking),
                               "programs ask %s first, which answers or ends the lookup: hosts: %s", front, n->line);
        else
                (void)snprintf(x->asking, sizeof(x->asking), "getaddrinfo() asks in this order: %s", n->line);
}

/* @status: of the module, with an action in nsswitch.conf. */
static void explain_status(struct explanation *x, int status, const char *text)
{
        static const char *const statuses[] = { "SUCCESS", "NOTFOUND", "UNAVAIL" };
        const struct nsswitch *n = &x->nsswitch;
        size_t at = nsswitch_find(n, "k8shsvc");
        bool returns = at < n->n_services ? n->services[at].returns[status] : status == NSSWITCH_SUCCESS;
        const char *then = returns ? "; the lookup ends there" : "; the next source is asked";

        x->answered = status == NSSWITCH_SUCCESS && returns;
        (void)snprintf(x->state, sizeof(x->state), "%s: %s%s", statuses[status], text, x->answered ? "" : then);
}

static void explain_state(const struct ctl *ctl, struct explanation *x)
{
        const struct view_service *s = &x->found.service;

        if (!ctl->table.believed)
                explain_status(x, NSSWITCH_UNAVAIL, "the module does not believe a table that others may have written");
        else if (ctl->table.alive == KHS_DEAD)
                explain_status(x, NSSWITCH_UNAVAIL, "no living daemon looks after the table");
        else if (s->state == KHS_SERVICE_PENDING)
                explain_status(x, NSSWITCH_UNAVAIL, "it has never been resolved");
        else if (!s->servable)
                explain_status(x, NSSWITCH_UNAVAIL, "its last good answer is older than max-stale");
        else if (s->n4 + s->n6 == 0 && s->v4_known && s->v6_known)
                explain_status(x, NSSWITCH_NOTFOUND, "it is known to have no endpoint");
        else if (s->n4 + s->n6 == 0)
                explain_status(x, NSSWITCH_UNAVAIL, "one family is not known, the other has no address");
        else
                explain_status(x, NSSWITCH_SUCCESS,
                               s->state == KHS_SERVICE_STALE
                                       ? "the last good answer, though its source does not confirm it now"
                                       : "its addresses are known");
}

static const char *explain_order(uint32_t order)
{
        switch (order) {
        case KHS_ORDER_RANDOM:
                return "turns are taken at random";
        case KHS_ORDER_STICKY:
                return "it is always the turn of the address that this host sticks to";
        case KHS_ORDER_ZONE:
                return "turns go round the endpoints of this zone";
        case KHS_ORDER_NODE:
                return "turns go round the endpoints of this node, else of its zone";
        default:
                return "turns go round";
        }
}

static void explain_policy(struct explanation *x)
{
        const struct view_service *s = &x->found.service;
        uint32_t answers = khs_policy_answers(s->policy), order = khs_policy_order(s->policy);
        uint32_t most = s->n4 > s->n6 ? s->n4 : s->n6, n = khs_order_count(s->policy, most);
        struct state_word word = state_word(view_answers_word(answers), answers);

        if (answers == KHS_ANSWERS_ALL)
                (void)snprintf(x->policy, sizeof(x->policy),
                               "answers = all: every address; %s, but glibc sorts the nearest ones to the front",
                               explain_order(order));
        else if (answers != 1 && !x->sorting.known)
                (void)snprintf(
                        x->policy, sizeof(x->policy),
                        "answers = %s: one address, since the own addresses, and with them glibc's sort, are not "
                        "known here; %s",
                        word.text, explain_order(order));
        else if (n > 1)
                (void)snprintf(
                        x->policy, sizeof(x->policy),
                        "answers = %s: the address whose turn it is, and up to %u other%s that glibc does not sort "
                        "before it; %s",
                        word.text, n - 1, n == 2 ? "" : "s", explain_order(order));
        else
                (void)snprintf(x->policy, sizeof(x->policy), "answers = %s: one address; %s", word.text,
                               explain_order(order));
}

/* ---- for each endpoint ---- */

static bool explain_comes_first(const struct explanation *x, uint32_t i)
{
        const struct view_service *s = &x->found.service;
        int32_t winner = s->endpoints[i].family == AF_INET ? x->sorting.winner4 : x->sorting.winner6;

        return sorting_serves(s, i) && (winner < 0 || winner == (int32_t)i) && sorting_keeps_first(&x->sorting, s, i);
}

static void explain_add(struct output_table *table, const struct explanation *x, uint32_t i)
{
        const struct view_service *s = &x->found.service;
        uint32_t answer[KHS_CANDIDATES], n = sorting_serves(s, i) ? sorting_answer(&x->sorting, s, i, answer) : 0;
        int32_t winner = s->endpoints[i].family == AF_INET ? x->sorting.winner4 : x->sorting.winner6;
        struct sorting_score score = x->sorting.scores[i];
        char address[46];

        output_table_add(table, STYLE_BOLD, view_endpoint_address(&s->endpoints[i], address));
        if (x->sorting.known && score.least == score.most)
                output_table_addf(table, "%u", score.least);
        else if (x->sorting.known)
                output_table_addf(table, "%u-%u", score.least, score.most);
        else
                output_table_add(table, STYLE_PLAIN, "-");
        if (n == 0)
                output_table_add(table, STYLE_WARNING, "never: others are near, and only these are served");
        else if (winner >= 0 && winner != (int32_t)i)
                output_table_add(table, STYLE_WARNING, "never first: this host sticks to another one");
        else if (!sorting_keeps_first(&x->sorting, s, i))
                output_table_add(table, STYLE_WARNING, "never first: glibc sorts nearer ones before it");
        else if (n == 1)
                output_table_add(table, STYLE_GOOD, "in its turn, alone");
        else
                output_table_addf(table, "first in its turn, before %u other%s", n - 1, n == 2 ? "" : "s");
}

static int explain_text(struct ctl *ctl, const struct explanation *x)
{
        static const char *const titles[] = { "ADDRESS", "SCORE", "ANSWER", NULL };
        const char *lines[] = { x->asking, x->state, x->policy };
        struct output_table table;
        int r;

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                (void)output_text(&ctl->out, STYLE_PLAIN, lines[i]);
                (void)fputc('\n', ctl->out.to);
        }
        output_table_init(&table, titles);
        for (uint32_t i = 0; i < x->sorting.n; i++)
                explain_add(&table, x, i);
        r = output_table_print(&table, &ctl->out);
        return r < 0 ? ctl_no(ctl, "%s", strerror(-r)) : CTL_YES;
}

/* ---- for programs ---- */

static void explain_json_endpoint(struct json_writer *w, const struct explanation *x, uint32_t i)
{
        const struct view_service *s = &x->found.service;
        uint32_t answer[KHS_CANDIDATES], n = sorting_serves(s, i) ? sorting_answer(&x->sorting, s, i, answer) : 0;
        bool listed = khs_policy_answers(s->policy) != KHS_ANSWERS_ALL;
        char address[46];

        json_put_open(w, NULL, '{');
        json_put_text(w, "address", view_endpoint_address(&s->endpoints[i], address));
        json_put_text(w, "family", s->endpoints[i].family == AF_INET ? "ipv4" : "ipv6");
        if (x->sorting.known && x->sorting.scores[i].least == x->sorting.scores[i].most)
                json_put_number(w, "score", x->sorting.scores[i].least);
        else
                json_put_null(w, "score");
        json_put_bool(w, "first", explain_comes_first(x, i));
        json_put_number(w, "count", n);
        json_put_open(w, "with", '[');
        for (uint32_t k = 1; listed && k < n; k++)
                json_put_text(w, NULL, view_endpoint_address(&s->endpoints[answer[k]], address));
        json_put_close(w, ']');
        json_put_close(w, '}');
}

static void explain_json(struct ctl *ctl, const struct explanation *x)
{
        const struct view_service *s = &x->found.service;
        uint32_t answers = khs_policy_answers(s->policy), order = khs_policy_order(s->policy);
        struct json_writer *w = &ctl->json;

        json_put_open(w, NULL, '{');
        json_put_text(w, "service", s->key);
        json_put_text(w, "hosts", x->nsswitch.found ? x->nsswitch.line : NULL);
        json_put_bool(w, "asked", x->asked);
        json_put_bool(w, "answered", x->answered);
        json_put_text(w, "asking", x->asking);
        json_put_text(w, "status", x->state);
        json_put_text(w, "policy", x->policy);
        json_put_word(w, "answers", view_answers_word(answers), answers);
        json_put_word(w, "order", view_order_word(order), order);
        json_put_bool(w, "interfaces_known", x->sorting.known);
        json_put_open(w, "endpoints", '[');
        for (uint32_t i = 0; i < x->sorting.n; i++)
                explain_json_endpoint(w, x, i);
        json_put_close(w, ']');
        json_put_close(w, '}');
        json_put_end(w);
}

int ctl_explain(struct ctl *ctl)
{
        struct explanation x = { 0 };
        int r = ctl_find_name(ctl, ctl->argument, &x.found);

        if (r > 0)
                return r;
        (void)nsswitch_read(&x.nsswitch, NSSWITCH_CONF);
        r = sorting_init(&x.sorting, &x.found.service);
        if (r < 0) {
                r = ctl_no(ctl, "%s", strerror(-r));
        } else {
                explain_asking(&x);
                explain_state(ctl, &x);
                explain_policy(&x);
                if (ctl->flags[CTL_JSON])
                        explain_json(ctl, &x);
                else
                        r = explain_text(ctl, &x);
                if (r == 0)
                        r = x.asked && x.answered ? CTL_YES : CTL_NO;
                sorting_deinit(&x.sorting);
        }
        view_service_deinit(&x.found.service);
        return r;
}
