/*
 * When which question is asked, see source/dns/task.h.
 *
 *      the owner --> urgent ---+              +--> reply that says something --+--> done()
 *      the owner --> paced ----+--> in flight +--> try another way: urgent     |
 *      the owner --> hosts ----+              +--> nothing left to try --------+
 *
 *      the owner, when no server is up --> waiting --> a server came up: paced, or urgent
 *
 * Invariants:
 * - A lookup is in exactly one of: a queue, waiting, in flight, its owner's hands. So there is at
 *   most one question in flight for each.
 * - Replies never ask: they only put lookups into a queue. Questions are sent from the timer's
 *   handler alone, so that c-ares is never entered from a callback of the servers.
 * - done() is the last thing done for a lookup: the callee may have freed it.
 * - Host names never keep addresses waiting: of the questions that the rate allows they get half at
 *   most while addresses are due, and of the flight an eighth.
 *
 * A round is all attempts for one finding: TCP, then UDP where TCP fails, then the same question to
 * the next server. It ends with the first answer or negative, or when nothing is left to try.
 */

#include <errno.h>
#include <stdio.h>

#include "base/util.h"
#include "source/dns/task.h"

#define ATTEMPTS_MAX 8U
#define BATCH_MAX    256U /* questions sent in one go, then the loop has its turn */
#define MEASURE_USEC (60 * USEC_PER_SEC)
#define RELEASE_USEC USEC_PER_SEC /* after an outage: a random order, not that of the names */

#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

uint32_t dns_random32(void)
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

/* When the first of a queue is due; UINT64_MAX: none is, or none may be asked now. */
static uint64_t queue_due(const struct dns_lookups *lookups, enum dns_queue queue)
{
        const struct due_item *item = due_queue_first(&lookups->queues[queue]);

        if (!item || (queue == DNS_HOSTS && lookups->n_host_rounds >= DNS_HOST_FLIGHT_MAX))
                return UINT64_MAX;
        return item->due_usec;
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
        if (!lookups->catching_up)
                return;
        if (lookups->n_recovering == 0 && queue_due(lookups, DNS_PACED) > now)
                lookups->catching_up = false;
        else if (now - lookups->recovery_usec > MEASURE_USEC)
                lookups_set_recovery_rate(lookups, now);
}

