/*
 * list+watch as client-go does it, without what its smaller cousins got wrong.
 *
 *                 400, 422, silence: the server has no WatchList
 *            +--> STREAMING ---------------------------------> LISTING <--+ next page
 *            |        | initial-events-end                        | last  |
 *     WAITING         v                                           v page--+
 *            |    WATCHING <--------------------------------------+
 *            |        | ends as it should: WATCHING again from the last version; every 10 min from the list
 *            |        | 410 Gone, as a status or as an ERROR event: the list, within 5 s
 *            +--------+ fails: after a back-off WATCHING from the last version, after 5 s the list
 *
 * - Nothing says when a watch from an old version has brought all that was missed, and a server that was restarted
 *   accepts any version before it says that it is too old. So it goes on from there after a short loss only, whose
 *   services nobody else was asked for yet.
 * - A resourceVersion is an opaque string: kept, sent back, never compared.
 * - The list is for what a watch can't be trusted with: it is repeated every 10 minutes although nothing
 *   is wrong, since caches of API servers have been seen to skip a window of events.
 * - There is no heartbeat in the protocol, but bookmarks come about once a minute: a watch without a byte for
 *   90 s is opened again, over another connection. It counts as lost only when that fails.
 * - The back-off doubles from 0.8 s to 30 s with a jitter of its own size, and starts anew after two minutes
 *   of health. A watch that ends as soon as it is opened is no healthy one.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/timer.h"
#include "base/util.h"
#include "source/kube/decode/field.h"
#include "source/kube/watch/query.h"
#include "source/kube/watch/stream.h"
#include "source/kube/watch/watch.h"

#define BACKOFF_MIN_USEC  (800 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC  (30 * USEC_PER_SEC)
#define GONE_MAX_USEC     (4 * USEC_PER_SEC) /* a list after 410: the server lives */
#define RETRY_AFTER_MAX_S 120U
#define HEALTHY_USEC      (120 * USEC_PER_SEC)
#define SHORT_USEC        (2 * USEC_PER_SEC) /* a watch that has ended before was never open */
#define RELIST_USEC       (600 * USEC_PER_SEC)
#define RELIST_NEAR_USEC  (5 * USEC_PER_SEC)  /* not worth a watch before */
#define MISSED_MAX_USEC   (5 * USEC_PER_SEC)  /* half of what may pass until DNS is asked */
#define TIMEOUT_MIN_S     300U                /* of a watch, by the server */
#define ANSWER_USEC       (20 * USEC_PER_SEC) /* until the first byte */
#define LIST_SILENT_USEC  (30 * USEC_PER_SEC)
#define WATCH_SILENT_USEC (90 * USEC_PER_SEC)
#define PAGE_ITEMS        500
#define VERSION_MAX       1024U
#define CONTINUE_MAX      16384U

enum watch_state { WATCH_WAITING, WATCH_STREAMING, WATCH_LISTING, WATCH_WATCHING };

struct kube_watch {
        struct kube_transport *transport;
        struct kube_sink sink;
        char *path, *selector;

        enum watch_state state;
        struct kube_call *call; /* NULL while waiting */
        struct kube_stream stream;
        unsigned int status;

        char *version;     /* to watch from; NULL: a list is due */
        char *next;        /* the next page's token; NULL: the first page */
        bool no_streaming; /* the server has no WatchList */
        bool fresh;        /* the next request takes another connection */
        bool has_data;     /* the answer has more than its status */

        uint64_t started_usec, heard_usec; /* of the request */
        uint64_t true_usec;                /* when what is known was last known to be true */
        uint64_t missed_usec;              /* since when changes may have been missed; 0: none was */
        uint64_t opened_usec;              /* since when all has been well; 0: it is not */
        uint64_t relist_usec, backoff_usec, begin_usec;

        /* What an ERROR event said. */
        unsigned int error_status;
        char error_text[160];
};

/* ---- time ---- */

static void watch_wait(struct kube_watch *w, uint64_t delay_usec)
{
        w->state = WATCH_WAITING;
        w->begin_usec = usec_now() + delay_usec;
        w->sink.due(w->sink.userdata, w->begin_usec);
}

static uint64_t watch_backoff(struct kube_watch *w)
{
        uint64_t delay;

        if (w->opened_usec > 0 && usec_now() - w->opened_usec >= HEALTHY_USEC)
                w->backoff_usec = 0;
        w->opened_usec = 0;
        w->backoff_usec = w->backoff_usec > 0 ? w->backoff_usec * 2 : BACKOFF_MIN_USEC;
        if (w->backoff_usec > BACKOFF_MAX_USEC)
                w->backoff_usec = BACKOFF_MAX_USEC;
        delay = w->backoff_usec + w->backoff_usec * (random_u32() % 1024U) / 1024U;
        return delay < BACKOFF_MAX_USEC ? delay : BACKOFF_MAX_USEC;
}

