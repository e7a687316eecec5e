/*
 * watch: every change as it happens, for people, for programs that read lines, and as a hook.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/name.h"
#include "ctl/state.h"
#include "ctl/watch/follower.h"
#include "ctl/watch/hook.h"
#include "view/service-json.h"
#include "view/words.h"

#define IDLE_USEC (2 * USEC_PER_SEC)
#define JOIN_USEC (20 * USEC_PER_MSEC) /* of a table that changes all the time, so many are looked at together */

struct watch {
        struct ctl *ctl;
        struct follower follower;
        char only[256]; /* empty: all services */
        struct hook hook;

        /* Keys that the hook has not been told of by a run that went well. */
        char (*pending)[256];
        size_t n_pending, n_allocated;
        size_t n_running; /* the first ones of them: those that the run has got which is on */
        bool started;     /* there was a table */
        bool waited;      /* there was none at first */
        bool failed;      /* no memory */
};

/* ---- for people ---- */

static bool watch_has(const struct view_service *s, const struct view_endpoint *e)
{
        const struct view_endpoint *first = s ? s->endpoints + (e->family == AF_INET ? 0 : s->n4) : NULL;
        uint32_t n = !s ? 0 : e->family == AF_INET ? s->n4 : s->n6;

        for (uint32_t i = 0; i < n; i++) {
                if (memcmp(first[i].address, e->address, sizeof(e->address)) == 0)
                        return true;
        }
        return false;
}

/* Those that only one of the two has. */
static void watch_print_addresses(const struct output *out, enum style style, char sign,
                                  const struct view_service *service, const struct view_service *other)
{
        char text[48];

        text[0] = sign;
        for (uint32_t i = 0; service && i < service->n4 + service->n6; i++) {
                if (watch_has(other, &service->endpoints[i]))
                        continue;
                (void)view_endpoint_address(&service->endpoints[i], text + 1);
                (void)fputc(' ', out->to);
                (void)output_text(out, style, text);
        }
}

static void watch_print_time(const struct output *out)
{
        struct timespec now;
        struct tm tm;
        char text[32] = "";

        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (localtime_r(&now.tv_sec, &tm))
                (void)strftime(text, sizeof(text), "%H:%M:%S", &tm);
        (void)fprintf(out->to, "%s.%03ld ", text, now.tv_nsec / 1000000);
}

static void watch_print_text(const struct output *out, const struct view_service *before,
                             const struct view_service *after)
{
        watch_print_time(out);
        (void)output_text(out, STYLE_BOLD, after ? after->key : before->key);
        (void)fputc(' ', out->to);
        if (!after) {
                (void)output_text(out, STYLE_BAD, "removed");
                (void)fputc('\n', out->to);
                return;
        }
        (void)output_text(out, state_style(after->state), state_word(view_state_word(after->state), after->state).text);
        (void)fprintf(out->to, " for %s", output_age(after->age_ds).text);
        if (after->source > 0)
                (void)fprintf(out->to, " (%s)", state_word(view_source_word(after->source), after->source).text);
        if (after->reason != KHS_REASON_NONE)
                (void)fprintf(out->to, ", reason %s", state_word(view_reason_word(after->reason), after->reason).text);
        watch_print_addresses(out, STYLE_GOOD, '+', after, before);
        watch_print_addresses(out, STYLE_BAD, '-', before, after);
        (void)fputc('\n', out->to);
}

/* ---- for programs ---- */

/* One that is gone has no state. */
static void watch_json(struct json_writer *w, const struct view_service *service, const char *gone)
{
        if (service) {
                view_service_json(w, NULL, service);
                return;
        }
        json_put_open(w, NULL, '{');
        json_put_text(w, "service", gone);
        json_put_null(w, "state");
        json_put_open(w, "endpoints", '[');
        json_put_close(w, ']');
        json_put_close(w, '}');
}

