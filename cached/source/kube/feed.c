/*
 * From objects of the API to slices in a store.
 *
 * What can't be taken is left out and logged with its service and slice, once a minute for each service and
 * kind: objects come again with each list, and a log full of one broken slice hides the next. An object that
 * is refused as a whole leaves what was known under its name.
 *
 * Rights that lack are named: which verbs on what, in which namespace, and the file that gives them.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/endpoint-slice.h"
#include "source/kube/decode/field.h"
#include "source/kube/decode/pod.h"
#include "source/kube/feed.h"

#define FAULT_USEC  (60 * USEC_PER_SEC)
#define LOG_LINES   6
#define LOG_USEC    (60 * USEC_PER_SEC)
#define TIMER_SLACK (5 * USEC_PER_MSEC)

static const char *feed_resource(const struct kube_feed *f)
{
        return f->service ? "pods" : "endpointslices";
}

/* ---- faults ---- */

static void feed_log_faults(struct kube_feed *f, const json_t *object, unsigned int faults)
{
        const char *service = f->service ? f->service : kube_object_label(object, KUBE_LABEL_SERVICE);
        const char *name = kube_object_name(object);
        struct kube_fault_log *log = service ? kube_store_faults(&f->store, service) : NULL;
        char own_service[64], own_name[254];
        uint64_t now = usec_now();

        if (!log)
                log = &f->faults;
        if (now - log->since_usec >= FAULT_USEC)
                *log = (struct kube_fault_log){ .since_usec = now };
        faults &= ~log->logged;
        log->logged |= faults;
        (void)kube_printable(service ? service : "?", own_service, sizeof(own_service));
        (void)kube_printable(name ? name : "?", own_name, sizeof(own_name));
        for (; faults > 0; faults &= faults - 1)
                log_message(LOG_WARNING, "kubernetes: service %s.%s, %s %s: left out: %s", own_service, f->namespace,
                            f->service ? "pod" : "slice", own_name, kube_fault_text(faults));
}

/* ---- what the watch reports ---- */

static void feed_changed(struct kube_feed *f)
{
        if (!f->in_list)
                f->events.changed(f->events.userdata);
}

static int feed_decode(struct kube_feed *f, const json_t *object, struct kube_slice **ret)
{
        unsigned int faults = 0;
        int r = f->service ? kube_pod_decode(ret, object, f->namespace, f->service, f->go_micro, &faults)
                           : kube_slice_decode(ret, object, f->namespace, &faults);

        if (faults > 0)
                feed_log_faults(f, object, faults);
        return r;
}

/* The list has old changes, too, which say nothing of how long a change takes. */
static int feed_put(struct kube_feed *f, const json_t *object, struct kube_slice *slice)
{
        const char *changed = kube_object_annotation(object, "endpoints.kubernetes.io/last-change-trigger-time");
        int r = kube_store_put(&f->store, slice);

        if (r == 0 && changed && !f->in_list)
                kube_store_date(&f->store, slice->service, kube_time_parse(changed));
        return r;
}

static void feed_on_object(void *userdata, const json_t *object, bool gone)
{
        struct kube_feed *f = userdata;
        const char *name = kube_object_name(object);
        struct kube_slice *slice;
        int r;

        if (!name)
                name = "";
        if (gone) {
                kube_store_remove(&f->store, name);
                feed_changed(f);
                return;
        }
        r = feed_decode(f, object, &slice);
        if (r == 0 && !f->events.wants(f->events.userdata, slice->service)) {
                /* It may have been another service's before. */
                kube_store_remove(&f->store, name);
                kube_slice_free(slice);
        } else if (r == 0) {
                f->events.seen(f->events.userdata, slice);
                r = feed_put(f, object, slice);
        }
        if (r < 0)
                kube_store_keep(&f->store, name);
        if (r == -ENOMEM)
                log_message(LOG_ERR, "kubernetes: out of memory; %s %s.%s stays as it was", feed_resource(f), name,
                            f->namespace);
        feed_changed(f);
}

static void feed_on_begin(void *userdata)
{
        struct kube_feed *f = userdata;

        f->in_list = true;
        kube_store_begin(&f->store);
}