/* Sets the timer to the next moment at which a question may be sent. */
static void lookups_arm(struct dns_lookups *lookups)
{
        uint64_t at = queue_due(lookups, DNS_URGENT);
        uint64_t paced = queue_due(lookups, DNS_PACED), hosts = queue_due(lookups, DNS_HOSTS);

        paced = hosts < paced ? hosts : paced;
        if (paced < UINT64_MAX) {
                uint64_t token = dns_bucket_next(&lookups->bucket, lookups_rate(lookups));
                uint64_t due = paced > token ? paced : token;

                at = due < at ? due : at;
        }
        if (at == UINT64_MAX || lookups->blocked || lookups->n_flying >= DNS_FLIGHT_MAX) {
                sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(lookups->timer, at);
        sd_event_source_set_enabled(lookups->timer, SD_EVENT_ONESHOT);
}

static void lookup_put(struct dns_lookup *lookup, enum dns_queue queue, uint64_t due_usec)
{
        struct dns_lookups *lookups = lookup->lookups;

        due_queue_remove(&lookups->queues[lookup->queue], &lookup->due);
        lookup->queue = (uint8_t)queue;
        due_queue_put(&lookups->queues[queue], &lookup->due, due_usec);
}

void dns_lookup_put(struct dns_lookup *lookup, enum dns_queue queue, uint64_t due_usec)
{
        if (lookup->query.server || lookup->waiting || lookup->n_attempts > 0)
                return;
        lookup_put(lookup, queue, due_usec);
        lookups_arm(lookup->lookups);
}

bool dns_lookup_is_put(const struct dns_lookup *lookup, uint64_t *ret_due_usec)
{
        *ret_due_usec = lookup->due.due_usec;
        return lookup->due.place > 0 && lookup->n_attempts == 0;
}

void dns_lookup_wait(struct dns_lookup *lookup)
{
        lookup->waiting = true;
        TAILQ_INSERT_TAIL(&lookup->lookups->waiting, lookup, link);
        lookup->lookups->n_waiting++;
        lookups_arm(lookup->lookups);
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

/* A round for host names begins or ends. */
static void lookup_set_counted(struct dns_lookup *lookup, bool counted)
{
        if (lookup->counted == counted)
                return;
        lookup->counted = counted;
        if (counted)
                lookup->lookups->n_host_rounds++;
        else
                lookup->lookups->n_host_rounds--;
}

static void lookup_reset(struct dns_lookup *lookup)
{
        lookup->n_attempts = 0;
        lookup->transport = DNS_ANY;
        lookup->reason = KHS_REASON_NONE;
        lookup->tried = 0;
}

/* The round is over. The lookup may be gone afterwards. */
static void lookup_finish(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        lookup_reset(lookup);
        lookup_set_counted(lookup, false);
        lookups_arm(lookup->lookups);
        lookup->class->done(lookup, answer);
}

static void lookup_fail(struct dns_lookup *lookup, enum khs_reason reason)
{
        struct dns_answer failure = { .kind = FINDING_FAILURE, .reason = (uint8_t)reason };

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
                lookup->tried |= dns_server_bit(lookup->server);
                if (!dns_pool_choose(pool, lookup->tried))
                        lookup->n_attempts = ATTEMPTS_MAX;
        }
        if (lookup->n_attempts >= ATTEMPTS_MAX) {
                lookup_fail(lookup, lookup->reason);
                return;
        }
        lookup_put(lookup, DNS_URGENT, usec_now());
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
        const struct dns_server *server = lookup->server;
        bool was_tcp = lookup->query.transport == DNS_TCP;
        bool give_up = error == -ETIMEDOUT && !dns_server_has_answered(server) &&
                       dns_pool_choose(pool, lookup->tried | dns_server_bit(server));

        if (was_tcp && lookup->transport == DNS_ANY && dns_server_is_up(server) && !give_up)
                lookup_next_attempt(lookup, reason_of(error), DNS_UDP);
        else
                lookup_next_attempt(lookup, reason_of(error), DNS_ANY);
}

static void lookup_judge(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct dns_server *server = lookup->server;

        lookup->lookups->stats.n_dropped += answer->n_dropped;
        if (answer->kind != FINDING_FAILURE) {
                if (!lookup->class->hosts)
                        dns_server_set_knows_cluster(server, true);
                lookup_finish(lookup, answer);
                return;
        }
        if (answer->ask_tcp && lookup->query.transport == DNS_UDP && dns_server_tcp_works(server)) {
                lookup->reason = answer->reason;
                lookup_next_attempt(lookup, answer->reason, DNS_TCP);
                return;
        }
        if (!lookup->class->hosts && (answer->reason == KHS_REASON_FOREIGN || answer->reason == KHS_REASON_REFUSED))
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
                lookup_reset(lookup);
                lookup_put(lookup, DNS_URGENT, usec_now());
                lookups_arm(lookups);
                return;
        }
        if (error < 0) {
                lookup_no_reply(lookup, error);
                return;
        }
        lookup->cold = false;
        lookup->class->read(lookup, question, packet, n_packet, &answer);
        lookup_judge(lookup, &answer);
}

int dns_lookups_service_name(const struct dns_lookups *lookups, const char *key, struct dns_name *ret)
{
        char text[DNS_NAME_WIRE_MAX + 1];
        int n = snprintf(text, sizeof(text), "%s.svc.%s", key, lookups->domain);

        return n < 0 || (size_t)n >= sizeof(text) ? -EINVAL : dns_name_parse(ret, text);
}

static void lookup_no_server(struct dns_lookup *lookup)
{
        int error = dns_pool_error(lookup->lookups->pool);

        lookup_fail(lookup, error ? reason_of(error) : KHS_REASON_NO_SERVER);
}

/* Sends the next question of a round. The lookup may be gone afterwards. */
static void lookup_ask(struct dns_lookup *lookup)
{
        struct dns_lookups *lookups = lookup->lookups;
        struct dns_name name;
        uint16_t type;
        int r;

        lookup->query.done = on_query_done;
        lookup->n_attempts++;
        lookups->n_flying++;
        lookups->stats.n_queries++;
        lookups->stats.n_host_queries += lookup->class->hosts;
        r = lookup->class->question(lookup, &name, &type);
        if (r >= 0)
                r = dns_server_ask(lookup->server, &lookup->query, &name, type, lookup->transport);
        if (r < 0) {
                lookups->n_flying--;
                lookup_next_attempt(lookup, r == -EINVAL ? KHS_REASON_MALFORMED : KHS_REASON_TIMEOUT, DNS_ANY);
        }
}

