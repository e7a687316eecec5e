/*
 * Nearness, judged for each family by itself over the endpoints that are served.
 *
 *     order = node    those of the own node; where there are none, as for zone
 *     order = zone    those hinted for the own node (forNodes, KEP-3015), where every endpoint has such hints
 *                     and one names us; else those hinted for the own zone (forZones, KEP-2433, 4444), on
 *                     the same condition; else those of the own zone
 *
 * Hints count only where all have them: a slice controller that is half-way through adding or removing
 * them would otherwise send everybody to the few that have theirs already. Where nobody is near all
 * are served; that is the reader's part.
 */

#include <string.h>

#include "source/kube/decode/near.h"

typedef bool (*near_fn)(const struct kube_candidate *c, const char *own);

static bool near_is_listed(const struct kube_candidate *c, uint32_t hints, const char *own)
{
        for (const char *text = kube_slice_text(c->slice, hints); text && *text; text += strlen(text) + 1) {
                if (strcmp(text, own) == 0)
                        return true;
        }
        return false;
}

static bool near_for_node(const struct kube_candidate *c, const char *own)
{
        return near_is_listed(c, c->endpoint->for_nodes, own);
}

static bool near_for_zone(const struct kube_candidate *c, const char *own)
{
        return near_is_listed(c, c->endpoint->for_zones, own);
}

static bool near_of_node(const struct kube_candidate *c, const char *own)
{
        const char *node = kube_slice_text(c->slice, c->endpoint->node);

        return node && strcmp(node, own) == 0;
}

static bool near_of_zone(const struct kube_candidate *c, const char *own)
{
        const char *zone = kube_slice_text(c->slice, c->endpoint->zone);

        return zone && strcmp(zone, own) == 0;
}

static void near_share(const struct finding_endpoint *from, struct finding_endpoint *to)
{
        to->near = to->near || (from->near && memcmp(from->bytes, to->bytes, sizeof(to->bytes)) == 0);
}

/* Return: whether there is any. */
static bool near_mark(struct finding_endpoint *endpoints, const struct kube_candidate *all, size_t n, near_fn is_near,
                      const char *own)
{
        bool any = false;

        for (size_t i = 0; own && i < n; i++) {
                if (is_near(&all[i], own))
                        any = endpoints[all[i].row].near = true;
        }
        /* Endpoints that share an address are in one place, whatever each of them says. */
        for (size_t i = 1; any && i < n; i++)
                near_share(&endpoints[all[i - 1].row], &endpoints[all[i].row]);
        for (size_t i = n; any && i-- > 1;)
                near_share(&endpoints[all[i].row], &endpoints[all[i - 1].row]);
        return any;
}

static void near_family(struct finding_endpoint *endpoints, const struct kube_candidate *all, size_t n,
                        const struct kube_view *view)
{
        bool all_nodes = true, all_zones = true;

        for (size_t i = 0; i < n; i++) {
                all_nodes = all_nodes && all[i].endpoint->for_nodes > 0;
                all_zones = all_zones && all[i].endpoint->for_zones > 0;
        }
        if (view->order == KHS_ORDER_NODE && near_mark(endpoints, all, n, near_of_node, view->node))
                return;
        if (all_nodes && near_mark(endpoints, all, n, near_for_node, view->node))
                return;
        if (all_zones && near_mark(endpoints, all, n, near_for_zone, view->zone))
                return;
        (void)near_mark(endpoints, all, n, near_of_zone, view->zone);
}

void kube_mark_near(struct finding_endpoint *endpoints, const struct kube_candidate *all, size_t n,
                    const struct kube_view *view)
{
        size_t n4 = 0;

        while (n4 < n && all[n4].endpoint->family == AF_INET)
                n4++;
        near_family(endpoints, all, n4, view);
        near_family(endpoints, all + n4, n - n4, view);
}
