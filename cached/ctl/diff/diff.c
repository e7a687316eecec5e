/*
 * diff: the table against what its sources say now.
 *
 * A source that does not answer makes no difference and no agreement: nobody knows.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "ctl/configuration.h"
#include "ctl/diff/live.h"
#include "ctl/name.h"
#include "ctl/state.h"
#include "view/service-json.h"
#include "view/words.h"

struct diff {
        struct ctl *ctl;
        struct output_table table;
        size_t n_different, n_unknown;
};

/* One address that only one side has. */
typedef void (*diff_address_fn)(struct diff *d, const struct view_service *s, const struct live_service *live,
                                const struct view_endpoint *address, bool in_table);

static struct view_endpoint diff_address(int family, const uint8_t *bytes)
{
        struct view_endpoint ret = { .family = (uint8_t)family };

        memcpy(ret.address, bytes, address_size(family));
        return ret;
}

/* The table's addresses of a family; in the table the near ones come first. */
static uint8_t *diff_sorted(const struct view_service *s, int family, uint32_t *ret_n)
{
        const struct view_endpoint *ours = s->endpoints + (family == AF_INET ? 0 : s->n4);
        uint32_t n = family == AF_INET ? s->n4 : s->n6;
        size_t size = address_size(family);
        uint8_t *ret = malloc(n * size + 1);

        for (uint32_t i = 0; ret && i < n; i++)
                memcpy(ret + i * size, ours[i].address, size);
        *ret_n = ret ? addresses_sort(family, ret, n) : 0;
        return ret;
}

/* Return: how many differ. */
static size_t diff_family(struct diff *d, const struct view_service *s, const struct live_service *live, int family,
                          diff_address_fn address)
{
        const struct live_family *f = family == AF_INET ? &live->v4 : &live->v6;
        uint32_t n_ours, o = 0, t = 0;
        _cleanup_(cleanup_free) uint8_t *ours = diff_sorted(s, family, &n_ours);
        size_t size = address_size(family), n = 0;

        while (ours && f->state == LIVE_KNOWN && (o < n_ours || t < f->n)) {
                int r = o == n_ours ? 1 : -1;

                if (o < n_ours && t < f->n)
                        r = memcmp(ours + o * size, f->addresses + t * size, size);
                if (r != 0) {
                        struct view_endpoint one =
                                diff_address(family, r < 0 ? ours + o * size : f->addresses + t * size);

                        n++;
                        if (address)
                                address(d, s, live, &one, r < 0);
                }
                o += r <= 0;
                t += r >= 0;
        }
        return n;
}

static size_t diff_service(struct diff *d, const struct view_service *s, const struct live_service *live,
                           diff_address_fn address)
{
        return diff_family(d, s, live, AF_INET, address) + diff_family(d, s, live, AF_INET6, address);
}

/* Why nothing is known of a family; NULL: both are. */
static const char *diff_error(const struct live_service *live)
{
        const struct live_family *f = live->v4.state == LIVE_KNOWN ? &live->v6 : &live->v4;
        const char *reason;

        if (f->state == LIVE_KNOWN)
                return NULL;
        if (f->state == LIVE_UNASKED)
                return "no file has its section";
        reason = f->state == LIVE_FAILED ? view_reason_word(f->reason) : NULL;
        return reason ? reason : view_reason_word(KHS_REASON_TIMEOUT);
}

/* ---- for programs ---- */

static void diff_json_table(struct diff *d, const struct view_service *s, const struct live_service *live,
                            const struct view_endpoint *address, bool in_table)
{
        char text[46];

        (void)s;
        (void)live;
        if (in_table)
                json_put_text(&d->ctl->json, NULL, view_endpoint_address(address, text));
}

static void diff_json_live(struct diff *d, const struct view_service *s, const struct live_service *live,
                           const struct view_endpoint *address, bool in_table)
{
        char text[46];

        (void)s;
        (void)live;
        if (!in_table)
                json_put_text(&d->ctl->json, NULL, view_endpoint_address(address, text));
}

