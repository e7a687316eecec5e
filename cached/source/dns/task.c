/*
 * When which question is asked.
 *
 *      the owner --> urgent ---+              +--> reply that says something --+--> done()
 *      the owner --> paced ----+--> in flight +--> try another way: urgent     |
 *      the owner --> hosts ----+              +--> nothing left to try --------+
 *
 *      the owner, when no server is up --> waiting --> a server came up: paced, or urgent
 *
 * Invariants:
 * - A task is in exactly one of: a queue, waiting, in flight, its owner's hands. So each has at most one
 *   question in flight.
 * - Replies never ask: they only put tasks into a queue. Questions are sent from the timer's handler alone,
 *   so that c-ares is never entered from a callback of the servers.
 * - done() is the last thing that is done for a task: the callee may have freed it.
 * - Host names never keep addresses waiting: of the questions that the rate allows they get at most half
 *   while addresses are due, and of the flight an eighth.
 *
 * A round is all attempts for one finding: TCP, then UDP where TCP fails, then the same question to the next
 * server. It ends with the first answer or negative, or when nothing is left to try.
 */

#include <errno.h>

#include "base/log.h"
#include "base/util.h"
#include "source/dns/task.h"

#define ATTEMPTS_MAX 8U
#define BATCH_MAX    256U /* questions sent in one go, then the loop has its turn */
#define MEASURE_USEC (60 * USEC_PER_SEC)
#define LATE_USEC    (5 * USEC_PER_SEC)
#define ON_TIME_USEC USEC_PER_SEC
#define RELEASE_USEC USEC_PER_SEC /* after an outage: a random order, not that of the names */

static uint32_t tasks_rate(const struct dns_tasks *tasks)
{
        if (tasks->catching_up && tasks->recovery_rate < tasks->query_rate)
                return tasks->recovery_rate;
        return tasks->query_rate;
}

/* When the first of a queue is due; UINT64_MAX: none is, or none may be asked now. */
static uint64_t tasks_queue_due(const struct dns_tasks *tasks, enum dns_queue queue)
{
        const struct due_item *item = due_queue_first(&tasks->queues[queue]);

        if (!item || (queue == DNS_HOSTS && tasks->n_host_rounds >= DNS_HOST_FLIGHT_MAX))
                return UINT64_MAX;
        return item->due_usec;
}

static void tasks_set_recovery_rate(struct dns_tasks *tasks, uint64_t now)
{
        tasks->recovery_rate = dns_recovery_rate(dns_meter_mean(&tasks->meter, now), tasks->query_rate);
        tasks->recovery_usec = now;
}

/*
 * What comes due while the rest of an outage is asked waits behind it: it, too, must not be asked in
 * one go. Where more names came in the meantime, each minute of it is a measure of the next.
 */
static void tasks_catch_up(struct dns_tasks *tasks, uint64_t now)
{
        if (!tasks->catching_up)
                return;
        if (tasks->n_recovering == 0 && tasks_queue_due(tasks, DNS_PACED) > now)
                tasks->catching_up = false;
        else if (now - tasks->recovery_usec > MEASURE_USEC)
                tasks_set_recovery_rate(tasks, now);
}

/* Sets the timer to the next moment at which a question may be sent. */
static void tasks_arm(struct dns_tasks *tasks)
{
        uint64_t at = tasks_queue_due(tasks, DNS_URGENT);
        uint64_t paced = tasks_queue_due(tasks, DNS_PACED), hosts = tasks_queue_due(tasks, DNS_HOSTS);

        paced = hosts < paced ? hosts : paced;
        if (paced < UINT64_MAX) {
                uint64_t token = dns_bucket_next(&tasks->bucket, tasks_rate(tasks));
                uint64_t due = paced > token ? paced : token;

                at = due < at ? due : at;
        }
        if (at == UINT64_MAX || tasks->blocked || tasks->n_flying >= DNS_FLIGHT_MAX)
                timer_stop(&tasks->timer);
        else
                timer_set(&tasks->timer, at);
}

static void task_put(struct dns_task *task, enum dns_queue queue, uint64_t due_usec)
{
        struct dns_tasks *tasks = task->tasks;

        due_queue_remove(&tasks->queues[task->queue], &task->due);
        task->queue = (uint8_t)queue;
        due_queue_put(&tasks->queues[queue], &task->due, due_usec);
}

