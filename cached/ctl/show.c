/*
 * show: one service, whole.
 */

#include <string.h>

#include "ctl/name.h"
#include "ctl/state.h"
#include "table/policy.h"
#include "view/service-json.h"
#include "view/words.h"

static void show_line(const struct ctl *ctl, const char *title, enum style style, const char *text)
{
        output_title(&ctl->out, title);
        (void)output_text(&ctl->out, style, text);
        (void)fputc('\n', ctl->out.to);
}

static void show_state(const struct ctl *ctl, const struct view_service *s)
{
        struct state_word state = state_word(view_state_word(s->state), s->state);

        output_title(&ctl->out, "state");
        (void)output_text(&ctl->out, state_style(s->state), state.text);
        (void)fprintf(ctl->out.to, " for %s", output_age(s->age_ds).text);
        if (s->reason != KHS_REASON_NONE) {
                struct state_word reason = state_word(view_reason_word(s->reason), s->reason);
                const char *text = state_reason_text(s->reason);

                (void)fprintf(ctl->out.to, ", reason %s%s%s%s", reason.text, text ? " (" : "", text ? text : "",
                              text ? ")" : "");
        }
        (void)fputc('\n', ctl->out.to);
}

static void show_service(const struct ctl *ctl, const struct view_service *s)
{
        uint32_t answers = khs_policy_answers(s->policy), order = khs_policy_order(s->policy);
        uint32_t family = khs_policy_family(s->policy);

        show_line(ctl, "service", STYLE_BOLD, s->key);
        show_state(ctl, s);
        show_line(ctl, "source", STYLE_PLAIN,
                  s->source == 0 ? "-" : state_word(view_source_word(s->source), s->source).text);
        show_line(ctl, "answers", STYLE_PLAIN, state_word(view_answers_word(answers), answers).text);
        show_line(ctl, "order", STYLE_PLAIN, state_word(view_order_word(order), order).text);
        show_line(ctl, "family", STYLE_PLAIN, state_word(view_family_word(family), family).text);
        for (size_t i = 0; i < s->n_aliases; i++)
                show_line(ctl, "alias", STYLE_PLAIN, s->aliases[i]);
        output_title(&ctl->out, "addresses");
        (void)fprintf(ctl->out.to, "%u IPv4%s, %u IPv6%s%s\n", s->n4, s->v4_known ? "" : " (unknown)", s->n6,
                      s->v6_known ? "" : " (unknown)", s->truncated ? ", and there are more than fit" : "");
}

static void show_add_condition(struct output_table *table, const struct view_endpoint *e)
{
        if (!e->is_condition_known)
                output_table_add(table, STYLE_PLAIN, "-");
        else if (e->flags & KHS_ATTR_TERMINATING)
                output_table_add(table, STYLE_WARNING,
                                 e->flags & KHS_ATTR_SERVING ? "terminating, serving" : "terminating");
        else if (e->flags & KHS_ATTR_READY)
                output_table_add(table, STYLE_GOOD, "ready");
        else
                output_table_add(table, STYLE_BAD, e->flags & KHS_ATTR_SERVING ? "not ready, serving" : "not ready");
}

static void show_add_text(struct output_table *table, const char *text)
{
        output_table_add(table, STYLE_PLAIN, text ? text : "-");
}

static void show_add_endpoint(struct output_table *table, const struct view_service *s, const struct view_endpoint *e)
{
        char address[46];

        output_table_add(table, STYLE_BOLD, view_endpoint_address(e, address));
        if (e->port > 0)
                output_table_addf(table, "%u", e->port);
        else
                output_table_add(table, STYLE_PLAIN, "-");
        show_add_text(table, view_service_text(s, e->host));
        if (e->ordinal >= 0)
                output_table_addf(table, "%d", e->ordinal);
        else
                output_table_add(table, STYLE_PLAIN, "-");
        show_add_text(table, view_service_text(s, e->node));
        show_add_text(table, view_service_text(s, e->zone));
        output_table_add(table, STYLE_PLAIN, e->near == VIEW_UNKNOWN ? "-" : e->near == VIEW_YES ? "yes" : "no");
        show_add_condition(table, e);
}

static int show_endpoints(struct ctl *ctl, const struct view_service *s)
{
        static const char *const titles[] = { "ADDRESS", "PORT", "HOST",      "ORDINAL", "NODE",
                                              "ZONE",    "NEAR", "CONDITION", NULL };
        struct output_table table;
        int r;

        output_table_init(&table, titles);
        for (uint32_t i = 0; i < s->n_endpoints; i++)
                show_add_endpoint(&table, s, &s->endpoints[i]);
        if (table.n_cells > 0)
                (void)fputc('\n', ctl->out.to);
        r = output_table_print(&table, &ctl->out);
        return r < 0 ? ctl_no(ctl, "%s", strerror(-r)) : CTL_YES;
}

int ctl_show(struct ctl *ctl)
{
        struct ctl_found found;
        int r = ctl_find_name(ctl, ctl->argument, &found);

        if (r > 0)
                return r;
        if (ctl->flags[CTL_JSON]) {
                view_service_json(&ctl->json, NULL, &found.service);
                json_put_end(&ctl->json);
        } else {
                show_service(ctl, &found.service);
                r = show_endpoints(ctl, &found.service);
        }
        view_service_deinit(&found.service);
        return r;
}