static bool watch_missed_much(const struct kube_watch *w)
{
        return w->missed_usec > 0 && usec_now() - w->missed_usec >= MISSED_MAX_USEC;
}

static uint64_t watch_silence_ends(const struct kube_watch *w)
{
        if (w->status == 0)
                return w->started_usec + ANSWER_USEC;
        if (w->state == WATCH_WATCHING && w->status == 200 && w->missed_usec > 0)
                return w->heard_usec; /* accepted too late */
        return w->heard_usec + (w->state == WATCH_WATCHING ? WATCH_SILENT_USEC : LIST_SILENT_USEC);
}

/* ---- what comes in ---- */

static void watch_forget(struct kube_watch *w)
{
        free(w->version);
        free(w->next);
        w->version = w->next = NULL;
}

static int watch_set_text(char **where, const char *text, size_t max)
{
        char *copy;

        if (strlen(text) > max)
                return -EBADMSG;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*where);
        *where = copy;
        return 0;
}

static void watch_opened(struct kube_watch *w)
{
        w->true_usec = usec_now();
        w->missed_usec = 0;
        if (w->opened_usec == 0)
                w->opened_usec = w->true_usec;
        w->sink.open(w->sink.userdata);
}

static void watch_listed(struct kube_watch *w)
{
        w->true_usec = usec_now();
        w->relist_usec = w->true_usec + usec_jitter(RELIST_USEC, 20);
        w->sink.end(w->sink.userdata);
}

static int watch_bookmark(struct kube_watch *w, const json_t *object)
{
        const char *end = kube_object_annotation(object, "k8s.io/initial-events-end");

        if (w->state == WATCH_STREAMING && end && strcmp(end, "true") == 0) {
                w->state = WATCH_WATCHING;
                watch_listed(w);
                watch_opened(w);
        }
        return 0;
}

static int watch_error_event(struct kube_watch *w, const json_t *object)
{
        const char *message = kube_field_text(object, "message", NULL);
        json_int_t code = json_integer_value(kube_field(object, "code", JSON_INTEGER, NULL));

        w->error_status = code >= 400 && code < 600 ? (unsigned int)code : 500;
        (void)kube_printable(message ? message : "an ERROR event", w->error_text, sizeof(w->error_text));
        return -EREMOTEIO;
}

/* The version is that of the last event that was taken, so that none is missed when the watch goes on from it. */
static int watch_on_event(void *userdata, json_t *event)
{
        struct kube_watch *w = userdata;
        const char *type = kube_field_text(event, "type", NULL);
        const json_t *object = kube_field(event, "object", JSON_OBJECT, NULL);
        const char *version = kube_object_version(object);
        int r = 0;

        if (!type || !object)
                return -EBADMSG;
        if (strcmp(type, "ERROR") == 0)
                return watch_error_event(w, object);
        if (strcmp(type, "BOOKMARK") == 0)
                r = watch_bookmark(w, object);
        else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0 || strcmp(type, "DELETED") == 0)
                w->sink.object(w->sink.userdata, object, type[0] == 'D');
        if (r == 0 && version && version[0] && w->state == WATCH_WATCHING)
                r = watch_set_text(&w->version, version, VERSION_MAX);
        return r;
}

/* What is around the items: the next page's token, or the version to watch from. */
static int watch_on_page(struct kube_watch *w, const json_t *list)
{
        const json_t *metadata = kube_field(list, "metadata", JSON_OBJECT, NULL);
        const char *next = kube_field_text(metadata, "continue", NULL), *version = kube_object_version(list);

        if (!json_object_get(list, "items") || !version || !version[0])
                return -EBADMSG;
        if (next && next[0])
                return watch_set_text(&w->next, next, CONTINUE_MAX);
        free(w->next);
        w->next = NULL;
        return watch_set_text(&w->version, version, VERSION_MAX);
}

static int watch_on_item(void *userdata, json_t *object)
{
        struct kube_watch *w = userdata;

        if (w->status != 200)
                return watch_error_event(w, object);
        if (!w->stream.in_items)
                return watch_on_page(w, object);
        w->sink.object(w->sink.userdata, object, false);
        return 0;
}