void dns_task_put(struct dns_task *task, enum dns_queue queue, uint64_t due_usec)
{
        if (task->query.path || task->waiting || task->n_attempts > 0)
                return;
        task_put(task, queue, due_usec);
        tasks_arm(task->tasks);
}

bool dns_task_is_put(const struct dns_task *task, uint64_t *ret_due_usec)
{
        *ret_due_usec = task->due.due_usec;
        return task->due.place > 0 && task->n_attempts == 0;
}

void dns_task_wait(struct dns_task *task)
{
        task->waiting = true;
        TAILQ_INSERT_TAIL(&task->tasks->waiting, task, link);
        task->tasks->n_waiting++;
        tasks_arm(task->tasks);
}

static void task_set_recovering(struct dns_task *task, bool recovering)
{
        if (task->recovering == recovering)
                return;
        task->recovering = recovering;
        task->tasks->n_recovering += recovering ? 1 : (size_t)-1;
}

/* A round for host names begins or ends. */
static void task_set_counted(struct dns_task *task, bool counted)
{
        if (task->counted == counted)
                return;
        task->counted = counted;
        task->tasks->n_host_rounds += counted ? 1 : (size_t)-1;
}

static void task_reset(struct dns_task *task)
{
        task->n_attempts = 0;
        task->transport = DNS_ANY;
        task->reason = KHS_REASON_NONE;
        task->tried = 0;
}

/* The round is over. The task may be gone afterwards. */
static void task_finish(struct dns_task *task, const struct dns_answer *answer)
{
        task_reset(task);
        task_set_counted(task, false);
        tasks_arm(task->tasks);
        task->class->done(task, answer);
}

static void task_fail(struct dns_task *task, enum khs_reason reason)
{
        struct dns_answer failure = dns_failure(reason);

        task_finish(task, &failure);
}

/* This attempt brought nothing. Is there another way to ask? */
static void task_next_attempt(struct dns_task *task, enum khs_reason reason, uint8_t transport)
{
        struct dns_pool *pool = task->tasks->pool;

        if (task->reason == KHS_REASON_NONE)
                task->reason = (uint8_t)reason;
        task->transport = transport;
        if (transport == DNS_ANY) {
                task->tried |= dns_server_bit(task->server);
                if (!dns_pool_choose(pool, task->tried))
                        task->n_attempts = ATTEMPTS_MAX;
        }
        if (task->n_attempts >= ATTEMPTS_MAX) {
                task_fail(task, task->reason);
                return;
        }
        task_put(task, DNS_URGENT, usec_now());
        tasks_arm(task->tasks);
}

static enum khs_reason task_reason(int error)
{
        if (error == -EBADMSG)
                return KHS_REASON_MALFORMED;
        return error == -ECONNREFUSED ? KHS_REASON_REFUSED : KHS_REASON_TIMEOUT;
}

/* No reply: by UDP where TCP failed, else the next server. */
static void task_no_reply(struct dns_task *task, int error)
{
        bool by_udp = task->query.transport == DNS_TCP && task->transport == DNS_ANY && dns_server_is_up(task->server);

        task_next_attempt(task, task_reason(error), by_udp ? DNS_UDP : DNS_ANY);
}

static void task_judge(struct dns_task *task, struct dns_answer answer)
{
        struct dns_server *server = task->server;
        bool denies;

        if (answer.kind == FINDING_ANSWER && !dns_pool_believes(task->tasks->pool, server))
                answer = dns_failure(KHS_REASON_FOREIGN);
        if (answer.kind == FINDING_NEGATIVE && !task->class->hosts)
                dns_server_show_cluster(server);
        if (answer.kind == FINDING_ANSWER && !task->class->hosts)
                dns_server_has_addresses(server);
        if (answer.kind != FINDING_FAILURE) {
                task_finish(task, &answer);
                return;
        }
        if (answer.ask_tcp && task->query.transport == DNS_UDP && dns_server_tcp_works(server)) {
                task_next_attempt(task, answer.reason, DNS_TCP);
                return;
        }
        denies = answer.reason == KHS_REASON_FOREIGN || answer.reason == KHS_REASON_REFUSED;
        if (denies && !task->class->hosts)
                dns_server_deny_cluster(server);
        task_next_attempt(task, answer.reason, DNS_ANY);
}

