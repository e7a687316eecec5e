/*
 * Between the model, which changes at any pace, and the writer, which can reuse a block only after it has
 * rested:
 *
 *     publisher_update() --- first change in 25 ms, and the window has room ----> put, commit
 *              |                                                                     ^
 *              +--> queue --- timer: at the end of the 25 ms, 500 a window ----------+
 *                     ^                                                              |
 *                     +--- no room: all puts are held for 1 s, then 2, 4 ... 30 -----+
 *
 * A service is queued at most once, and its row is made when it is put, so that a put always has the newest
 * data. Sleeping readers are woken ten times a second at most. While the file has no name, nobody reads it
 * and nothing waits.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/counters.h"
#include "base/log.h"
#include "base/timer.h"
#include "base/util.h"
#include "model/service-row.h"
#include "publish/publisher.h"
#include "table/clock.h"
#include "table/probe.h"

#define JOIN_USEC         (25 * USEC_PER_MSEC)
#define WAKE_USEC         (100 * USEC_PER_MSEC) /* between two calls that wake sleeping readers */
#define MAX_PER_JOIN      500                   /* publishes in one such window: 20,000 a second */
#define HOLD_MIN_USEC     (1 * USEC_PER_SEC)    /* between attempts when there is no room */
#define HOLD_MAX_USEC     (30 * USEC_PER_SEC)
#define HOLD_ALIASES_USEC (5 * USEC_PER_SEC) /* the same of aliases, which do not hold services back */
#define TIMER_SLACK       1000

struct publisher {
        struct khs_writer *writer;
        bool open; /* the file has its name: readers look at it */
        struct timer timer, wake_timer;
        uint64_t last_wake;
        struct khs_table_params params; /* strings owned */

        struct publication *queue, **queue_end;
        uint64_t window_start; /* of the 25 ms whose publishes are counted */
        unsigned int n_window;
        uint64_t hold_until, hold_usec; /* there was no room: no attempt before that */
        uint64_t hold_aliases_until;    /* the same of aliases */
        size_t n_refused, n_refused_aliases;
};

static uint32_t publisher_now_ds(void)
{
        return khs_clock_ds(CLOCK_BOOTTIME);
}

/* ---- waking readers ---- */

static void publisher_wake(void *userdata)
{
        struct publisher *p = userdata;

        p->last_wake = usec_now();
        khs_writer_wake(p->writer);
}

static void publisher_commit(struct publisher *p)
{
        khs_writer_commit(p->writer);
        if (usec_now() - p->last_wake >= WAKE_USEC)
                publisher_wake(p);
        else
                timer_set(&p->wake_timer, p->last_wake + WAKE_USEC);
}

/* ---- parameters ---- */

static const char *publisher_text(const char *text)
{
        return text ? text : "";
}

static void publisher_params_deinit(struct khs_table_params *params)
{
        free((char *)params->zone);
        free((char *)params->namespace);
        free((char *)params->node_name);
        free((char *)params->node_zone);
        *params = (struct khs_table_params){ 0 };
}

static int publisher_params_copy(struct khs_table_params *ret, const struct khs_table_params *params)
{
        *ret = *params;
        ret->zone = strdup(params->zone);
        ret->namespace = strdup(publisher_text(params->namespace));
        ret->node_name = strdup(publisher_text(params->node_name));
        ret->node_zone = strdup(publisher_text(params->node_zone));
        if (ret->zone && ret->namespace && ret->node_name && ret->node_zone)
                return 0;
        publisher_params_deinit(ret);
        return -ENOMEM;
}

static bool publisher_params_equal(const struct khs_table_params *a, const struct khs_table_params *b)
{
        return strcmp(a->zone, b->zone) == 0 && strcmp(a->namespace, publisher_text(b->namespace)) == 0 &&
               strcmp(a->node_name, publisher_text(b->node_name)) == 0 &&
               strcmp(a->node_zone, publisher_text(b->node_zone)) == 0 && a->orphan_max_ds == b->orphan_max_ds &&
               a->reverse == b->reverse && a->max_bytes == b->max_bytes;
}

/* ---- the queue ---- */

static void publisher_push(struct publisher *p, struct publication *pub)
{
        if (pub->queued)
                return;
        pub->queued = true;
        pub->next = NULL;
        pub->link = p->queue_end;
        *pub->link = pub;
        p->queue_end = &pub->next;
}

static void publisher_unqueue(struct publisher *p, struct publication *pub)
{
        if (!pub->queued)
                return;
        *pub->link = pub->next;
        if (pub->next)
                pub->next->link = pub->link;
        else
                p->queue_end = pub->link;
        pub->queued = false;
}

/* ---- no room ---- */

static void publisher_tell_refused(struct publisher *p)
{
        khs_writer_set_refused(p->writer, (uint32_t)(p->n_refused + p->n_refused_aliases));
}