static void feed_on_end(void *userdata)
{
        struct kube_feed *f = userdata;
        bool first = !f->is_listed;

        kube_store_end(&f->store);
        f->in_list = false;
        f->is_listed = true;
        if (first)
                f->events.listed(f->events.userdata);
        feed_changed(f);
}

static void feed_on_open(void *userdata)
{
        struct kube_feed *f = userdata;

        if (!f->is_lost)
                return;
        f->is_lost = false;
        if (log_limiter_take(&f->limiter))
                log_message(LOG_NOTICE, "kubernetes: %s of namespace %s are followed again", feed_resource(f),
                            f->namespace);
        f->events.open(f->events.userdata);
}

static void feed_log_lost(struct kube_feed *f, const char *text)
{
        if (!log_limiter_take(&f->limiter))
                return;
        if (f->status == 403)
                log_message(LOG_ERR,
                            "kubernetes: the API server refuses verbs list and watch on %s in namespace %s; "
                            "packaging/kubernetes/%s/role.yaml gives them: %s",
                            f->service ? "pods" : "endpointslices.discovery.k8s.io", f->namespace,
                            f->service ? "components/pods" : "base", text);
        else
                log_message(LOG_WARNING, "kubernetes: %s of namespace %s can't be followed: %s", feed_resource(f),
                            f->namespace, text);
}

/* Each attempt that fails is reported; only the first, and another reason, is news. */
static void feed_on_lost(void *userdata, enum khs_reason reason, unsigned int status, const char *text,
                         uint64_t true_usec)
{
        struct kube_feed *f = userdata;
        bool news = !f->is_lost || f->reason != reason || f->status != status;

        f->is_lost = true;
        f->reason = (uint8_t)reason;
        f->status = status;
        f->true_usec = true_usec;
        if (!news)
                return;
        (void)log_limiter_roll(&f->limiter);
        feed_log_lost(f, text);
        f->events.lost(f->events.userdata);
}

static void feed_on_due(void *userdata, uint64_t at_usec)
{
        struct kube_feed *f = userdata;

        timer_set(&f->timer, at_usec);
}

static void feed_on_timer(void *userdata)
{
        struct kube_feed *f = userdata;

        kube_watch_tick(f->watch);
}

/* ---- its life ---- */

static int feed_set(struct kube_feed *f, const struct kube_feed_options *options)
{
        f->namespace = strdup(options->namespace);
        f->service = options->service ? strdup(options->service) : NULL;
        f->go_micro = options->go_micro ? strdup(options->go_micro) : NULL;
        return f->namespace && !f->service == !options->service && !f->go_micro == !options->go_micro ? 0 : -ENOMEM;
}

static int feed_watch(struct kube_feed *f, struct kube_transport *transport, const char *selector)
{
        const struct kube_sink sink = {
                feed_on_begin, feed_on_object, feed_on_end, feed_on_open, feed_on_lost, feed_on_due, f
        };
        char path[256];

        (void)snprintf(path, sizeof(path), "%s/namespaces/%s/%s", f->service ? "/api/v1" : "/apis/discovery.k8s.io/v1",
                       f->namespace, feed_resource(f));
        return kube_watch_new(&f->watch, transport, &sink, path, selector);
}

int kube_feed_new(struct kube_feed **ret, sd_event *event, struct kube_transport *transport,
                  const struct kube_feed_options *options, const struct kube_feed_events *events)
{
        struct kube_feed *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->events = *events;
        f->limiter = (struct log_limiter){ .n_max = LOG_LINES, .period_usec = LOG_USEC };
        kube_store_init(&f->store);
        r = feed_set(f, options);
        if (r == 0)
                r = timer_init(&f->timer, event, TIMER_SLACK, feed_on_timer, f);
        if (r == 0)
                r = feed_watch(f, transport, options->selector);
        if (r < 0) {
                kube_feed_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

struct kube_feed *kube_feed_free(struct kube_feed *f)
{
        if (f) {
                kube_watch_free(f->watch);
                timer_deinit(&f->timer);
                kube_store_deinit(&f->store);
                free(f->namespace);
                free(f->service);
                free(f->go_micro);
                free(f);
        }
        return NULL;
}