static void watch_on_status(void *userdata, unsigned int status)
{
        struct kube_watch *w = userdata;

        w->heard_usec = usec_now();
        w->status = status;
        /* The body of a refusal is a Status. */
        if (status != 200) {
                kube_stream_deinit(&w->stream);
                kube_stream_init(&w->stream, true, watch_on_item, w);
        } else if (w->state == WATCH_WATCHING && !watch_missed_much(w)) {
                watch_opened(w);
        }
        w->sink.due(w->sink.userdata, watch_silence_ends(w));
}

static int watch_on_data(void *userdata, const char *bytes, size_t n)
{
        struct kube_watch *w = userdata;

        w->heard_usec = usec_now();
        w->has_data = true;
        if (w->state == WATCH_WATCHING && w->status == 200)
                w->true_usec = w->heard_usec;
        return kube_stream_feed(&w->stream, bytes, n);
}

/* ---- requests ---- */

static void watch_fail(struct kube_watch *w, enum khs_reason reason, unsigned int status, const char *text,
                       uint64_t delay_usec)
{
        counters.restarts[COUNTED_FAILED]++;
        if (w->missed_usec == 0)
                w->missed_usec = usec_now();
        w->sink.lost(w->sink.userdata, reason, status, text, w->true_usec);
        watch_wait(w, delay_usec);
}

static const struct kube_reply watch_reply = {
        .status = watch_on_status,
        .data = watch_on_data,
};

static void watch_on_done(void *userdata, const struct kube_end *end);

static void watch_request(struct kube_watch *w, enum watch_state state, char *path)
{
        struct kube_request request = { .path = path, .fresh = w->fresh };
        struct kube_reply reply = watch_reply;
        int r = path ? 0 : -ENOMEM;

        reply.done = watch_on_done;
        reply.userdata = w;
        w->state = state;
        w->status = w->error_status = 0;
        w->error_text[0] = '\0';
        w->fresh = w->has_data = false;
        w->started_usec = usec_now();
        kube_stream_deinit(&w->stream);
        kube_stream_init(&w->stream, state == WATCH_LISTING, state == WATCH_LISTING ? watch_on_item : watch_on_event,
                         w);
        if (r == 0)
                r = w->transport->ops->start(w->transport, &request, &reply, &w->call);
        free(path);
        if (r < 0)
                watch_fail(w, KHS_REASON_API, 0, strerror(-r), watch_backoff(w));
        else
                w->sink.due(w->sink.userdata, watch_silence_ends(w));
}

/* Ended by the server after 5 to 10 minutes, each at another time; but when the next list is due. */
static unsigned int watch_timeout_s(const struct kube_watch *w)
{
        unsigned int timeout = TIMEOUT_MIN_S + random_u32() % TIMEOUT_MIN_S;
        uint64_t left_s = w->version ? (w->relist_usec - usec_now()) / USEC_PER_SEC : timeout;

        return left_s < timeout ? (unsigned int)left_s : timeout;
}

static void watch_begin(struct kube_watch *w)
{
        if (watch_missed_much(w) || (w->version && usec_now() + RELIST_NEAR_USEC >= w->relist_usec))
                watch_forget(w);
        if (w->version) {
                watch_request(w, WATCH_WATCHING,
                              kube_query_watch(w->path, w->selector, w->version, watch_timeout_s(w)));
                return;
        }
        if (!w->next)
                w->sink.begin(w->sink.userdata);
        if (w->no_streaming)
                watch_request(w, WATCH_LISTING, kube_query_list(w->path, w->selector, PAGE_ITEMS, w->next));
        else
                watch_request(w, WATCH_STREAMING, kube_query_stream(w->path, w->selector, watch_timeout_s(w)));
}

/* ---- ends ---- */

static enum khs_reason watch_reason(int error, unsigned int status)
{
        if (status == 401 || error == -EACCES)
                return KHS_REASON_UNAUTHORIZED;
        if (status == 403)
                return KHS_REASON_FORBIDDEN;
        if (error == -EPROTO)
                return KHS_REASON_TLS;
        if (error == -ETIMEDOUT)
                return KHS_REASON_TIMEOUT;
        return error == -ECONNREFUSED ? KHS_REASON_REFUSED : KHS_REASON_API;
}

/* The list begins anew. What is open counts as open until that fails: the server is there. */
static void watch_gone(struct kube_watch *w)
{
        uint64_t delay = watch_backoff(w);

        counters.restarts[COUNTED_GONE]++;
        watch_forget(w);
        watch_wait(w, delay < GONE_MAX_USEC ? delay : GONE_MAX_USEC);
}