/* The queue whose turn it is, or DNS_N_QUEUES. */
static enum dns_queue lookups_turn(const struct dns_lookups *lookups, uint64_t now)
{
        const enum dns_queue order[] = {
                DNS_URGENT,
                lookups->hosts_turn ? DNS_HOSTS : DNS_PACED,
                lookups->hosts_turn ? DNS_PACED : DNS_HOSTS,
        };

        for (size_t i = 0; i < DNS_N_QUEUES; i++)
                if (queue_due(lookups, order[i]) <= now)
                        return order[i];
        return DNS_N_QUEUES;
}

/* The lookup whose turn it is, or NULL. It is taken out of its queue. */
static struct dns_lookup *lookups_take(struct dns_lookups *lookups, uint64_t now)
{
        enum dns_queue queue = lookups_turn(lookups, now);
        bool urgent = queue == DNS_URGENT;
        struct dns_lookup *lookup;
        struct dns_server *server;
        struct due_item *item;

        if (queue == DNS_N_QUEUES)
                return NULL;
        item = due_queue_first(&lookups->queues[queue]);
        lookup = container_of(item, struct dns_lookup, due);
        server = dns_pool_choose(lookups->pool, lookup->tried);
        /* Room before token: a token that is not used would be lost. */
        if (server && !dns_server_has_room(server, lookup->transport)) {
                lookups->blocked = true;
                return NULL;
        }
        /* A question that can't be sent needs no token. */
        if (server && !urgent && !dns_bucket_take(&lookups->bucket, lookups_rate(lookups), now))
                return NULL;
        /* What an outage interrupts is the refreshing; the burst of a start is no measure of it. */
        if (server && !urgent)
                dns_meter_add(&lookups->meter, now);
        if (!urgent)
                lookups->hosts_turn = queue == DNS_PACED;
        due_queue_remove(&lookups->queues[queue], item);
        lookup->server = server;
        lookup_set_recovering(lookup, false);
        lookup_set_counted(lookup, lookup->class->hosts);
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
                if (!lookup->server)
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
                lookup_put(lookup, urgent ? DNS_URGENT : DNS_PACED, urgent ? now : now + dns_random32() % RELEASE_USEC);
        }
        lookups_arm(lookups);
}

int dns_lookup_open(struct dns_lookup *lookup, struct dns_lookups *lookups, const struct dns_lookup_class *class)
{
        for (size_t i = 0; i < DNS_N_QUEUES; i++) {
                int r = due_queue_reserve(&lookups->queues[i], lookups->n_lookups + 1);

                if (r < 0)
                        return r;
        }
        lookups->n_lookups++;
        *lookup = (struct dns_lookup){ .lookups = lookups, .class = class, .transport = DNS_ANY };
        return 0;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
        struct dns_lookups *lookups = lookup->lookups;

        if (lookup->query.server) {
                dns_query_cancel(&lookup->query);
                lookups->n_flying--;
                lookups->blocked = false;
        }
        if (lookup->waiting) {
                TAILQ_REMOVE(&lookups->waiting, lookup, link);
                lookups->n_waiting--;
                lookup->waiting = false;
        }
        lookup_reset(lookup);
        lookup_set_recovering(lookup, false);
        lookup_set_counted(lookup, false);
        due_queue_remove(&lookups->queues[lookup->queue], &lookup->due);
        lookups_arm(lookups);
}

void dns_lookup_close(struct dns_lookup *lookup)
{
        if (!lookup->lookups)
                return;
        dns_lookup_cancel(lookup);
        lookup->lookups->n_lookups--;
        *lookup = (struct dns_lookup){ .lookups = NULL };
}

int dns_lookups_init(struct dns_lookups *lookups, sd_event *event, struct dns_pool *pool)
{
        int r;

        lookups->pool = pool;
        TAILQ_INIT(&lookups->waiting);
        r = sd_event_add_time(event, &lookups->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, lookups);
        return r < 0 ? r : sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
}

void dns_lookups_deinit(struct dns_lookups *lookups)
{
        if (lookups->timer)
                sd_event_source_set_enabled(lookups->timer, SD_EVENT_OFF);
        lookups->timer = sd_event_source_unref(lookups->timer);
        for (size_t i = 0; i < DNS_N_QUEUES; i++)
                due_queue_deinit(&lookups->queues[i]);
}
