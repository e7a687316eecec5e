/*
 * When which name is asked, see dns-lookup.h.
 *
 *      start --> urgent --+              +--> reply that says something --+--> report
 *      start --> paced ---+--> in flight +--> try another way: urgent     |      |
 *                  ^                     +--> nothing left to try --------+      |
 *                  +------------------- after the TTL, the back-off, ... <-------+
 *                  |
 *      no server up: reported once as a failure --> waiting --> a server came up: paced again
 *
 * Invariants:
 * - A lookup is in exactly one of: urgent, paced, waiting, in flight. So there is at most one
 *   question in flight for each name and type.
 * - Replies never ask: they only put lookups into a queue. Questions are sent from the timer's
 *   handler alone, so that c-ares is never entered from a callback of the servers.
 * - A report is the last thing done for a lookup: the callee may have freed it.
 *
 * A round is all attempts for one finding: TCP, then UDP where TCP fails, then the same question to
 * the next server. It ends with the first answer or negative, or when nothing is left to try.
 */

#include <errno.h>
#include <stdio.h>

#include "dns-lookup.h"
#include "util.h"

#define ATTEMPTS_MAX 8U
#define BATCH_MAX    256U         /* questions sent in one go, then the loop has its turn */
#define MEASURE_USEC (60 * USEC_PER_SEC)
#define RELEASE_USEC USEC_PER_SEC /* after an outage: a random order, not that of the names */

#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

static uint32_t random32(void)
{
        uint32_t random = 0;

        /* Only timing hangs on it: zero is a poor but working jitter. */
        (void)random_fill(&random, sizeof(random));
        return random;
}

static uint32_t lookups_rate(const struct dns_lookups *lookups)
{
        if (lookups->catching_up && lookups->recovery_rate < lookups->query_rate)
                return lookups->recovery_rate;
        return lookups->query_rate;
}

static void lookups_set_recovery_rate(struct dns_lookups *lookups, uint64_t now)
{
        lookups->recovery_rate = dns_recovery_rate(dns_meter_mean(&lookups->meter, now), lookups->query_rate);
        lookups->recovery_usec = now;
}

/*
 * What comes due while the rest of an outage is asked waits behind it: it, too, must not be asked in
 * one go. Where more names came in the meantime, each minute of it is a measure of the next.
 */
static void lookups_catch_up(struct dns_lookups *lookups, uint64_t now)
{
        const struct due_item *first = due_queue_first(&lookups->paced);

        if (!lookups->catching_up)
                return;
        if (lookups->n_recovering == 0 && (!first || first->due_usec > now))
                lookups->catching_up = false;
        else if (now - lookups->recovery_usec > MEASURE_USEC)
                lookups_set_recovery_rate(lookups, now);
}

