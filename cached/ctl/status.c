/*
 * status: whether lookups are answered here.
 *
 * Well is: there is a table that readers use. Ready is: and no service waits for its first answer.
 */

#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/state.h"
#include "view/words.h"

#define N_STATES 6U /* the last one: those that are not known here */

struct status {
        int error; /* why there is no table */
        struct view_header header;
        size_t states[N_STATES];
        const char *pending; /* the first one */
};

static void status_count(const struct ctl *ctl, struct status *status)
{
        for (size_t i = 0; i < ctl->catalog.n_services; i++) {
                const struct view_service *s = &ctl->catalog.services[i];

                status->states[s->state < N_STATES ? s->state : N_STATES - 1]++;
                if (s->state == KHS_SERVICE_PENDING && !status->pending)
                        status->pending = s->key;
        }
}

static const char *status_daemon(const struct ctl *ctl)
{
        static const char *const words[] = {
                [KHS_ALIVE] = "alive",
                [KHS_SILENT] = "silent",
                [KHS_DEAD] = "dead",
        };

        return ctl->has_table ? words[ctl->table.alive] : NULL;
}

static bool status_is_well(const struct ctl *ctl)
{
        return ctl->has_table && ctl->table.alive != KHS_DEAD;
}

static bool status_is_ready(const struct ctl *ctl, const struct status *status)
{
        return status_is_well(ctl) && !status->pending && status->header.n_refused == 0;
}

/* ---- for programs ---- */

static void status_json_table(struct ctl *ctl, const struct status *status)
{
        const struct view_header *h = &status->header;
        struct json_writer *w = &ctl->json;

        if (!ctl->has_table) {
                json_put_null(w, "table");
                return;
        }
        json_put_open(w, "table", '{');
        json_put_text(w, "path", K8SHSVC_RUNDIR "/" KHS_TABLE_NAME);
        json_put_bool(w, "believed", ctl->table.believed);
        json_put_number(w, "size_bytes", h->size_bytes);
        json_put_number(w, "used_bytes", h->used_bytes);
        json_put_number(w, "generation", h->generation);
        json_put_number(w, "changes", h->changes);
        json_put_number(w, "refused", h->n_refused);
        json_put_number(w, "damaged", ctl->catalog.n_damaged);
        json_put_number(w, "orphan_max_ms", (uint64_t)h->orphan_max_ds * 100);
        json_put_bool(w, "reverse", h->reverse);
        json_put_text(w, "cluster_domain", h->zone);
        json_put_text(w, "namespace", h->namespace[0] ? h->namespace : NULL);
        json_put_text(w, "node", h->node_name[0] ? h->node_name : NULL);
        json_put_text(w, "zone", h->node_zone[0] ? h->node_zone : NULL);
        json_put_close(w, '}');
}

static void status_json(struct ctl *ctl, const struct status *status)
{
        struct json_writer *w = &ctl->json;
        size_t n_addresses = 0;

        for (size_t i = 0; i < ctl->catalog.n_services; i++)
                n_addresses += ctl->catalog.services[i].n4 + ctl->catalog.services[i].n6;
        json_put_open(w, NULL, '{');
        json_put_bool(w, "ready", status_is_ready(ctl, status));
        json_put_text(w, "daemon", status_daemon(ctl));
        if (ctl->has_table) {
                json_put_number(w, "heartbeat_age_ms", (uint64_t)status->header.beat_age_ds * 100);
                json_put_number(w, "pid", status->header.writer_pid);
        } else {
                json_put_null(w, "heartbeat_age_ms");
                json_put_null(w, "pid");
        }
        json_put_number(w, "services", ctl->catalog.n_services);
        json_put_number(w, "addresses", n_addresses);
        json_put_number(w, "aliases", ctl->catalog.n_aliases);
        json_put_open(w, "states", '{');
        for (uint32_t i = 0; i + 1 < N_STATES; i++)
                json_put_number(w, view_state_word(i), status->states[i]);
        json_put_close(w, '}');
        status_json_table(ctl, status);
        json_put_close(w, '}');
        json_put_end(w);
}

/* ---- for people ---- */

static void status_text_states(const struct ctl *ctl, const struct status *status)
{
        output_title(&ctl->out, "services");
        (void)fprintf(ctl->out.to, "%zu", ctl->catalog.n_services);
        for (uint8_t i = 0, n = 0; i + 1U < N_STATES; i++) {
                if (status->states[i] == 0)
                        continue;
                (void)fprintf(ctl->out.to, "%s%zu ", n++ > 0 ? ", " : ": ", status->states[i]);
                (void)output_text(&ctl->out, state_style(i), view_state_word(i));
        }
        (void)fputc('\n', ctl->out.to);
}

static void status_text(const struct ctl *ctl, const struct status *status)
{
        static const enum style styles[] = {
                [KHS_ALIVE] = STYLE_GOOD,
                [KHS_SILENT] = STYLE_WARNING,
                [KHS_DEAD] = STYLE_BAD,
        };
        const struct view_header *h = &status->header;

        output_title(&ctl->out, "daemon");
        (void)output_text(&ctl->out, styles[ctl->table.alive], status_daemon(ctl));
        (void)fprintf(ctl->out.to, ", pid %u, heartbeat %s ago\n", h->writer_pid, output_age(h->beat_age_ds).text);
        output_title(&ctl->out, "table");
        (void)fprintf(ctl->out.to, "%s/%s, %" PRIu64 " of %" PRIu64 " KiB used, generation %u\n", K8SHSVC_RUNDIR,
                      KHS_TABLE_NAME, h->used_bytes >> 10, h->size_bytes >> 10, h->generation);
        status_text_states(ctl, status);
        output_title(&ctl->out, "cluster domain");
        (void)output_text(&ctl->out, STYLE_PLAIN, h->zone);
        (void)fputc('\n', ctl->out.to);
        if (h->n_refused == 0)
                return;
        output_title(&ctl->out, "refused");
        (void)fprintf(ctl->out.to, "%u registration%s no room\n", h->n_refused, h->n_refused == 1 ? " has" : "s have");
}

static int status_verdict(const struct ctl *ctl, const struct status *status)
{
        if (!ctl->has_table)
                return ctl_no(ctl, "%s/%s: %s", K8SHSVC_RUNDIR, KHS_TABLE_NAME, view_table_error(status->error));
        if (!status_is_well(ctl))
                return ctl_no(ctl, "no living daemon: the last heartbeat was %s ago",
                              output_age(status->header.beat_age_ds).text);
        if (ctl->flags[CTL_READY] && status->pending)
                return ctl_no(ctl, "not ready: no first answer yet for %zu of %zu services, as for %s",
                              status->states[KHS_SERVICE_PENDING], ctl->catalog.n_services, status->pending);
        if (ctl->flags[CTL_READY] && status->header.n_refused > 0)
                return ctl_no(ctl, "not ready: the table has no room for %u of the registered services",
                              status->header.n_refused);
        return CTL_YES;
}

int ctl_status(struct ctl *ctl)
{
        struct status status = { .error = ctl_try_table(ctl) };

        if (ctl->has_table) {
                view_table_header(&ctl->table, &status.header);
                status_count(ctl, &status);
        }
        if (ctl->flags[CTL_JSON])
                status_json(ctl, &status);
        else if (ctl->has_table)
                status_text(ctl, &status);
        return status_verdict(ctl, &status);
}
