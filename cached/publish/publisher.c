/* Publishing, see publish/publisher.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "model/service-row.h"
#include "publish/publisher.h"
#include "table/clock.h"

#define JOIN_USEC     (25 * USEC_PER_MSEC)
#define WAKE_USEC     (100 * USEC_PER_MSEC) /* sleeping readers are woken ten times a second at most */
#define MAX_PER_JOIN  500                   /* publishes in one such interval: 20,000 a second */
#define HOLD_MIN_USEC (1 * USEC_PER_SEC)    /* between tries when there is no room */
#define HOLD_MAX_USEC (30 * USEC_PER_SEC)
#define TIMER_SLACK   1000

struct publisher {
        struct khs_writer *writer;
        bool open; /* the file has its name: readers look at it */
        sd_event_source *timer, *wake_timer, *slice;
        uint64_t last_wake;
        struct khs_table_params params; /* strings owned */

        struct publication *queue, **queue_end;
        uint64_t window_start; /* of the interval whose publishes are counted */
        unsigned int n_window;
        uint64_t hold_until, hold_usec; /* no room: no try before that */
        size_t n_refused;
};

static uint32_t now_ds(void)
{
        return khs_clock_ds(CLOCK_BOOTTIME);
}

/* ---- the next file, a slice whenever there is nothing else to do ---- */