/* Sets the timer to the next moment at which a question may be sent. */
static void lookups_arm(struct dns_lookups *lookups)
{
        const struct due_item *urgent = due_queue_first(&lookups->urgent);
        const struct due_item *paced = due_queue_first(&lookups->paced);
        uint64_t at = UINT64_MAX;

        if (urgent)
                at = urgent->due_usec;
        if (paced) {
                uint64_t token = dns_bucket_next(&lookups->bucket, lookups_rate(lookups));
                uint64_t due = paced->due_usec > token ? paced->due_usec : token;

                at = due < at ? due : at;
        }
        if (at == UINT64_MAX || lookups->blocked || lookups->n_flying >= DNS_FLIGHT_MAX) {
                sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(lookups->timer, at);
        sd_event_source_set_enabled(lookups->timer, SD_EVENT_ONESHOT);
}

/* @urgent: needs no token */
static void lookup_put(struct dns_lookup *lookup, bool urgent, uint64_t due_usec)
{
        struct dns_lookups *lookups = lookup->lookups;

        due_queue_remove(lookup->urgent ? &lookups->urgent : &lookups->paced, &lookup->due);
        lookup->urgent = urgent;
        due_queue_put(urgent ? &lookups->urgent : &lookups->paced, &lookup->due, due_usec);
}

static void lookup_wait(struct dns_lookup *lookup)
{
        lookup->waiting = true;
        TAILQ_INSERT_TAIL(&lookup->lookups->waiting, lookup, link);
        lookup->lookups->n_waiting++;
}

static void lookup_set_recovering(struct dns_lookup *lookup, bool recovering)
{
        if (lookup->recovering == recovering)
                return;
        lookup->recovering = recovering;
        if (recovering)
                lookup->lookups->n_recovering++;
        else
                lookup->lookups->n_recovering--;
}

static void lookup_report(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct dns_lookups *lookups = lookup->lookups;
        struct source_result result = {
                .family = lookup->family,
                .kind = answer->kind,
                .reason = answer->reason,
                .source = KHS_SOURCE_DNS,
                .ttl_s = answer->ttl_s,
                .n_addrs = answer->n_addrs,
                .addrs = answer->n_addrs > 0 ? lookups->addrs : NULL,
        };

        if (answer->kind == SOURCE_ANSWER)
                lookups->stats.n_answers++;
        else if (answer->kind == SOURCE_NEGATIVE)
                lookups->stats.n_negatives++;
        else
                lookups->stats.n_failures++;
        if (answer->kind == SOURCE_FAILURE)
                lookups->stats.failures[answer->reason]++;
        lookups_arm(lookups);
        lookups->report(lookup, &result);
}

static uint64_t lookup_settle_negative(struct dns_lookup *lookup, uint32_t ttl_s)
{
        struct dns_lookup *other = lookup->other;
        bool other_has = other && other->lookups && other->has_addresses;
        uint64_t delay = dns_schedule_negative(&lookup->schedule, lookup->min_usec, lookup->max_usec, ttl_s,
                                               other_has, random32());

        if (lookup->schedule.n_negatives < DNS_NEGATIVES)
                return delay;
        lookup->parked = other_has && !lookup->schedule.had_addresses;
        lookup->has_addresses = false;
        /* The service may have moved to the other family: that one is no longer parked. */
        if (other && other->lookups && other->parked && other->due.place > 0) {
                other->parked = false;
                lookup_put(other, false, usec_now());
        }
        return delay;
}

/* The round is over: when is the next one? Then tell. */
static void lookup_finish(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct dns_lookups *lookups = lookup->lookups;
        uint64_t delay;

        lookup->n_attempts = 0;
        lookup->transport = DNS_ANY;
        lookup->reason = KHS_REASON_NONE;
        lookup->tried = 0;
        lookup->parked = false;

        if (answer->kind == SOURCE_ANSWER) {
                lookup->has_addresses = true;
                delay = dns_schedule_answer(&lookup->schedule, lookup->min_usec, lookup->max_usec,
                                            answer->ttl_s, random32());
        } else if (answer->kind == SOURCE_NEGATIVE) {
                delay = lookup_settle_negative(lookup, answer->ttl_s);
        } else if (!dns_pool_any_up(lookups->pool)) {
                lookup_wait(lookup);
                lookup_report(lookup, answer);
                return;
        } else {
                delay = dns_schedule_failure(&lookup->schedule, random32());
        }
        lookup_put(lookup, false, usec_now() + delay);
        lookup_report(lookup, answer);
}

static void lookup_fail(struct dns_lookup *lookup, enum khs_reason reason)
{
        struct dns_answer failure = {.kind = SOURCE_FAILURE, .reason = (uint8_t)reason};

        lookup_finish(lookup, &failure);
}

/* This attempt brought nothing. Is there another way to ask? */
static void lookup_next_attempt(struct dns_lookup *lookup, enum khs_reason reason, uint8_t transport)
{
        struct dns_pool *pool = lookup->lookups->pool;

        if (lookup->reason == KHS_REASON_NONE)
                lookup->reason = (uint8_t)reason;
        lookup->transport = transport;
        if (transport == DNS_ANY) {
                lookup->tried |= 1U << lookup->server;
                if (dns_pool_choose(pool, lookup->tried) < 0)
                        lookup->n_attempts = ATTEMPTS_MAX;
        }
        if (lookup->n_attempts >= ATTEMPTS_MAX) {
                lookup_fail(lookup, lookup->reason);
                return;
        }
        lookup_put(lookup, true, usec_now());
        lookups_arm(lookup->lookups);
}

static enum khs_reason reason_of(int error)
{
        if (error == -EBADMSG)
                return KHS_REASON_MALFORMED;
        return error == -ECONNREFUSED ? KHS_REASON_REFUSED : KHS_REASON_TIMEOUT;
}

/*
 * No reply: by UDP where TCP failed, else the next server. One that has never answered and kept
 * silent is not waited for twice while there is another: at a start that is the time to the first answer.
 */
static void lookup_no_reply(struct dns_lookup *lookup, int error)
{
        const struct dns_pool *pool = lookup->lookups->pool;
        const struct dns_server *server = pool->servers[lookup->server];
        bool was_tcp = lookup->query.transport == DNS_TCP;
        bool give_up = error == -ETIMEDOUT && !dns_server_has_answered(server) &&
                       dns_pool_choose(pool, lookup->tried | 1U << lookup->server) >= 0;

        if (was_tcp && lookup->transport == DNS_ANY && dns_server_is_up(server) && !give_up)
                lookup_next_attempt(lookup, reason_of(error), DNS_UDP);
        else
                lookup_next_attempt(lookup, reason_of(error), DNS_ANY);
}

static void lookup_judge(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct dns_server *server = lookup->lookups->pool->servers[lookup->server];

        lookup->lookups->stats.n_dropped += answer->n_dropped;
        if (answer->kind != SOURCE_FAILURE) {
                dns_server_set_knows_cluster(server, true);
                lookup_finish(lookup, answer);
                return;
        }
        if (answer->ask_tcp && lookup->query.transport == DNS_UDP && dns_server_tcp_works(server)) {
                lookup->reason = answer->reason;
                lookup_next_attempt(lookup, answer->reason, DNS_TCP);
                return;
        }
        if (answer->reason == KHS_REASON_FOREIGN || answer->reason == KHS_REASON_REFUSED)
                dns_server_set_knows_cluster(server, false);
        lookup_next_attempt(lookup, answer->reason, DNS_ANY);
}

static void on_query_done(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                          const struct dns_question *question)
{
        struct dns_lookup *lookup = container_of(query, struct dns_lookup, query);
        struct dns_lookups *lookups = lookup->lookups;
        struct dns_answer answer;

        lookups->n_flying--;
        lookups->blocked = false;
        if (error == -ECANCELED) { /* the server is no longer ours */
                lookup->n_attempts = 0;
                lookup->tried = 0;
                lookup->transport = DNS_ANY;
                lookup_put(lookup, true, usec_now());
                lookups_arm(lookups);
                return;
        }
        if (error < 0) {
                lookup_no_reply(lookup, error);
                return;
        }
        lookup->cold = false;
        dns_answer_read(&lookups->rules, question, packet, n_packet, &answer, lookups->addrs);
        lookup_judge(lookup, &answer);
}

static int lookup_name(const struct dns_lookup *lookup, struct dns_name *ret)
{
        char text[DNS_NAME_WIRE_MAX + 1];
        int n = snprintf(text, sizeof(text), "%s.svc.%s", lookup->key, lookup->lookups->domain);

        return n < 0 || (size_t)n >= sizeof(text) ? -EINVAL : dns_name_parse(ret, text);
}

static void lookup_no_server(struct dns_lookup *lookup)
{
        int error = dns_pool_error(lookup->lookups->pool);

        /* lookup_finish() finds no server either and lets the lookup wait. */
        lookup_fail(lookup, error ? reason_of(error) : KHS_REASON_NO_SERVER);
}

/* Sends the next question of a round. The lookup may be gone afterwards. */
static void lookup_ask(struct dns_lookup *lookup)
{
        struct dns_lookups *lookups = lookup->lookups;
        struct dns_name name;
        int r;

        lookup->query.done = on_query_done;
        lookup->n_attempts++;
        lookups->n_flying++;
        lookups->stats.n_queries++;
        r = lookup_name(lookup, &name);
        if (r >= 0)
                r = dns_server_ask(lookups->pool->servers[lookup->server], &lookup->query, &name,
                                   lookup->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA,
                                   lookup->transport);
        if (r < 0) {
                lookups->n_flying--;
                lookup_next_attempt(lookup, r == -EINVAL ? KHS_REASON_MALFORMED : KHS_REASON_TIMEOUT,
                                    DNS_ANY);
        }
}

/* The lookup whose turn it is, or NULL. It is taken out of its queue. */
static struct dns_lookup *lookups_take(struct dns_lookups *lookups, uint64_t now)
{
        struct due_item *item = due_queue_first(&lookups->urgent);
        bool urgent = item && item->due_usec <= now;
        struct dns_lookup *lookup;
        int server;

        if (!urgent)
                item = due_queue_first(&lookups->paced);
        if (!item || item->due_usec > now)
                return NULL;
        lookup = container_of(item, struct dns_lookup, due);
        server = dns_pool_choose(lookups->pool, lookup->tried);
        /* Room before token: a token that is not used would be lost. */
        if (server >= 0 && !dns_server_has_room(lookups->pool->servers[server], lookup->transport)) {
                lookups->blocked = true;
                return NULL;
        }
        /* A question that can't be sent needs no token. */
        if (server >= 0 && !urgent && !dns_bucket_take(&lookups->bucket, lookups_rate(lookups), now))
                return NULL;
        /* What an outage interrupts is the refreshing; the burst of a start is no measure of it. */
        if (server >= 0 && !urgent)
                dns_meter_add(&lookups->meter, now);
        due_queue_remove(urgent ? &lookups->urgent : &lookups->paced, item);
        lookup->server = server;
        lookup_set_recovering(lookup, false);
        return lookup;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct dns_lookups *lookups = userdata;
        uint64_t now = usec_now();

        (void)source;
        (void)usec;
        lookups_catch_up(lookups, now);
        for (unsigned int i = 0; i < BATCH_MAX && lookups->n_flying < DNS_FLIGHT_MAX; i++) {
                struct dns_lookup *lookup = lookups_take(lookups, now);

                if (!lookup)
                        break;
                if (lookup->server < 0)
                        lookup_no_server(lookup);
                else
                        lookup_ask(lookup);
        }
        lookups_arm(lookups);
        return 0;
}

void dns_lookups_servers_changed(struct dns_lookups *lookups)
{
        uint64_t now = usec_now();
        struct dns_lookup *lookup;

        lookups->blocked = false;
        if (!dns_pool_any_up(lookups->pool)) {
                if (lookups->n_waiting == 0 && !lookups->catching_up)
                        lookups_set_recovery_rate(lookups, now);
                lookups_arm(lookups);
                return;
        }
        while ((lookup = TAILQ_FIRST(&lookups->waiting))) {
                /* What never had an answer has nothing to serve meanwhile: at once. */
                bool urgent = lookup->cold;

                TAILQ_REMOVE(&lookups->waiting, lookup, link);
                lookups->n_waiting--;
                lookup->waiting = false;
                lookup_set_recovering(lookup, !urgent);
                lookups->catching_up = true;
                lookup_put(lookup, urgent, urgent ? now : now + random32() % RELEASE_USEC);
        }
        lookups_arm(lookups);
}

int dns_lookup_start(struct dns_lookup *lookup, struct dns_lookups *lookups, bool has_data)
{
        int r = due_queue_reserve(&lookups->urgent, lookups->n_lookups + 1);

        if (r >= 0)
                r = due_queue_reserve(&lookups->paced, lookups->n_lookups + 1);
        if (r < 0)
                return r;
        lookups->n_lookups++;
        lookup->lookups = lookups;
        lookup->transport = DNS_ANY;
        lookup->cold = !has_data;
        lookup_put(lookup, !has_data,
                   usec_now() + (has_data ? dns_schedule_first(lookup->max_usec, random32()) : 0));
        lookups_arm(lookups);
        return 0;
}

void dns_lookup_stop(struct dns_lookup *lookup)
{
        struct dns_lookups *lookups = lookup->lookups;

        if (!lookups)
                return;
        if (lookup->query.server) {
                dns_query_cancel(&lookup->query);
                lookups->n_flying--;
                lookups->blocked = false;
        }
        if (lookup->waiting) {
                TAILQ_REMOVE(&lookups->waiting, lookup, link);
                lookups->n_waiting--;
        }
        lookup_set_recovering(lookup, false);
        due_queue_remove(lookup->urgent ? &lookups->urgent : &lookups->paced, &lookup->due);
        lookups->n_lookups--;
        lookups_arm(lookups);
        *lookup = (struct dns_lookup){.lookups = NULL};
}

void dns_lookup_hurry(struct dns_lookup *lookup)
{
        uint64_t due = usec_now() + dns_schedule_first(lookup->max_usec, random32());

        if (lookup->parked && lookup->other && lookup->other->lookups)
                return;
        lookup->parked = false;
        if (lookup->due.place == 0 || lookup->due.due_usec <= due)
                return;
        lookup_put(lookup, lookup->urgent, due);
        lookups_arm(lookup->lookups);
}

int dns_lookups_init(struct dns_lookups *lookups, sd_event *event, struct dns_pool *pool,
                     dns_lookup_fn report)
{
        int r;

        lookups->pool = pool;
        lookups->report = report;
        TAILQ_INIT(&lookups->waiting);
        r = sd_event_add_time(event, &lookups->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, lookups);
        return r < 0 ? r : sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
}

void dns_lookups_deinit(struct dns_lookups *lookups)
{
        if (lookups->timer)
                sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
        lookups->timer = sd_event_source_unref(lookups->timer);
        due_queue_deinit(&lookups->urgent);
        due_queue_deinit(&lookups->paced);
}
