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

/* Whether the caller may have a namespace; that most have none is known at once. */
static bool may_have_namespace(const struct khs_lookup *l)
{
        return l->pin.view->n_namespace > 0 || (l->search && l->search[0]);
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

/*
 * The pod of which the first label of the text is the host name, in the service behind it, of whose
 * key this is the length. Fills l->attrs, pod_first and n_pod.
 *
 * Return: 0; -ENOENT there is no such service, or it may have such a pod that we do not know; -ENODATA
 * it has not; -EBUSY; -EBADMSG.
 */
static int find_pod(struct khs_lookup *l, size_t n_key, struct khs_found *ret)
{
        const struct khs_view *view = l->pin.view;
        const char *key = l->name.text + l->name.n_first + 1;

        for (int i = 0; i < MAX_TRIES; i++) {
                int r = khs_view_find(view, key, n_key, ret);

                if (r == 0 && ret->record.key & KHS_REC_ALIAS)
                        r = -ENOENT;
                if (r < 0)
                        return r;
                r = khs_attrs_open(view, ret, &l->attrs);
                if (r == 0)
                        l->n_pod = khs_attrs_find_host(view, &l->attrs, l->name.text, l->name.n_first, &l->pod_first);
                if (r == -EBADMSG)
                        return r;
                if (khs_found_valid(view, ret)) {
                        l->key_at = l->name.n_first + 1;
                        if (l->n_pod > 0)
                                return 0;
                        return ret->record.key & KHS_REC_HOSTS_COMPLETE ? -ENODATA : -ENOENT;
                }
                l->n_pod = 0;
        }
        return -EBUSY;
}

/* Two labels: a pod of a service in the caller's namespace, if there are both. The text is left as it is but behind `len`. */
static int find_pod_in_namespace(struct khs_lookup *l)
{
        char namespace[KHS_LABEL_MAX + 1];
        size_t n_name = l->name.len, n = caller_namespace(l, namespace);
        struct khs_found found;
        int r;

        if (n == 0)
                return -ENOENT;
        l->name.text[n_name] = '.';
        memcpy(l->name.text + n_name + 1, namespace, n + 1);
        r = find_pod(l, n_name - l->name.n_first - 1 + 1 + n, &found);
        if (r == 0)
                l->found = found;
        else
                l->key_at = 0;
        return r;
}

/* Every form, by the rules of name.h. */
static __attribute__((noinline)) int find_form(struct khs_lookup *l)
{
        int r, r_pod;

        if (l->name.in_cluster && l->name.n_labels == 2)
                return find_service(l, 0, l->name.len);
        if (l->name.in_cluster)
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1, &l->found);

        r = find(l, 0, l->name.len);
        if (r == 0 && l->found.record.key & KHS_REC_ALIAS)
                return follow_alias(l);
        if (r < 0 && r != -ENOENT)
                return r;
        switch (l->name.n_labels) {
        case 1:
                return find_in_namespace(l);
        case 2:
                r_pod = find_pod_in_namespace(l);
                return r_pod == -ENOENT || r_pod == -ENODATA ? r : r_pod;
        case 3:
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1, &l->found);
        default:
                return -ENOENT;
        }
}

int khs_lookup_find(struct khs_lookup *l)
{
        l->n_pod = 0;
        l->v4.n = l->v6.n = 0;
        if (l->n_tries++ >= MAX_TRIES)
                return -EBUSY;
        /* Nearly always: what can be nothing but a service's name, or an alias. */
        if (l->name.n_labels == 2 && (l->name.in_cluster || !may_have_namespace(l))) {
                int r = find(l, 0, l->name.len);

                if (r < 0 || !(l->found.record.key & KHS_REC_ALIAS))
                        return r;
        }
        return find_form(l);
}

/* How many addresses of one family there are to serve: that family asked for, and known. */
static int family_state(uint32_t n, bool wanted, bool unknown)
{
        if (!wanted || (n == 0 && !unknown))
                return -ENODATA;
        return n > 0 ? 0 : -ESTALE;
}

/* How many addresses of each family a pod has: its IPv4 rows come before its IPv6 ones. */
static __attribute__((noinline)) void count_pod(struct khs_lookup *l)
{
        uint32_t n4 = 0;

        while (n4 < l->n_pod &&
               khs_attrs_by_host(l->pin.view, &l->attrs, l->pod_first + n4) < l->found.record.n4)
                n4++;
        l->v4.n = n4;
        l->v6.n = l->n_pod - n4;
}

int khs_lookup_choose(struct khs_lookup *l, int family, bool all)
{
        const struct khs_record *record = &l->found.record;
        int r4, r6;

        l->v4.n = record->n4;
        l->v6.n = record->n6;
        if (l->n_pod > 0)
                count_pod(l);
        if ((int32_t)(record->stale_until_ds - l->pin.now_ds) < 0)
                return -ESTALE;
        r4 = family_state(l->v4.n, family != AF_INET6, record->key & KHS_REC_V4_UNKNOWN);
        r6 = family_state(l->v6.n, family != AF_INET, record->key & KHS_REC_V6_UNKNOWN);
        if (r4 < 0 && r6 < 0)
                return r4 == -ESTALE || r6 == -ESTALE ? -ESTALE : -ENODATA;

        l->policy = all ? record->policy | KHS_ANSWERS_ALL : record->policy;
        l->v4.count = r4 == 0 ? l->v4.n : 0;
        l->v6.count = r6 == 0 ? l->v6.n : 0;
        if (!all) {
                l->v4.count = khs_order_count(l->policy, l->v4.count);
                l->v6.count = khs_order_count(l->policy, l->v6.count);
        }
        return 0;
}