static void take_step(struct publisher *p)
{
        int r = khs_writer_step(p->writer, now_ds());

        if (r < 0)
                log_message(LOG_WARNING, "the table can't be made larger or smaller ahead of need: %s", strerror(-r));
        (void)sd_event_source_set_enabled(p->slice, r > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_slice(sd_event_source *source, void *userdata)
{
        (void)source;
        take_step(userdata);
        return 0;
}

/* ---- telling sleeping readers ---- */

static int on_wake_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publisher *p = userdata;

        (void)source;
        (void)usec;
        p->last_wake = usec_now();
        khs_writer_wake(p->writer);
        return 0;
}

static void commit(struct publisher *p)
{
        uint64_t now = usec_now();

        if (khs_writer_wants_step(p->writer))
                (void)sd_event_source_set_enabled(p->slice, SD_EVENT_ONESHOT);
        khs_writer_commit(p->writer);
        if (now - p->last_wake >= WAKE_USEC) {
                p->last_wake = now;
                khs_writer_wake(p->writer);
                return;
        }
        (void)sd_event_source_set_time(p->wake_timer, p->last_wake + WAKE_USEC);
        (void)sd_event_source_set_enabled(p->wake_timer, SD_EVENT_ONESHOT);
}

/* ---- parameters ---- */

static void params_deinit(struct khs_table_params *params)
{
        free((char *)params->zone);
        free((char *)params->namespace);
        *params = (struct khs_table_params){ 0 };
}

static int params_copy(struct khs_table_params *ret, const struct khs_table_params *params)
{
        *ret = *params;
        ret->zone = strdup(params->zone);
        ret->namespace = strdup(params->namespace ? params->namespace : "");
        if (ret->zone && ret->namespace)
                return 0;
        params_deinit(ret);
        return -ENOMEM;
}

static bool params_equal(const struct khs_table_params *a, const struct khs_table_params *b)
{
        return strcmp(a->zone, b->zone) == 0 && strcmp(a->namespace, b->namespace ? b->namespace : "") == 0 &&
               a->orphan_max_ds == b->orphan_max_ds && a->reverse == b->reverse && a->max_bytes == b->max_bytes;
}

/* ---- the queue ---- */

static void queue_push(struct publisher *p, struct publication *pub)
{
        if (pub->queued)
                return;
        pub->queued = true;
        pub->next = NULL;
        *p->queue_end = pub;
        p->queue_end = &pub->next;
}

static void queue_remove(struct publisher *p, struct publication *pub)
{
        if (!pub->queued)
                return;
        for (struct publication **at = &p->queue; *at; at = &(*at)->next) {
                if (*at != pub)
                        continue;
                *at = pub->next;
                if (p->queue_end == &pub->next)
                        p->queue_end = at;
                break;
        }
        pub->queued = false;
}

static void arm(struct publisher *p, uint64_t usec)
{
        (void)sd_event_source_set_time(p->timer, usec);
        (void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* ---- no room ---- */

static void set_refused(struct publisher *p, struct publication *pub, bool refused)
{
        if (pub->refused == refused)
                return;
        pub->refused = refused;
        p->n_refused += refused ? 1 : (size_t)-1;
        khs_writer_set_refused(p->writer, (uint32_t)p->n_refused);
        if (!refused && p->n_refused == 0)
                log_message(LOG_NOTICE, "every service has room in the table again");
}

/* One line for the first; the count is in the status. */
static void refuse(struct publisher *p, struct publication *pub, int error, uint64_t now)
{
        if (p->n_refused == 0)
                log_message(LOG_ERR,
                            "no room in the table for %s: %s; max-table-size is %llu bytes, the table has %llu; "
                            "what it says stays, the rest is tried again",
                            pub->service->key, strerror(-error), (unsigned long long)p->params.max_bytes,
                            (unsigned long long)khs_writer_size(p->writer));
        set_refused(p, pub, true);
        p->hold_usec = p->hold_usec ? p->hold_usec * 2 : HOLD_MIN_USEC;
        if (p->hold_usec > HOLD_MAX_USEC)
                p->hold_usec = HOLD_MAX_USEC;
        p->hold_until = now + p->hold_usec;
        queue_push(p, pub);
        arm(p, p->hold_until);
}

/* ---- putting ---- */

static int put(struct publisher *p, struct publication *pub)
{
        struct khs_row row;

        service_row(pub->service, &row);
        return khs_writer_put(p->writer, &row, now_ds());
}

/* A file without a name has no readers, and must have all that is known before it gets one. */
static bool window_has_room(struct publisher *p, uint64_t now)
{
        if (!p->open)
                return true;
        if (now - p->window_start >= JOIN_USEC) {
                p->window_start = now;
                p->n_window = 0;
        }
        return p->n_window < MAX_PER_JOIN;
}

/* Return: whether the service is in the table as it is now. */
static bool publish(struct publisher *p, struct publication *pub, uint64_t now)
{
        int r = put(p, pub);

        p->n_window++;
        if (r < 0) {
                refuse(p, pub, r, now);
                return false;
        }
        pub->last_usec = now;
        p->hold_usec = 0;
        set_refused(p, pub, false);
        return true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publisher *p = userdata;
        uint64_t now = usec_now(), again = now + JOIN_USEC;
        size_t n_published = 0;

        (void)source;
        (void)usec;
        while (p->queue && now >= p->hold_until && window_has_room(p, now)) {
                struct publication *pub = p->queue;

                queue_remove(p, pub);
                if (publish(p, pub, now))
                        n_published++;
        }
        if (n_published > 0)
                commit(p);
        if (p->queue)
                arm(p, p->hold_until > again ? p->hold_until : again);
        return 0;
}

void publisher_update(struct publisher *p, struct publication *pub)
{
        uint64_t now = usec_now();

        if (pub->queued)
                return;
        if (now < p->hold_until || !window_has_room(p, now) ||
            (p->open && pub->last_usec && now - pub->last_usec < JOIN_USEC)) {
                if (!p->queue)
                        arm(p, now < p->hold_until ? p->hold_until : now + JOIN_USEC);
                queue_push(p, pub);
                return;
        }
        if (publish(p, pub, now))
                commit(p);
}

void publisher_touch(struct publisher *p, struct publication *pub)
{
        /* A service that waits for its publish brings its times with it. */
        if (!pub->queued && put(p, pub) < 0)
                publisher_update(p, pub);
}

void publisher_remove(struct publisher *p, struct publication *pub)
{
        queue_remove(p, pub);
        set_refused(p, pub, false);
        if (khs_writer_delete(p->writer, pub->service->key, strlen(pub->service->key), now_ds()) == 0)
                commit(p);
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
        int r = khs_writer_put(p->writer, &row, now_ds());

        if (r == 0)
                commit(p);
        return r;
}

void publisher_remove_alias(struct publisher *p, const char *alias)
{
        if (khs_writer_delete(p->writer, alias, strlen(alias), now_ds()) == 0)
                commit(p);
}

/* ---- the table as a whole ---- */

/* In place if possible: then no reader has to look for another file. */
static int new_writer(struct publisher *p, int dir_fd, const struct khs_table_params *params, uint32_t generation)
{
        int r = khs_writer_adopt(&p->writer, dir_fd, params, now_ds());

        p->open = r == 0;
        if (r == 0 || r == -ENOMEM)
                return r;
        if (r != -ENOENT)
                log_message(r == -EBADMSG ? LOG_WARNING : LOG_INFO,
                            "the table of the daemon before is %s; making a new one",
                            r == -EBADMSG ? "damaged" : "of another boot or configuration");
        return khs_writer_new(&p->writer, dir_fd, params, generation);
}

int publisher_new(struct publisher **ret, sd_event *event, int dir_fd, const struct khs_table_params *params,
                  uint32_t generation)
{
        struct publisher *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->queue_end = &p->queue;
        r = params_copy(&p->params, params);
        if (r == 0)
                r = new_writer(p, dir_fd, params, generation);
        if (r == 0)
                r = sd_event_add_time(event, &p->timer, CLOCK_BOOTTIME, 0, TIMER_SLACK, on_timer, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &p->wake_timer, CLOCK_BOOTTIME, 0, TIMER_SLACK, on_wake_timer, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->wake_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &p->slice, on_slice, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->slice, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(p->slice, SD_EVENT_PRIORITY_IDLE);
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
                sd_event_source_unref(p->timer);
                sd_event_source_unref(p->wake_timer);
                sd_event_source_unref(p->slice);
                khs_writer_free(p->writer);
                params_deinit(&p->params);
                free(p);
        }
        return NULL;
}

void publisher_retain(struct publisher *p, bool (*keep)(void *userdata, const char *key, const char *target),
                      void *userdata)
{
        khs_writer_retain(p->writer, keep, userdata, now_ds());
        commit(p);
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

        if (params_equal(&p->params, params))
                return 0;
        r = params_copy(&copy, params);
        if (r < 0)
                return r;
        r = khs_writer_renew(p->writer, params, now_ds());
        if (r < 0) {
                params_deinit(&copy);
                return r;
        }
        params_deinit(&p->params);
        p->params = copy;
        return 0;
}

int publisher_beat(struct publisher *p)
{
        int r;

        khs_writer_beat(p->writer);
        r = khs_writer_check(p->writer);
        if (r == 0)
                take_step(p);
        if (r != -ESTALE)
                return r;
        r = khs_writer_renew(p->writer, NULL, now_ds());
        if (r < 0)
                log_message(LOG_ERR, "the table was removed and can't be written again: %s", strerror(-r));
        else
                log_message(LOG_WARNING, "the table was removed by somebody; written again");
        return 0;
}

size_t publisher_n_refused(const struct publisher *p)
{
        return p->n_refused;
}