static void diff_json(struct diff *d, const struct view_service *s, const struct live_service *live)
{
        struct json_writer *w = &d->ctl->json;
        const char *error = diff_error(live);
        size_t n = diff_service(d, s, live, NULL);

        json_put_open(w, NULL, '{');
        json_put_text(w, "service", s->key);
        json_put_word(w, "source", view_source_word(live->source), live->source);
        if (n == 0 && error)
                json_put_null(w, "equal");
        else
                json_put_bool(w, "equal", n == 0);
        json_put_text(w, "error", error);
        json_put_open(w, "only_table", '[');
        (void)diff_service(d, s, live, diff_json_table);
        json_put_close(w, ']');
        json_put_open(w, "only_source", '[');
        (void)diff_service(d, s, live, diff_json_live);
        json_put_close(w, ']');
        json_put_close(w, '}');
}

/* ---- for people ---- */

static void diff_text_address(struct diff *d, const struct view_service *s, const struct live_service *live,
                              const struct view_endpoint *address, bool in_table)
{
        char text[46];

        output_table_add(&d->table, STYLE_BOLD, s->key);
        output_table_add(&d->table, in_table ? STYLE_BAD : STYLE_GOOD, view_endpoint_address(address, text));
        if (in_table)
                output_table_add(&d->table, STYLE_PLAIN, "only the table");
        else
                output_table_addf(&d->table, "only %s", state_word(view_source_word(live->source), live->source).text);
}

static void diff_text(struct diff *d, const struct view_service *s, const struct live_service *live)
{
        const char *error = diff_error(live);

        (void)diff_service(d, s, live, diff_text_address);
        if (!error)
                return;
        output_table_add(&d->table, STYLE_BOLD, s->key);
        output_table_add(&d->table, STYLE_WARNING, "unknown");
        output_table_addf(&d->table, "%s: %s", state_word(view_source_word(live->source), live->source).text, error);
}

/* ---- the command ---- */

/* One that is gone meanwhile, or damaged, has nothing to be compared with. */
static void diff_one(struct diff *d, const struct live_service *live)
{
        struct view_service service;

        if (view_catalog_whole(&d->ctl->catalog, &d->ctl->table, live->key, &service) < 0)
                return;
        d->n_different += diff_service(d, &service, live, NULL) > 0;
        d->n_unknown += diff_error(live) != NULL;
        if (d->ctl->flags[CTL_JSON])
                diff_json(d, &service, live);
        else
                diff_text(d, &service, live);
        view_service_deinit(&service);
}

static int diff_print(struct ctl *ctl, const struct live_service *live, size_t n)
{
        static const char *const titles[] = { "SERVICE", "ADDRESS", "WHO HAS IT", NULL };
        struct diff d = { .ctl = ctl };
        int r = 0;

        output_table_init(&d.table, titles);
        if (ctl->flags[CTL_JSON])
                json_put_open(&ctl->json, NULL, '[');
        for (size_t i = 0; i < n; i++)
                diff_one(&d, &live[i]);
        if (ctl->flags[CTL_JSON]) {
                json_put_close(&ctl->json, ']');
                json_put_end(&ctl->json);
        } else if (d.table.n_cells > 0) {
                r = output_table_print(&d.table, &ctl->out);
        }
        if (r < 0)
                return ctl_no(ctl, "%s", strerror(-r));
        return d.n_different + d.n_unknown > 0 ? CTL_NO : CTL_YES;
}

/* @services: of the catalog. */
static int diff_run(struct ctl *ctl, const struct view_service *services, size_t n)
{
        struct live_service *live = NULL;
        struct config *config = NULL;
        struct view_header header;
        int r = ctl_load_configuration(&config, NULL, NULL);

        if (r == 0) {
                view_table_header(&ctl->table, &header);
                r = live_ask(config, header.zone, services, n, &live);
        }
        (void)config_free(config);
        if (r < 0)
                return ctl_no(ctl, "diff: the sources can't be asked: %s", strerror(-r));
        /* The table may have been replaced meanwhile. */
        ctl_close_table(ctl);
        r = ctl_open_table(ctl);
        if (r == 0)
                r = diff_print(ctl, live, n);
        live_free(live, n);
        return r;
}

int ctl_diff(struct ctl *ctl)
{
        struct ctl_found found;
        const struct view_service *one;
        int r;

        if (!ctl->argument)
                return diff_run(ctl, ctl->catalog.services, ctl->catalog.n_services);
        r = ctl_find_name(ctl, ctl->argument, &found);
        if (r > 0)
                return r;
        one = view_catalog_find(&ctl->catalog, found.service.key);
        r = one ? diff_run(ctl, one, 1) : CTL_NO;
        view_service_deinit(&found.service);
        return r;
}
