/*
 * list: a line for each service.
 */

#include <string.h>

#include "ctl/ctl.h"
#include "ctl/state.h"
#include "table/policy.h"
#include "view/service-json.h"
#include "view/words.h"

static void list_add(struct output_table *table, const struct view_service *s)
{
        uint32_t answers = khs_policy_answers(s->policy), order = khs_policy_order(s->policy);

        output_table_add(table, STYLE_BOLD, s->key);
        output_table_add(table, state_style(s->state), state_word(view_state_word(s->state), s->state).text);
        output_table_add(table, STYLE_PLAIN, output_age(s->age_ds).text);
        output_table_add(table, STYLE_PLAIN,
                         s->source == 0 ? "-" : state_word(view_source_word(s->source), s->source).text);
        output_table_addf(table, "%u", s->n4 + s->n6);
        output_table_add(table, STYLE_PLAIN, state_word(view_answers_word(answers), answers).text);
        output_table_add(table, STYLE_PLAIN, state_word(view_order_word(order), order).text);
        output_table_add(table, STYLE_PLAIN,
                         s->reason == KHS_REASON_NONE ? "-" : state_word(view_reason_word(s->reason), s->reason).text);
}

static int list_text(struct ctl *ctl)
{
        static const char *const titles[] = { "SERVICE", "STATE", "AGE",    "SOURCE", "ADDRESSES",
                                              "ANSWERS", "ORDER", "REASON", NULL };
        struct output_table table;
        int r;

        output_table_init(&table, titles);
        for (size_t i = 0; i < ctl->catalog.n_services; i++)
                list_add(&table, &ctl->catalog.services[i]);
        r = output_table_print(&table, &ctl->out);
        return r < 0 ? ctl_no(ctl, "%s", strerror(-r)) : CTL_YES;
}

int ctl_list(struct ctl *ctl)
{
        if (!ctl->flags[CTL_JSON])
                return list_text(ctl);
        json_put_open(&ctl->json, NULL, '[');
        for (size_t i = 0; i < ctl->catalog.n_services; i++) {
                struct view_service whole;

                /* One that is gone meanwhile is not listed. */
                if (view_catalog_whole(&ctl->catalog, &ctl->table, ctl->catalog.services[i].key, &whole) < 0)
                        continue;
                view_service_json(&ctl->json, NULL, &whole);
                view_service_deinit(&whole);
        }
        json_put_close(&ctl->json, ']');
        json_put_end(&ctl->json);
        return CTL_YES;
}
