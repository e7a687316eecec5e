/*
 * The own node is asked for once, by `get` on one node. The right to do that is welcome and its lack no failure:
 * the endpoints of our own node in the slices carry its name and its zone.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "source/kube/decode/field.h"
#include "source/kube/place.h"

#define BODY_MAX     (1U << 20)
#define ASK_USEC     (10 * USEC_PER_SEC)
#define RETRY_USEC   (30 * USEC_PER_SEC)
#define REFUSED_USEC (600 * USEC_PER_SEC)
#define LABEL_ZONE   "topology.kubernetes.io/zone"

static void place_set(struct kube_place *p, char **what, const char *text, const char *name)
{
        char *copy;

        if (*what && strcmp(*what, text) == 0)
                return;
        copy = strdup(text);
        if (!copy)
                return;
        free(*what);
        *what = copy;
        log_message(LOG_INFO, "kubernetes: this machine's %s is %s", name, text);
        p->changed(p->userdata);
}

static const char *place_node(const struct kube_place *p)
{
        return p->node ? p->node : p->candidate;
}

/* ---- the API's word ---- */

static void place_on_status(void *userdata, unsigned int status)
{
        struct kube_place *p = userdata;

        p->status = status;
}

static int place_on_data(void *userdata, const char *bytes, size_t n)
{
        struct kube_place *p = userdata;
        char *body;

        if (p->n_body + n > BODY_MAX)
                return -EMSGSIZE;
        body = realloc(p->body, p->n_body + n);
        if (!body)
                return -ENOMEM;
        memcpy(body + p->n_body, bytes, n);
        p->body = body;
        p->n_body += n;
        return 0;
}

static void place_take(struct kube_place *p)
{
        json_t *node = p->n_body > 0 ? json_loadb(p->body, p->n_body, JSON_ALLOW_NUL, NULL) : NULL;
        const char *name = kube_object_name(node), *zone = kube_object_label(node, LABEL_ZONE);

        if (name && place_node(p) && strcmp(name, place_node(p)) == 0) {
                place_set(p, &p->node, name, "node");
                if (zone && zone[0] && !p->zone_is_set) {
                        p->zone_is_api = true;
                        place_set(p, &p->zone, zone, "zone");
                }
        }
        json_decref(node);
}

/* @is_young: the node is not there yet, or has no zone yet: it may soon. Others keep to that. */
static uint64_t place_retry(struct kube_place *p, bool is_young)
{
        if (p->status == 403)
                return REFUSED_USEC;
        if (!is_young)
                return RETRY_USEC;
        p->young_usec = p->young_usec == 0 ? RETRY_USEC : 2 * p->young_usec;
        p->young_usec = p->young_usec < REFUSED_USEC ? p->young_usec : REFUSED_USEC;
        return p->young_usec;
}

/* A node that has no zone yet may get one. */
static void place_on_done(void *userdata, const struct kube_end *end)
{
        struct kube_place *p = userdata;
        bool answered = end->error == 0 && p->status == 200;

        p->call = NULL;
        if (answered)
                place_take(p);
        if (p->status == 403)
                log_message(LOG_INFO, "kubernetes: get on nodes is refused; slices tell the own zone, or "
                                      "packaging/kubernetes/components/zone/clusterrole.yaml");
        free(p->body);
        p->body = NULL;
        p->n_body = 0;
        if (!p->zone_is_api && !(p->zone_is_set && p->node))
                timer_set(&p->timer, usec_now() + usec_jitter(place_retry(p, answered || p->status == 404), 10));
}

static void place_ask(void *userdata)
{
        struct kube_place *p = userdata;
        const struct kube_reply reply = { place_on_status, place_on_data, place_on_done, p };
        struct kube_request request = { .time_max_usec = ASK_USEC };
        char path[320];

        if (!p->transport || p->call || !place_node(p) || p->zone_is_api || (p->zone_is_set && p->node))
                return;
        (void)snprintf(path, sizeof(path), "/api/v1/nodes/%s", place_node(p));
        request.path = path;
        p->status = 0;
        if (p->transport->ops->start(p->transport, &request, &reply, &p->call) < 0)
                timer_set(&p->timer, usec_now() + RETRY_USEC);
}

/* ---- what slices say ---- */

void kube_place_see(struct kube_place *p, const struct kube_slice *slice)
{
        const char *own = place_node(p);

        if (!p->is_wanted || !own || (p->node && p->zone))
                return;
        for (uint32_t i = 0; i < slice->n_endpoints; i++) {
                const char *node = kube_slice_text(slice, slice->endpoints[i].node);
                const char *zone = kube_slice_text(slice, slice->endpoints[i].zone);

                if (!node || strcmp(node, own) != 0)
                        continue;
                place_set(p, &p->node, node, "node");
                if (zone && !p->zone)
                        place_set(p, &p->zone, zone, "zone");
                own = place_node(p);
        }
}

/* ---- its life ---- */

void kube_place_want(struct kube_place *p, struct kube_transport *transport)
{
        if (p->is_wanted && p->transport == transport)
                return;
        p->is_wanted = true;
        p->transport = transport;
        place_ask(p);
}

void kube_place_disconnect(struct kube_place *p)
{
        if (p->call)
                p->transport->ops->cancel(p->transport, p->call);
        p->call = NULL;
        p->transport = NULL;
        free(p->body);
        p->body = NULL;
        p->n_body = 0;
}

static int place_copy(char **ret, const char *text)
{
        char *copy = text && text[0] ? strdup(text) : NULL;

        if (text && text[0] && !copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

/* It becomes a part of a path. */
static void place_check(char **name, bool is_configured)
{
        if (!*name || kube_is_name(*name))
                return;
        if (is_configured)
                log_message(LOG_WARNING, "kubernetes: %s is no name that a node may have", *name);
        free(*name);
        *name = NULL;
}

int kube_place_configure(struct kube_place *p, const char *zone, const char *node, const char *host)
{
        char *configured;
        int r;

        if (asprintf(&configured, "%s %s %s", zone ? zone : "", node ? node : "", host ? host : "") < 0)
                return -ENOMEM;
        if (p->configured && strcmp(p->configured, configured) == 0) {
                free(configured);
                return 0;
        }
        free(p->configured);
        p->configured = configured;
        r = place_copy(&p->zone, zone);
        if (r == 0)
                r = place_copy(&p->node, node);
        if (r == 0)
                r = place_copy(&p->candidate, host);
        for (char *c = p->candidate; c && *c; c++)
                *c = (char)tolower((unsigned char)*c);
        place_check(&p->node, true);
        place_check(&p->candidate, false);
        p->zone_is_set = p->zone != NULL;
        p->zone_is_api = false;
        p->young_usec = 0;
        p->changed(p->userdata);
        if (p->is_wanted)
                place_ask(p);
        return r;
}

int kube_place_init(struct kube_place *p, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
        *p = (struct kube_place){ .changed = changed, .userdata = userdata };
        return timer_init(&p->timer, event, USEC_PER_SEC, place_ask, p);
}

void kube_place_deinit(struct kube_place *p)
{
        kube_place_disconnect(p);
        timer_deinit(&p->timer);
        free(p->zone);
        free(p->node);
        free(p->candidate);
        free(p->configured);
}