static void task_query_done(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                            const struct dns_question *question)
{
        struct dns_task *task = container_of(query, struct dns_task, query);
        struct dns_tasks *tasks = task->tasks;

        tasks->n_flying--;
        tasks->blocked = false;
        if (error == -ECANCELED) { /* the server, or the connection, is no longer ours */
                task_reset(task);
                task_put(task, DNS_URGENT, usec_now());
                tasks_arm(tasks);
                return;
        }
        if (error < 0) {
                task_no_reply(task, error);
                return;
        }
        task->cold = false;
        task_judge(task, task->class->read(task, question, packet, n_packet));
}

static void task_no_server(struct dns_task *task)
{
        int error = dns_pool_error(task->tasks->pool);

        task_fail(task, error ? task_reason(error) : KHS_REASON_NO_SERVER);
}

/* Sends the next question of a round. The task may be gone afterwards. */
static void task_ask(struct dns_task *task)
{
        struct dns_tasks *tasks = task->tasks;
        struct dns_name name;
        uint16_t type;
        int r;

        task->query.done = task_query_done;
        task->n_attempts++;
        tasks->n_flying++;
        tasks->stats.n_queries++;
        tasks->stats.n_host_queries += task->class->hosts;
        r = task->class->question(task, &name, &type);
        if (r >= 0)
                r = dns_server_ask(task->server, &task->query, &name, type, task->transport);
        if (r < 0) {
                tasks->n_flying--;
                task_next_attempt(task, r == -EINVAL ? KHS_REASON_MALFORMED : KHS_REASON_TIMEOUT, DNS_ANY);
        }
}

/* The queue whose turn it is, or DNS_N_QUEUES. */
static enum dns_queue tasks_turn(const struct dns_tasks *tasks, uint64_t now)
{
        const enum dns_queue order[] = {
                DNS_URGENT,
                tasks->hosts_turn ? DNS_HOSTS : DNS_PACED,
                tasks->hosts_turn ? DNS_PACED : DNS_HOSTS,
        };

        for (size_t i = 0; i < DNS_N_QUEUES; i++)
                if (tasks_queue_due(tasks, order[i]) <= now)
                        return order[i];
        return DNS_N_QUEUES;
}

/*
 * Where the rate stretches the intervals, every task of a queue is as late as the first, and no token is left. After
 * a stop of the process all are late, too, but there are tokens.
 */
static void tasks_note_lateness(struct dns_tasks *tasks, uint64_t now, uint64_t late_usec)
{
        bool tokens = dns_bucket_next(&tasks->bucket, tasks_rate(tasks)) <= now;

        if (tasks->late ? late_usec >= ON_TIME_USEC : late_usec <= LATE_USEC || tasks->catching_up || tokens)
                return;
        tasks->late = !tasks->late;
        if (tasks->late)
                log_message(LOG_WARNING, "dns: query-rate = %u cannot keep up: services are asked %llu s late",
                            tasks->query_rate, (unsigned long long)(late_usec / USEC_PER_SEC));
}

/* The task whose turn it is, or NULL. It is taken out of its queue. */
static struct dns_task *tasks_take(struct dns_tasks *tasks, uint64_t now)
{
        enum dns_queue queue = tasks_turn(tasks, now);
        bool urgent = queue == DNS_URGENT;
        struct dns_task *task;
        struct dns_server *server;
        struct due_item *item;

