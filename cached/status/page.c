/*
 * The page is whole without its script, which only puts the <main> of a newer one in place of the old; where scripts
 * do not run it reloads itself. Nothing comes from elsewhere, and Content-Security-Policy forbids it.
 *
 * A table of a phone's width becomes a list by its style alone. Roles are written out: browsers forget those of a
 * table whose `display` is another one.
 */

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "status/page.h"
#include "view/words.h"

#define SERVICES_MAX 1000U

static void page_text(FILE *to, const char *text)
{
        while (*text) {
                size_t n = utf8_length(text);

                if (n == 0)
                        (void)fputs_unlocked("\xef\xbf\xbd", to);
                else if (n == 1 && ((unsigned char)*text < 0x20 || strchr("&<>\"'", *text)))
                        (void)fprintf(to, "&#%d;", (unsigned char)*text < 0x20 ? ' ' : *text);
                else
                        (void)fwrite_unlocked(text, 1, n, to);
                text += n > 0 ? n : 1;
        }
}

/* Two digits are enough to see whether it is long. */
static void page_age(FILE *to, uint32_t age_ds)
{
        uint32_t s = age_ds / 10;

        if (s < 60)
                (void)fprintf(to, "%" PRIu32 ".%" PRIu32 " s", s, age_ds % 10);
        else if (s < 3600)
                (void)fprintf(to, "%" PRIu32 " min %" PRIu32 " s", s / 60, s % 60);
        else if (s < 86400)
                (void)fprintf(to, "%" PRIu32 " h %" PRIu32 " min", s / 3600, s / 60 % 60);
        else
                (void)fprintf(to, "%" PRIu32 " d %" PRIu32 " h", s / 86400, s / 3600 % 24);
}

/* ---- above the table ---- */

static void page_verdict(FILE *to, const struct snapshot *s)
{
        char why[SNAPSHOT_WHY_MAX];

        if (s->error < 0) {
                (void)fputs("<strong class=\"expired\">No table</strong>: ", to);
                page_text(to, view_table_error(s->error));
        } else if (!snapshot_is_well(s)) {
                (void)fputs("<strong class=\"expired\">Dead</strong>: the last heartbeat was ", to);
                page_age(to, s->header.beat_age_ds);
                (void)fputs(" ago", to);
        } else if (!snapshot_is_ready(s, why, sizeof(why))) {
                (void)fputs("<strong class=\"pending\">Not ready</strong>: ", to);
                page_text(to, why);
        } else {
                (void)fputs("<strong class=\"fresh\">Ready</strong>", to);
        }
}

static void page_summary(FILE *to, const struct snapshot *s)
{
        (void)fputs("<p role=\"status\">", to);
        page_verdict(to, s);
        (void)fprintf(to, ".</p>\n<p>%zu services", s->catalog.n_services);
        for (uint32_t state = 0, n = 0; state + 1 < SNAPSHOT_N_STATES; state++)
                if (s->states[state] > 0)
                        (void)fprintf(to, "%s%zu %s", n++ > 0 ? ", " : ": ", s->states[state], view_state_word(state));
        (void)fputs(".", to);
        if (s->error == 0) {
                (void)fputs(" The heart beat ", to);
                page_age(to, s->header.beat_age_ds);
                (void)fprintf(to, " ago; the table uses %" PRIu64 " of %" PRIu64 " KiB.", s->header.used_bytes >> 10,
                              s->header.size_bytes >> 10);
        }
        (void)fputs("</p>\n", to);
}

/* ---- the table ---- */

static void page_cell(FILE *to, const char *title, const char *class)
{
        (void)fprintf(to, "<td role=\"cell\" data-title=\"%s\"%s%s%s>", title, class ? " class=\"" : "",
                      class ? class : "", class ? "\"" : "");
}

/* A word of this version, or the number of another one. */
static void page_word(FILE *to, const char *word, uint32_t value)
{
        if (word)
                page_text(to, word);
        else if (value > 0)
                (void)fprintf(to, "%" PRIu32, value);
        else
                (void)fputs("<span aria-hidden=\"true\">–</span>", to);
        (void)fputs("</td>", to);
}

static void page_row(FILE *to, const struct view_service *s)
{
        (void)fputs("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">", to);
        page_text(to, s->key);
        (void)fputs("</th>", to);
        page_cell(to, "Endpoints", NULL);
        (void)fprintf(to, "%" PRIu32 "</td>", s->n4 + s->n6);
        page_cell(to, "State", view_state_word(s->state));
        page_word(to, view_state_word(s->state), s->state);
        page_cell(to, "For", NULL);
        page_age(to, s->age_ds);
        (void)fputs("</td>", to);
        page_cell(to, "Source", NULL);
        page_word(to, view_source_word(s->source), s->source);
        page_cell(to, "Reason", NULL);
        page_word(to, view_reason_word(s->reason), s->reason);
        (void)fputs("</tr>\n", to);
}

static void page_table(FILE *to, const struct snapshot *s)
{
        static const char *const titles[] = { "Service", "Endpoints", "State", "For", "Source", "Reason" };
        size_t n = s->catalog.n_services < SERVICES_MAX ? s->catalog.n_services : SERVICES_MAX;

        (void)fputs("<table role=\"table\">\n<caption>Services</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
                    to);
        for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
                (void)fprintf(to, "<th role=\"columnheader\" scope=\"col\">%s</th>", titles[i]);
        (void)fputs("</tr></thead>\n<tbody role=\"rowgroup\">\n", to);
        for (size_t i = 0; i < n; i++)
                page_row(to, &s->catalog.services[i]);
        (void)fputs("</tbody>\n</table>\n", to);
        if (n < s->catalog.n_services)
                (void)fprintf(to, "<p>%zu more: <code>k8shsvcctl list</code> has them all.</p>\n",
                              s->catalog.n_services - n);
}

/* ---- all together ---- */

void page_write(FILE *to, const struct snapshot *s)
{
        (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>k8shsvcd</title>\n"
                    "<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"status.css\">\n"
                    "<script src=\"status.js\" defer></script>\n"
                    "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n</head>\n<body>\n"
                    "<h1>k8shsvcd " K8SHSVC_VERSION "</h1>\n<main>\n",
                    to);
        page_summary(to, s);
        if (s->catalog.n_services > 0)
                page_table(to, s);
        (void)fputs("</main>\n<footer><a href=\"metrics\">Metrics</a> <a href=\"api/services\">JSON</a></footer>\n"
                    "</body>\n</html>\n",
                    to);
}