/* The answer has ended as it should. */
static void watch_complete(struct kube_watch *w)
{
        if (w->state == WATCH_LISTING) {
                w->missed_usec = 0;
                if (w->version)
                        watch_listed(w);
                watch_begin(w);
                return;
        }
        if (w->state == WATCH_STREAMING) {
                w->no_streaming = true; /* whoever never says that all was sent is asked for a list */
                watch_fail(w, KHS_REASON_API, 200, "the watch ended before all was listed", watch_backoff(w));
        } else if (usec_now() - w->started_usec < SHORT_USEC) {
                watch_fail(w, KHS_REASON_API, 200, "the watch ended as soon as it was opened", watch_backoff(w));
        } else {
                counters.restarts[COUNTED_ENDED]++;
                watch_begin(w);
        }
}

static void watch_refused(struct kube_watch *w, unsigned int status, const struct kube_end *end)
{
        char text[224];
        uint64_t delay, after = 0;

        if (status == 410) {
                watch_gone(w);
                return;
        }
        if ((status == 400 || status == 422) && w->state == WATCH_STREAMING) {
                w->no_streaming = true;
                watch_begin(w);
                return;
        }
        if (status == 401)
                w->transport->ops->unauthorized(w->transport);
        /* A version that the server can't make sense of is worth nothing. */
        if (status == 400 || status == 422)
                watch_forget(w);
        delay = watch_backoff(w);
        if (end && end->retry_after_s > 0)
                after = (end->retry_after_s < RETRY_AFTER_MAX_S ? end->retry_after_s : RETRY_AFTER_MAX_S) *
                                USEC_PER_SEC +
                        USEC_PER_MSEC * (random_u32() % 1000U);
        (void)snprintf(text, sizeof(text), "HTTP status %u%s%s", status, w->error_text[0] ? ": " : "", w->error_text);
        watch_fail(w, watch_reason(0, status), status, text, after > delay ? after : delay);
}

static const char *watch_error_text(int error)
{
        switch (error) {
        case -EBADMSG:
                return "an answer that can't be read";
        case -EMSGSIZE:
                return "an object that is too large";
        default:
                return strerror(-error);
        }
}

static void watch_on_done(void *userdata, const struct kube_end *end)
{
        struct kube_watch *w = userdata;
        int r = end->error;

        w->call = NULL;
        if (r == 0)
                r = kube_stream_end(&w->stream);
        if (w->error_status > 0 || (w->status > 0 && w->status != 200)) {
                watch_refused(w, w->status == 200 ? w->error_status : w->status, end);
                return;
        }
        if (r == 0 && w->status == 200) {
                watch_complete(w);
                return;
        }
        /* An object that is too large or can't be read comes again when the watch goes on from here: list. */
        if (r == -EBADMSG || r == -EMSGSIZE)
                watch_forget(w);
        watch_fail(w, watch_reason(r, 0), 0, end->text && end->error == r ? end->text : watch_error_text(r),
                   watch_backoff(w));
}

/* An open watch that has gone silent is tried again before anybody is alarmed. */
static void watch_silent(struct kube_watch *w)
{
        w->transport->ops->cancel(w->transport, w->call);
        w->call = NULL;
        w->fresh = true;
        if (w->state == WATCH_WATCHING && w->status == 200) {
                /* Not even a bookmark: the server may be waiting for a version that it has never had. */
                if (!w->has_data)
                        watch_forget(w);
                counters.restarts[COUNTED_SILENT]++;
                watch_begin(w);
                return;
        }
        if (w->state == WATCH_STREAMING && w->status == 200)
                w->no_streaming = true;
        watch_fail(w, KHS_REASON_TIMEOUT, 0, "no answer", watch_backoff(w));
}

void kube_watch_tick(struct kube_watch *w)
{
        uint64_t at = w->state == WATCH_WAITING ? w->begin_usec : watch_silence_ends(w);

        if (usec_now() < at)
                w->sink.due(w->sink.userdata, at);
        else if (w->state == WATCH_WAITING)
                watch_begin(w);
        else
                watch_silent(w);
}

int kube_watch_new(struct kube_watch **ret, struct kube_transport *transport, const struct kube_sink *sink,
                   const char *path, const char *selector)
{
        struct kube_watch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->transport = transport;
        w->sink = *sink;
        w->path = strdup(path);
        w->selector = strdup(selector);
        if (!w->path || !w->selector) {
                kube_watch_free(w);
                return -ENOMEM;
        }
        watch_wait(w, 0);
        *ret = w;
        return 0;
}

struct kube_watch *kube_watch_free(struct kube_watch *w)
{
        if (w) {
                if (w->call)
                        w->transport->ops->cancel(w->transport, w->call);
                kube_stream_deinit(&w->stream);
                watch_forget(w);
                free(w->path);
                free(w->selector);
                free(w);
        }
        return NULL;
}