        if (queue == DNS_N_QUEUES)
                return NULL;
        item = due_queue_first(&tasks->queues[queue]);
        task = container_of(item, struct dns_task, due);
        server = dns_pool_choose(tasks->pool, task->tried);
        /* A transport was chosen for one server. Another may have become the better one since. */
        if (server && dns_server_bit(server) != task->last)
                task->transport = DNS_ANY;
        /* Room before token: a token that is not used would be lost. */
        if (server && !dns_server_has_room(server, task->transport)) {
                tasks->blocked = true;
                return NULL;
        }
        /* A question that can't be sent needs no token. */
        if (server && !urgent && !dns_bucket_take(&tasks->bucket, tasks_rate(tasks), now))
                return NULL;
        /* What an outage interrupts is the refreshing; the burst of a start is no measure of it. */
        if (server && !urgent)
                dns_meter_add(&tasks->meter, now);
        if (!urgent)
                tasks->hosts_turn = queue == DNS_PACED;
        if (queue == DNS_PACED)
                tasks_note_lateness(tasks, now, now - item->due_usec);
        due_queue_remove(&tasks->queues[queue], item);
        task->server = server;
        task->last = server ? dns_server_bit(server) : 0;
        task_set_recovering(task, false);
        task_set_counted(task, task->class->hosts);
        return task;
}

static void tasks_tick(void *userdata)
{
        struct dns_tasks *tasks = userdata;
        uint64_t now = usec_now();

        dns_pool_introduce(tasks->pool);
        tasks_catch_up(tasks, now);
        for (unsigned int i = 0; i < BATCH_MAX && tasks->n_flying < DNS_FLIGHT_MAX; i++) {
                struct dns_task *task = tasks_take(tasks, now);

                if (!task)
                        break;
                if (!task->server)
                        task_no_server(task);
                else
                        task_ask(task);
        }
        tasks_arm(tasks);
}

void dns_tasks_servers_changed(struct dns_tasks *tasks)
{
        uint64_t now = usec_now();
        struct dns_task *task;

        tasks->blocked = false;
        if (!dns_pool_any_up(tasks->pool)) {
                if (tasks->n_waiting == 0 && !tasks->catching_up)
                        tasks_set_recovery_rate(tasks, now);
                tasks_arm(tasks);
                return;
        }
        while ((task = TAILQ_FIRST(&tasks->waiting))) {
                /* What never had an answer has nothing to serve meanwhile: at once. */
                bool urgent = task->cold;

                TAILQ_REMOVE(&tasks->waiting, task, link);
                tasks->n_waiting--;
                task->waiting = false;
                task_set_recovering(task, !urgent);
                tasks->catching_up = true;
                task_put(task, urgent ? DNS_URGENT : DNS_PACED, urgent ? now : now + random_u32() % RELEASE_USEC);
        }
        tasks_arm(tasks);
}

int dns_task_open(struct dns_task *task, struct dns_tasks *tasks, const struct dns_task_class *class)
{
        for (size_t i = 0; i < DNS_N_QUEUES; i++) {
                int r = due_queue_reserve(&tasks->queues[i], tasks->n_tasks + 1);

                if (r < 0)
                        return r;
        }
        tasks->n_tasks++;
        *task = (struct dns_task){ .tasks = tasks, .class = class, .transport = DNS_ANY };
        return 0;
}

void dns_task_cancel(struct dns_task *task)
{
        struct dns_tasks *tasks = task->tasks;

        if (task->query.path) {
                dns_query_cancel(&task->query);
                tasks->n_flying--;
                tasks->blocked = false;
        }
        if (task->waiting) {
                TAILQ_REMOVE(&tasks->waiting, task, link);
                tasks->n_waiting--;
                task->waiting = false;
        }
        task_reset(task);
        task_set_recovering(task, false);
        task_set_counted(task, false);
        due_queue_remove(&tasks->queues[task->queue], &task->due);
        tasks_arm(tasks);
}

void dns_task_close(struct dns_task *task)
{
        if (!task->tasks)
                return;
        dns_task_cancel(task);
        task->tasks->n_tasks--;
        *task = (struct dns_task){ .tasks = NULL };
}

int dns_tasks_init(struct dns_tasks *tasks, sd_event *event, struct dns_pool *pool)
{
        tasks->pool = pool;
        TAILQ_INIT(&tasks->waiting);
        return timer_init(&tasks->timer, event, USEC_PER_MSEC, tasks_tick, tasks);
}

void dns_tasks_deinit(struct dns_tasks *tasks)
{
        timer_deinit(&tasks->timer);
        for (size_t i = 0; i < DNS_N_QUEUES; i++)
                due_queue_deinit(&tasks->queues[i]);
}
