/* Lookups, see lookup.h. The name's forms and their order are those of name.h. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lookup.h"
#include "process.h"

#define MAX_TRIES 8 /* finds of one lookup; a second one is rare */

int khs_lookup_begin(struct khs_lookup *l, const char *name, size_t n_name, const char *const *search)
{
        int r;

        l->pin.view = NULL;
        l->search = search;
        l->turned = false;
        l->n_tries = 0;

        r = khs_map_enter(&l->pin);
        if (r < 0) {
                l->pin.view = NULL;
                return r;
        }
        return khs_name_parse(&l->name, name, n_name, l->pin.view->zone, l->pin.view->n_zone);
}

/* Any record. */
static int find(struct khs_lookup *l, size_t at, size_t n_key)
{
        l->key_at = (uint8_t)at;
        return khs_view_find(l->pin.view, l->name.text + at, n_key, &l->found);
}

/* "S.N" is a service's only; an alias of the same spelling was asked for before, if the form allows one. */
static int find_service(struct khs_lookup *l, size_t at, size_t n_key)
{
        int r = find(l, at, n_key);

        return r == 0 && l->found.record.key & KHS_REC_ALIAS ? -ENOENT : r;
}

/* The namespace of a caller that has none of its own is the table's. */
static size_t caller_namespace(const struct khs_lookup *l, char ret[static KHS_LABEL_MAX + 1])
{
        const struct khs_view *view = l->pin.view;
        size_t n = l->search ? khs_name_search(l->search, view->zone, view->n_zone, ret) : 0;

        if (n > 0)
                return n;
        memcpy(ret, view->namespace, (size_t)view->n_namespace + 1);
        return view->n_namespace;
}

/* One label: service S in the caller's namespace. The name itself stays what it is, left of `len`. */
static int find_in_namespace(struct khs_lookup *l)
{
        char namespace[KHS_LABEL_MAX + 1];
        size_t n_name = l->name.len, n = caller_namespace(l, namespace);

        if (n == 0)
                return -ENOENT;
        l->name.text[n_name] = '.';
        memcpy(l->name.text + n_name + 1, namespace, n + 1);
        return find_service(l, 0, n_name + 1 + n);
}

/* On to the target, one hop. From now on the name is the target's key, for further finds, too. */
static int follow_alias(struct khs_lookup *l)
{
        char target[256];
        int n;

        n = khs_found_alias(l->pin.view, &l->found, target);
        if (n < 0)
                return n;
        memcpy(l->name.text, target, (size_t)n + 1);
        l->name.len = (uint8_t)n;
        l->name.n_labels = 2;
        l->name.in_cluster = true;
        return find_service(l, 0, (size_t)n);
}

int khs_lookup_find(struct khs_lookup *l)
{
        int r;

        if (l->n_tries++ >= MAX_TRIES)
                return -EBUSY;
        if (l->name.in_cluster && l->name.n_labels == 2)
                return find_service(l, 0, l->name.len);

        /*
         * HOST.S.N: no record has host names yet, so that every pod's name is one whose service
         * does not know its hosts. (With them, "S.N" is also asked for as pod S of service N in the
         * caller's namespace, before it is taken for a service.)
         */
        if (l->name.in_cluster)
                return -ENOENT;

        r = find(l, 0, l->name.len);
        if (r == 0 && l->found.record.key & KHS_REC_ALIAS)
                return follow_alias(l);
        if (r == -ENOENT && l->name.n_labels == 1)
                return find_in_namespace(l);
        return r == 0 && l->name.n_labels != 2 ? -ENOENT : r;
}

/* How many addresses of one family there are to serve: that family asked for, and known. */
static int family_state(uint32_t n, bool wanted, bool unknown)
{
        if (!wanted || (n == 0 && !unknown))
                return -ENODATA;
        return n > 0 ? 0 : -ESTALE;
}

int khs_lookup_choose(struct khs_lookup *l, int family, bool all)
{
        const struct khs_record *record = &l->found.record;
        uint32_t policy = all ? khs_policy(KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KHS_FAMILY_ANY) : record->policy;
        int r4, r6;

        if ((int32_t)(record->stale_until_ds - l->pin.now_ds) < 0)
                return -ESTALE;
        r4 = family_state(record->n4, family != AF_INET6, record->key & KHS_REC_V4_UNKNOWN);
        r6 = family_state(record->n6, family != AF_INET, record->key & KHS_REC_V6_UNKNOWN);
        if (r4 < 0 && r6 < 0)
                return r4 == -ESTALE || r6 == -ESTALE ? -ESTALE : -ENODATA;

        l->v4 = (struct khs_run){ .n = record->n4, .count = r4 == 0 ? khs_order_count(policy, record->n4) : 0 };
        l->v6 = (struct khs_run){ .n = record->n6, .count = r6 == 0 ? khs_order_count(policy, record->n6) : 0 };
        return 0;
}

void khs_lookup_rotate(struct khs_lookup *l)
{
        uint32_t policy = l->found.record.policy;

        if (!l->turned)
                l->position = khs_process_turn(l->found.record.tag);
        l->turned = true;
        if (l->v4.count > 0)
                l->v4.first = khs_order_first(policy, l->position, l->v4.n);
        if (l->v6.count > 0)
                l->v6.first = khs_order_first(policy, l->position, l->v6.n);
}

void khs_lookup_copy(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;

        khs_found_copy(l->pin.view, &l->found, family, run->first, run->count, ret, stride);
}
