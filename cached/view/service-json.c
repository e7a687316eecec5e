/*
 * The JSON of a service:
 *
 *     { service, state, source, reason, age_ms, ttl_s, answers, order, family, ports, aliases, truncated, version,
 *       endpoints: [{ address, family, port, ports, host, ordinal, node, zone, near, ready, serving, terminating }] }
 *
 * with ports: [{ name, number, protocol }].
 */

#include <arpa/inet.h>
#include <string.h>

#include "table/policy.h"
#include "view/service-json.h"
#include "view/words.h"

#define PORTS_MAX 256U /* distinct ones of a service that are listed */

const char *view_endpoint_address(const struct view_endpoint *endpoint, char ret[static 46])
{
        if (!inet_ntop(endpoint->family, endpoint->address, ret, 46))
                strcpy(ret, "?");
        return ret;
}

static void json_port(struct json_writer *w, const struct view_service *s, const struct view_port *port)
{
        json_put_open(w, NULL, '{');
        json_put_text(w, "name", view_service_text(s, port->name));
        json_put_number(w, "number", port->number);
        json_put_word(w, "protocol", view_protocol_word(port->protocol), port->protocol);
        json_put_close(w, '}');
}

static bool json_port_equal(const struct view_service *s, const struct view_port *a, const struct view_port *b)
{
        const char *x = view_service_text(s, a->name), *y = view_service_text(s, b->name);

        return a->number == b->number && a->protocol == b->protocol && strcmp(x ? x : "", y ? y : "") == 0;
}

static bool json_port_is_first(const struct view_service *s, const uint32_t *earlier, uint32_t n, uint32_t i)
{
        for (uint32_t e = 0; e < n; e++) {
                if (json_port_equal(s, &s->ports[earlier[e]], &s->ports[i]))
                        return false;
        }
        return true;
}

/* Those of any endpoint, each once; else the one that was registered. */
static void json_service_ports(struct json_writer *w, const struct view_service *s)
{
        uint32_t listed[PORTS_MAX], n = 0;

        if (s->n_ports == 0 && s->port == 0) {
                json_put_null(w, "ports");
                return;
        }
        json_put_open(w, "ports", '[');
        for (uint32_t i = 0; i < s->n_ports && n < PORTS_MAX; i++) {
                if (!json_port_is_first(s, listed, n, i))
                        continue;
                listed[n++] = i;
                json_port(w, s, &s->ports[i]);
        }
        if (s->n_ports == 0)
                json_port(w, s, &(struct view_port){ .number = s->port, .protocol = 6 });
        json_put_close(w, ']');
}

static void json_endpoint_ports(struct json_writer *w, const struct view_service *s, const struct view_endpoint *e)
{
        if (e->n_ports == 0) {
                json_put_null(w, "ports");
                return;
        }
        json_put_open(w, "ports", '[');
        for (uint32_t i = 0; i < e->n_ports; i++)
                json_port(w, s, &s->ports[e->first_port + i]);
        json_put_close(w, ']');
}

static void json_condition(struct json_writer *w, const char *key, const struct view_endpoint *e, uint8_t flag)
{
        if (e->is_condition_known)
                json_put_bool(w, key, e->flags & flag);
        else
                json_put_null(w, key);
}

static void json_endpoint(struct json_writer *w, const struct view_service *s, const struct view_endpoint *e)
{
        char address[46];

        json_put_open(w, NULL, '{');
        json_put_text(w, "address", view_endpoint_address(e, address));
        json_put_text(w, "family", e->family == AF_INET ? "ipv4" : "ipv6");
        if (e->port > 0)
                json_put_number(w, "port", e->port);
        else
                json_put_null(w, "port");
        json_endpoint_ports(w, s, e);
        json_put_text(w, "host", view_service_text(s, e->host));
        if (e->ordinal >= 0)
                json_put_number(w, "ordinal", (uint64_t)e->ordinal);
        else
                json_put_null(w, "ordinal");
        json_put_text(w, "node", view_service_text(s, e->node));
        json_put_text(w, "zone", view_service_text(s, e->zone));
        if (e->near == VIEW_UNKNOWN)
                json_put_null(w, "near");
        else
                json_put_bool(w, "near", e->near == VIEW_YES);
        json_condition(w, "ready", e, KHS_ATTR_READY);
        json_condition(w, "serving", e, KHS_ATTR_SERVING);
        json_condition(w, "terminating", e, KHS_ATTR_TERMINATING);
        json_put_close(w, '}');
}

static void json_reason(struct json_writer *w, uint8_t reason)
{
        if (reason == KHS_REASON_NONE)
                json_put_null(w, "reason");
        else
                json_put_word(w, "reason", view_reason_word(reason), reason);
}

/* Only DNS gives a TTL. */
static void json_ttl(struct json_writer *w, const struct view_service *s)
{
        if (s->source == KHS_SOURCE_DNS && s->state != KHS_SERVICE_PENDING)
                json_put_number(w, "ttl_s", s->ttl_s);
        else
                json_put_null(w, "ttl_s");
}

void view_service_json(struct json_writer *w, const char *key, const struct view_service *s)
{
        uint32_t answers = khs_policy_answers(s->policy), order = khs_policy_order(s->policy);
        uint32_t family = khs_policy_family(s->policy);

        json_put_open(w, key, '{');
        json_put_text(w, "service", s->key);
        json_put_word(w, "state", view_state_word(s->state), s->state);
        if (s->source == 0)
                json_put_null(w, "source");
        else
                json_put_word(w, "source", view_source_word(s->source), s->source);
        json_reason(w, s->reason);
        json_put_number(w, "age_ms", (uint64_t)s->age_ds * 100);
        json_ttl(w, s);
        json_put_word(w, "answers", view_answers_word(answers), answers);
        json_put_word(w, "order", view_order_word(order), order);
        json_put_word(w, "family", view_family_word(family), family);
        json_service_ports(w, s);
        json_put_open(w, "aliases", '[');
        for (size_t i = 0; i < s->n_aliases; i++)
                json_put_text(w, NULL, s->aliases[i]);
        json_put_close(w, ']');
        json_put_bool(w, "truncated", s->truncated);
        json_put_number(w, "version", s->version);
        json_put_open(w, "endpoints", '[');
        for (uint32_t i = 0; i < s->n_endpoints; i++)
                json_endpoint(w, s, &s->endpoints[i]);
        json_put_close(w, ']');
        json_put_close(w, '}');
}