void publisher_count_refused_aliases(struct publisher *p, int change)
{
        p->n_refused_aliases += (size_t)change;
        publisher_tell_refused(p);
}

static void publisher_set_refused(struct publisher *p, struct publication *pub, bool refused)
{
        if (pub->refused == refused)
                return;
        pub->refused = refused;
        p->n_refused += refused ? 1 : (size_t)-1;
        publisher_tell_refused(p);
        if (!refused && p->n_refused == 0)
                log_message(LOG_NOTICE, "the table has room for every service again");
}

/*
 * Nothing that is queued has room, until something is put again. What was never resolved in the table's eyes gives
 * its record back: a table full of services that were registered first and answered later would have no room for
 * any answer.
 */
static void publisher_refuse_queue(struct publisher *p)
{
        for (struct publication *pub = p->queue; pub; pub = pub->next) {
                publisher_set_refused(p, pub, true);
                khs_writer_drop_pending(p->writer, pub->service->key, strlen(pub->service->key), publisher_now_ds());
        }
}

/* Logs the first one only; the status has the count. */
static void publisher_refuse(struct publisher *p, struct publication *pub, int error, uint64_t now)
{
        if (p->n_refused == 0)
                log_service(LOG_ERR, pub->service->key,
                            "no room in the table: %s; max-table-size is %llu bytes, the table has %llu; "
                            "published data stays, the rest is retried",
                            strerror(-error), (unsigned long long)p->params.max_bytes,
                            (unsigned long long)khs_writer_size(p->writer));
        p->hold_usec = p->hold_usec ? p->hold_usec * 2 : HOLD_MIN_USEC;
        if (p->hold_usec > HOLD_MAX_USEC)
                p->hold_usec = HOLD_MAX_USEC;
        p->hold_until = now + p->hold_usec;
        publisher_push(p, pub);
        publisher_refuse_queue(p);
        timer_set(&p->timer, p->hold_until);
}

/* ---- putting ---- */

static int publisher_put(struct publisher *p, struct publication *pub)
{
        struct khs_row row;

        service_row(pub->service, &row);
        return khs_writer_put(p->writer, &row, publisher_now_ds());
}

/* A file without a name has no readers, and must say everything that is known before it gets one. */
static bool publisher_window_has_room(struct publisher *p, uint64_t now)
{
        if (!p->open)
                return true;
        if (now - p->window_start >= JOIN_USEC) {
                p->window_start = now;
                p->n_window = 0;
        }
        return p->n_window < MAX_PER_JOIN;
}

static void publisher_count(struct publication *pub)
{
        struct timespec now;

        counters.n_publishes++;
        if (pub->changed_usec == 0)
                return;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        histogram_add(&counters.propagation,
                      (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)pub->changed_usec / 1e6);
        pub->changed_usec = 0;
}

/* Return: whether the table now says what the service does. */
static bool publisher_publish(struct publisher *p, struct publication *pub, uint64_t now)
{
        int r = publisher_put(p, pub);

        p->n_window++;
        if (r < 0) {
                publisher_refuse(p, pub, r, now);
                return false;
        }
        publisher_count(pub);
        KHS_PROBE3(publish, pub->service->key, pub->service->v4.n, pub->service->v6.n);
        pub->last_usec = now;
        p->hold_usec = 0;
        publisher_set_refused(p, pub, false);
        return true;
}

static void publisher_on_timer(void *userdata)
{
        struct publisher *p = userdata;
        uint64_t now = usec_now(), again = now + JOIN_USEC;
        size_t n_published = 0;

        while (p->queue && now >= p->hold_until && publisher_window_has_room(p, now)) {
                struct publication *pub = p->queue;

                publisher_unqueue(p, pub);
                if (publisher_publish(p, pub, now))
                        n_published++;
        }
        if (n_published > 0)
                publisher_commit(p);
        if (p->queue)
                timer_set(&p->timer, p->hold_until > again ? p->hold_until : again);
}

void publisher_update(struct publisher *p, struct publication *pub)
{
        uint64_t now = usec_now();

        if (pub->queued)
                return;
        if (now < p->hold_until || !publisher_window_has_room(p, now) ||
            (p->open && pub->last_usec && now - pub->last_usec < JOIN_USEC)) {
                if (!p->queue)
                        timer_set(&p->timer, now < p->hold_until ? p->hold_until : now + JOIN_USEC);
                publisher_push(p, pub);
                return;
        }
        if (publisher_publish(p, pub, now))
                publisher_commit(p);
}

void publisher_touch(struct publisher *p, struct publication *pub)
{
        /* A queued service brings its times along when it is put. */
        if (!pub->queued && publisher_put(p, pub) < 0)
                publisher_update(p, pub);
}