uint32_t khs_lookup_row(const struct khs_lookup *l, int family, uint32_t i)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        const struct khs_record *record = &l->found.record;
        uint32_t place = i < run->n - run->first ? run->first + i : run->first + i - run->n;
        uint32_t low = family == AF_INET ? 0 : record->n4, high = family == AF_INET ? record->n4 : record->n4 + record->n6;
        uint32_t row = low + place;

        if (l->n_pod > 0)
                row = khs_attrs_by_host(l->pin.view, &l->attrs,
                                        l->pod_first + (family == AF_INET ? 0 : l->v4.n) + place);
        return row >= low && row < high ? row : KHS_NO_ROW;
}

/* Addresses from the i-th on. */
static void copy(const struct khs_lookup *l, int family, uint32_t i, uint32_t n, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        uint32_t low = family == AF_INET ? 0 : l->found.record.n4;
        char *out = ret;

        if (l->n_pod == 0) {
                uint32_t first = i < run->n - run->first ? run->first + i : run->first + i - run->n;

                khs_found_copy(l->pin.view, &l->found, family, first, n, ret, stride);
                return;
        }
        for (uint32_t end = i + n; i < end; i++, out += stride) {
                uint32_t row = khs_lookup_row(l, family, i);

                if (row == KHS_NO_ROW) /* it changes at this moment, and khs_lookup_done() will say so */
                        memset(out, 0, family == AF_INET ? 4 : 16);
                else
                        khs_found_copy(l->pin.view, &l->found, family, row - low, 1, out, stride);
        }
}

void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        char *out = ret;

        if (run->kept == 0)
                copy(l, family, 0, run->count, ret, stride);
        for (uint64_t kept = run->kept; kept; kept &= kept - 1, out += stride)
                copy(l, family, (uint32_t)__builtin_ctzll(kept), 1, out, stride);
}

/* ---- the choice ---- */

struct candidates {
        const struct khs_lookup *lookup;
        int family;
};

static uint32_t score(void *userdata, uint32_t i)
{
        const struct candidates *candidates = userdata;
        char address[16];

        copy(candidates->lookup, candidates->family, i, 1, address, sizeof(address));
        return khs_interfaces_score(&candidates->lookup->interfaces, candidates->family, address);
}

/* Which address the host sticks to; run->first is 0 meanwhile. */
static uint32_t winner(const struct khs_lookup *l, int family, const uint8_t host[static 16])
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        size_t size = family == AF_INET ? 4 : 16;
        uint32_t best = 0, n_chunk = 64 / (uint32_t)size;
        uint64_t most = 0;
        char chunk[64];

        for (uint32_t i = 0; i < run->n; i++) {
                uint64_t weight;

                if (i % n_chunk == 0)
                        copy(l, family, i, n_chunk < run->n - i ? n_chunk : run->n - i, chunk, size);
                weight = khs_order_weight(host, family, chunk + i % n_chunk * size);
                if (weight > most) {
                        most = weight;
                        best = i;
                }
        }
        return best;
}

static void choose_run(struct khs_lookup *l, int family, bool is_known)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        struct candidates candidates = { l, family };
        uint8_t host[16];

        run->kept = 0;
        run->first = 0;
        if (run->count == 0)
                return;
        if (khs_policy_order(l->policy) == KHS_ORDER_STICKY && is_known && khs_interfaces_host(&l->interfaces, host))
                run->first = winner(l, family, host);
        else
                run->first = khs_order_first(l->policy, l->position, run->n);

        if (!khs_order_keeps(l->policy))
                return;
        if (!is_known)
                run->count = 1;
        khs_order_keep(run, score, &candidates);
}

/* Where the choice depends on the own addresses. */
static __attribute__((noinline)) void choose_by_interfaces(struct khs_lookup *l)
{
        bool is_known = ((l->v4.count > 0 && l->v4.n > 1) || (l->v6.count > 0 && l->v6.n > 1)) &&
                        khs_interfaces_look(&l->interfaces);

        choose_run(l, AF_INET, is_known);
        choose_run(l, AF_INET6, is_known);
        if (is_known && !khs_interfaces_valid(&l->interfaces)) {
                choose_run(l, AF_INET, false);
                choose_run(l, AF_INET6, false);
        }
}

void khs_lookup_rotate(struct khs_lookup *l)
{
        l->v4.first = l->v6.first = 0;
        l->v4.kept = l->v6.kept = 0;
        if (l->v4.n <= 1 && l->v6.n <= 1)
                return; /* no turn is taken where there is nothing to choose from */
        if (!l->turned)
                l->position = khs_process_turn(l->found.record.tag);
        l->turned = true;

        if (khs_policy_order(l->policy) == KHS_ORDER_STICKY || khs_order_keeps(l->policy)) {
                choose_by_interfaces(l);
                return;
        }
        if (l->v4.count > 0)
                l->v4.first = khs_order_first(l->policy, l->position, l->v4.n);
        if (l->v6.count > 0)
                l->v6.first = khs_order_first(l->policy, l->position, l->v6.n);
}