static int watch_compare_keys(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* Each key once, among those that no run has got. */
static void watch_compact(struct watch *w)
{
        char(*keys)[256] = w->pending + w->n_running;
        size_t n_keys = w->n_pending - w->n_running, n = 0;

        if (n_keys > 0)
                qsort(keys, n_keys, sizeof(*keys), watch_compare_keys);
        for (size_t i = 0; i < n_keys; i++) {
                if (n > 0 && strcmp(keys[n - 1], keys[i]) == 0)
                        continue;
                memmove(keys[n++], keys[i], sizeof(*keys));
        }
        w->n_pending = w->n_running + n;
}

/* A command that runs for hours must not make us remember each change of a service. */
static void watch_remember(struct watch *w, const char *key)
{
        if (w->n_pending == w->n_allocated)
                watch_compact(w);
        if (w->n_pending >= w->n_allocated - w->n_allocated / 4) {
                size_t n = w->n_allocated * 2 + 16;
                char(*larger)[256] = reallocarray(w->pending, n, sizeof(*larger));

                if (!larger) {
                        w->failed = true;
                        return;
                }
                w->pending = larger;
                w->n_allocated = n;
        }
        strcpy(w->pending[w->n_pending++], key);
}

static void watch_on_change(void *user, const struct view_service *before, const struct view_service *after)
{
        struct watch *w = user;
        const char *key = after ? after->key : before->key;

        if (w->hook.command) {
                watch_remember(w, key);
                hook_change(&w->hook, usec_now());
        } else if (w->ctl->flags[CTL_JSON]) {
                watch_json(&w->ctl->json, after, key);
                json_put_end(&w->ctl->json);
        } else {
                watch_print_text(&w->ctl->out, before, after);
        }
}

/* ---- the hook ---- */

static const struct view_service *watch_find(const struct watch *w, const char *key)
{
        size_t low = 0, high = w->follower.n_services;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = strcmp(w->follower.services[middle]->key, key);

                if (r == 0)
                        return w->follower.services[middle];
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static void watch_write_input(const struct watch *w, FILE *to)
{
        struct json_writer json = { .to = to };

        if (w->only[0]) {
                watch_json(&json, watch_find(w, w->only), w->only);
        } else {
                json_put_open(&json, NULL, '[');
                for (size_t i = 0; i < w->n_pending; i++)
                        watch_json(&json, watch_find(w, w->pending[i]), w->pending[i]);
                json_put_close(&json, ']');
        }
        json_put_end(&json);
}

static void watch_run_hook(struct watch *w, uint64_t now)
{
        _cleanup_(cleanup_free) char *input = NULL;
        size_t n_input = 0;
        FILE *to = open_memstream(&input, &n_input);
        int r = -ENOMEM;

        watch_compact(w);
        if (to) {
                watch_write_input(w, to);
                if (fclose(to) == 0)
                        r = hook_run(&w->hook, input, n_input, now);
        }
        if (r < 0)
                ctl_warn(w->ctl, "watch: the command can't be started: %s", strerror(-r));
        else
                w->n_running = w->n_pending;
}

/* What a run that went well has got needs no other one; after a failure it is joined with what came meanwhile. */
static void watch_end_hook(struct watch *w, int status)
{
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                memmove(w->pending, w->pending + w->n_running, (w->n_pending - w->n_running) * sizeof(*w->pending));
                w->n_pending -= w->n_running;
        } else if (WIFSIGNALED(status)) {
                ctl_warn(w->ctl, "watch: the command was killed by signal %d; trying again", WTERMSIG(status));
        } else {
                ctl_warn(w->ctl, "watch: the command failed with status %d; trying again", WEXITSTATUS(status));
        }
        w->n_running = 0;
}

static void watch_step_hook(struct watch *w)
{
        uint64_t now = usec_now();
        int status;

        if (!w->hook.command)
                return;
        if (hook_reap(&w->hook, &status, now))
                watch_end_hook(w, status);
        if (hook_wants_run(&w->hook, now))
                watch_run_hook(w, now);
}

static uint64_t watch_pause(const struct watch *w)
{
        uint64_t now = usec_now(), due = w->hook.command ? hook_due(&w->hook, now) : UINT64_MAX;

        if (due <= now)
                return 0;
        return due - now < IDLE_USEC ? due - now : IDLE_USEC;
}

/* ---- the command ---- */

/* `watch | head -1` shall end with its reader, not at the next change, which may never come. */
static bool watch_is_read(const struct watch *w)
{
        struct pollfd out = { .fd = fileno(w->ctl->out.to) };

        return w->hook.command || poll(&out, 1, 0) <= 0;
}

static int watch_loop(struct watch *w)
{
        int r = 0;

        while (r == 0 && !w->failed) {
                uint32_t seen = follower_counter(&w->follower);

                r = follower_look(&w->follower, watch_on_change, w);
                if (w->follower.has_looked && !w->started)
                        hook_change(&w->hook, usec_now()); /* whatever there is */
                w->started = w->follower.has_looked;
                if (!w->started && !w->waited)
                        ctl_warn(w->ctl, "watch: there is no table yet, waiting for one");
                w->waited = true;
                watch_step_hook(w);
                if (fflush(w->ctl->out.to) != 0)
                        return ctl_no(w->ctl, "watch: the output can't be written");
                if (!watch_is_read(w)) {
                        (void)raise(SIGPIPE); /* as if something had been written */
                        return ctl_no(w->ctl, "watch: the output can't be written");
                }
                if (r == 0) {
                        follower_wait(&w->follower, seen, watch_pause(w));
                        (void)usleep(JOIN_USEC);
                }
        }
        return ctl_no(w->ctl, "%s", strerror(ENOMEM));
}

static int watch_begin(struct ctl *ctl, struct watch *w)
{
        const char *wait = ctl->flags[CTL_WAIT];
        struct ctl_found found;
        int r;

        w->hook.command = ctl->flags[CTL_EXEC];
        if (wait && !w->hook.command)
                return ctl_misuse(ctl, "watch: --wait goes with --exec");
        if (wait && hook_parse_wait(&w->hook, wait) < 0)
                return ctl_misuse(ctl, "watch: --wait: found %s, expected MIN[:MAX], as 500ms or 2s:10s", wait);
        if (!ctl->argument)
                return 0;
        r = ctl_open_table(ctl);
        if (r == 0)
                r = ctl_find_name(ctl, ctl->argument, &found);
        if (r == 0) {
                strcpy(w->only, found.service.key);
                view_service_deinit(&found.service);
        }
        return r;
}

int ctl_watch(struct ctl *ctl)
{
        struct watch w = { .ctl = ctl };
        int r = watch_begin(ctl, &w);

        if (r > 0)
                return r;
        follower_init(&w.follower, ctl, w.only[0] ? w.only : NULL);
        r = watch_loop(&w);
        follower_deinit(&w.follower);
        free(w.pending);
        return r;
}
