/*
 * resolve: the addresses of a target, a line for each.
 *
 * The order is the table's, which is sorted: lines go into configuration files, where another order would be another
 * file. A service whose order is `zone` or `node` gives the near endpoints alone, as lookups do.
 */

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hint.h"
#include "ctl/format.h"
#include "ctl/name.h"
#include "view/service-json.h"

/* The port that the target asks for; 0: unknown. */
static uint16_t resolve_port(const struct ctl_found *found, const struct view_endpoint *e)
{
        const struct khs_port *wanted = &found->target.port;

        switch (wanted->kind) {
        case KHS_PORT_NUMBER:
                return wanted->number;
        case KHS_PORT_NAME:
                return view_service_named_port(&found->service, e, wanted->name,
                                               wanted->udp ? IPPROTO_UDP : IPPROTO_TCP);
        case KHS_PORT_BASE:
                return e->ordinal >= 0 && e->ordinal <= UINT16_MAX - wanted->number
                               ? (uint16_t)(wanted->number + e->ordinal)
                               : 0;
        default:
                return e->port;
        }
}

/* Why lookups of this name fail, if they do. Return: 0 or the exit status after a line. */
static int resolve_check(const struct ctl *ctl, const struct ctl_found *found)
{
        const struct view_service *s = &found->service;

        if (s->state == KHS_SERVICE_PENDING)
                return ctl_no(ctl, "%s: it has never been resolved", s->key);
        if (!s->servable)
                return ctl_no(ctl, "%s: its last good answer is older than max-stale", s->key);
        if (ctl->table.alive == KHS_DEAD)
                ctl_warn(ctl, "no living daemon: programs are not answered from this table");
        return 0;
}

/* One of several endpoints that differ in nothing that is asked for. */
static bool resolve_is_repeated(const struct view_service *s, uint32_t i)
{
        for (uint32_t n = s->n4 + s->n6, e = 0; i >= n && e < i; e++) {
                if (s->endpoints[e].family == s->endpoints[i].family && s->endpoints[e].port == s->endpoints[i].port &&
                    memcmp(s->endpoints[e].address, s->endpoints[i].address, 16) == 0)
                        return true;
        }
        return false;
}

/* Keeps those that the target means, with its port. */
static void resolve_select(struct ctl_found *found)
{
        struct view_service *s = &found->service;
        uint32_t n4 = view_service_n_served(s, AF_INET), n6 = view_service_n_served(s, AF_INET6), n = 0;

        for (uint32_t i = 0; i < s->n_endpoints; i++)
                s->endpoints[i].port = resolve_port(found, &s->endpoints[i]);
        for (uint32_t i = 0; i < s->n_endpoints; i++) {
                struct view_endpoint *e = &s->endpoints[i];
                bool far = (e->family == AF_INET ? n4 < s->n4 : n6 < s->n6) && e->near != VIEW_YES;

                if (far || resolve_is_repeated(s, i))
                        e->family = 0;
        }
        for (uint32_t i = 0; i < s->n_endpoints; i++) {
                if (s->endpoints[i].family != 0)
                        s->endpoints[n++] = s->endpoints[i];
        }
        s->n_endpoints = n;
}

/* An endpoint without the port that was asked for would be a line that looks right. */
static const char *resolve_format(const struct ctl *ctl, const struct ctl_found *found, const struct view_endpoint *e)
{
        if (ctl->flags[CTL_FORMAT])
                return ctl->flags[CTL_FORMAT];
        return e->port > 0 || found->target.port.kind != KHS_PORT_NONE ? "{addr}:{port}" : "{addr}";
}

static int resolve_print(struct ctl *ctl, const struct ctl_found *found)
{
        const struct view_service *s = &found->service;
        struct format_error error;

        for (uint32_t i = 0; i < s->n_endpoints; i++) {
                const struct view_endpoint *e = &s->endpoints[i];
                int r = format_write(ctl->out.to, resolve_format(ctl, found, e), s, e, &error);

                if (r < 0)
                        return ctl_no(ctl, "%s: nothing is known of {%s} of %s", s->key, error.field, error.address);
        }
        return CTL_YES;
}

int ctl_resolve(struct ctl *ctl)
{
        const char *format = ctl->flags[CTL_FORMAT];
        struct format_error error;
        struct ctl_found found;
        int r;

        if (format && format_check(format, &error) < 0)
                return ctl_misuse(ctl, "resolve: --format: found %s, expected %s%s", error.found, FORMAT_FIELDS,
                                  error.hint.text);
        r = ctl_find_target(ctl, ctl->argument, &found);
        if (r > 0)
                return r;
        r = resolve_check(ctl, &found);
        if (r == 0) {
                resolve_select(&found);
                if (ctl->flags[CTL_JSON]) {
                        view_service_json(&ctl->json, NULL, &found.service);
                        json_put_end(&ctl->json);
                } else {
                        r = resolve_print(ctl, &found);
                }
                if (r == 0 && found.service.n_endpoints == 0)
                        r = ctl_no(ctl, "%s: it has no endpoint", found.service.key);
        }
        view_service_deinit(&found.service);
        return r;
}