void publisher_remove(struct publisher *p, struct publication *pub)
{
        publisher_unqueue(p, pub);
        publisher_set_refused(p, pub, false);
        if (khs_writer_delete(p->writer, pub->service->key, strlen(pub->service->key), publisher_now_ds()) == 0)
                publisher_commit(p);
        pub->last_usec = 0;
}

int publisher_put_alias(struct publisher *p, const char *alias, const char *target)
{
        const struct khs_row row = {
                .key = alias,
                .n_key = strlen(alias),
                .target = target,
                .n_target = strlen(target),
        };
        uint64_t now = usec_now();
        int r;

        /* An attempt may fill a file before it fails: not one for each of a thousand aliases. */
        if (now < p->hold_until || now < p->hold_aliases_until)
                return -ENOSPC;
        r = khs_writer_put(p->writer, &row, publisher_now_ds());
        if (r == 0)
                publisher_commit(p);
        else
                p->hold_aliases_until = now + HOLD_ALIASES_USEC;
        return r;
}

void publisher_remove_alias(struct publisher *p, const char *alias)
{
        if (khs_writer_delete(p->writer, alias, strlen(alias), publisher_now_ds()) == 0)
                publisher_commit(p);
}

/* ---- the table as a whole ---- */

/* In place if possible, so that no reader has to look for another file. */
static int publisher_new_writer(struct publisher *p, int dir_fd, const struct khs_table_params *params,
                                const struct predecessor *predecessor)
{
        int r = -ENOENT;

        if (predecessor_shares_clock(predecessor))
                r = khs_writer_adopt(&p->writer, dir_fd, params, publisher_now_ds());
        p->open = r == 0;
        if (r == 0 || r == -ENOMEM)
                return r;
        if (r != -ENOENT)
                log_message(r == -EBADMSG ? LOG_WARNING : LOG_INFO,
                            "the previous daemon's table is %s; making a new one",
                            r == -EBADMSG ? "damaged"
                            : r == -EFBIG ? "nearly empty"
                                          : "of another boot or configuration");
        return khs_writer_new(&p->writer, dir_fd, params, predecessor_generation(predecessor) + 1);
}

int publisher_new(struct publisher **ret, sd_event *event, int dir_fd, const struct khs_table_params *params,
                  const struct predecessor *predecessor)
{
        struct publisher *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->queue_end = &p->queue;
        r = publisher_params_copy(&p->params, params);
        if (r == 0)
                r = publisher_new_writer(p, dir_fd, params, predecessor);
        if (r == 0)
                r = timer_init(&p->timer, event, TIMER_SLACK, publisher_on_timer, p);
        if (r == 0)
                r = timer_init(&p->wake_timer, event, TIMER_SLACK, publisher_wake, p);
        if (r < 0) {
                publisher_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

struct publisher *publisher_free(struct publisher *p)
{
        if (p) {
                timer_deinit(&p->timer);
                timer_deinit(&p->wake_timer);
                khs_writer_free(p->writer);
                publisher_params_deinit(&p->params);
                free(p);
        }
        return NULL;
}

void publisher_retain(struct publisher *p, bool (*keep)(void *userdata, const char *key, const char *target),
                      void *userdata)
{
        khs_writer_retain(p->writer, keep, userdata, publisher_now_ds());
        publisher_commit(p);
}

int publisher_open(struct publisher *p)
{
        int r = p->open ? 0 : khs_writer_publish(p->writer);

        p->open = r == 0;
        return r;
}

int publisher_set_params(struct publisher *p, const struct khs_table_params *params)
{
        struct khs_table_params copy;
        int r;

        if (publisher_params_equal(&p->params, params))
                return 0;
        r = publisher_params_copy(&copy, params);
        if (r < 0)
                return r;
        r = khs_writer_renew(p->writer, params, publisher_now_ds());
        if (r < 0) {
                publisher_params_deinit(&copy);
                return r;
        }
        publisher_params_deinit(&p->params);
        p->params = copy;
        return 0;
}

static void publisher_tend(struct publisher *p)
{
        int r = khs_writer_tend(p->writer, publisher_now_ds());

        if (r < 0)
                log_message(LOG_WARNING, "the table is three quarters full and cannot grow: %s", strerror(-r));
}

void publisher_beat(struct publisher *p)
{
        int r;

        khs_writer_beat(p->writer);
        if (khs_writer_check(p->writer) == 0) {
                publisher_tend(p);
                return;
        }
        r = khs_writer_renew(p->writer, NULL, publisher_now_ds());
        if (r < 0)
                log_message(LOG_ERR, "the table was removed and cannot be written again: %s", strerror(-r));
        else
                log_message(LOG_WARNING, "somebody removed the table; it has been written again");
}

size_t publisher_n_refused(const struct publisher *p)
{
        return p->n_refused;
}
