/* Lookups, see lookup.h. The name's forms and their order are those of name.h. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lookup.h"
#include "process.h"

#define MAX_TRIES 8 /* finds of one lookup; a second one is rare */

int khs_lookup_begin(struct khs_lookup *l, const struct khs_pin *pin, const char *name, size_t n_name,
                     const char *const *search)
{
        l->view = pin->view;
        l->now_ds = pin->now_ds;
        l->search = search;
        l->turned = false;
        l->n_tries = 0;
        return khs_name_parse(&l->name, name, n_name, l->view->zone, l->view->n_zone);
}

/* Any record. */
static int find(struct khs_lookup *l, size_t at, size_t n_key)
{
        l->key_at = (uint8_t)at;
        return khs_view_find(l->view, l->name.text + at, n_key, &l->found);
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
        return l->view->n_namespace > 0 || (l->search && l->search[0]);
}

/*
 * Puts the caller's namespace behind a name of one or two labels; that of a caller that has none of its
 * own is the table's. The name itself stays what it is, left of `len`.
 *
 * Return: the length of both with the dot between them; 0: no namespace.
 */
static size_t append_namespace(struct khs_lookup *l)
{
        const struct khs_view *view = l->view;
        char *at = l->name.text + l->name.len + 1;
        size_t n = l->search ? khs_name_search(l->search, view->zone, view->n_zone, at) : 0;

        _Static_assert(sizeof(l->name.text) >= 3 * (KHS_LABEL_MAX + 1), "room for two labels and the namespace");
        if (n == 0) {
                n = view->n_namespace;
                memcpy(at, view->namespace, n + 1);
        }
        if (n == 0)
                return 0;
        at[-1] = '.';
        return l->name.len + 1 + n;
}

/* One label: service S in the caller's namespace. */
static int find_in_namespace(struct khs_lookup *l)
{
        size_t n_key = append_namespace(l);

        return n_key > 0 ? find_service(l, 0, n_key) : -ENOENT;
}

/* On to the target, one hop. From now on the name is the target's key, for further finds, too. */
static int follow_alias(struct khs_lookup *l)
{
        int n = khs_found_alias(l->view, &l->found, l->name.text);

        if (n < 0)
                return n; /* the name is lost, and so is the lookup */
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
static int find_pod(struct khs_lookup *l, size_t n_key)
{
        const struct khs_found *found = &l->found;
        const struct khs_view *view = l->view;
        const char *key = l->name.text + l->name.n_first + 1;

        for (int i = 0; i < MAX_TRIES; i++) {
                int r = khs_view_find(view, key, n_key, &l->found);

                if (r == 0 && found->record.key & KHS_REC_ALIAS)
                        r = -ENOENT;
                if (r < 0)
                        return r;
                r = khs_attrs_open(view, found, &l->attrs);
                if (r == 0)
                        l->n_pod = khs_attrs_find_host(view, &l->attrs, l->name.text, l->name.n_first, &l->pod_first);
                if (r == -EBADMSG)
                        return r;
                if (khs_found_valid(view, found)) {
                        l->key_at = l->name.n_first + 1;
                        if (l->n_pod > 0)
                                return 0;
                        return found->record.key & KHS_REC_HOSTS_COMPLETE ? -ENODATA : -ENOENT;
                }
                l->n_pod = 0;
        }
        return -EBUSY;
}

/*
 * Two labels: an alias as written, else a pod of a service in the caller's namespace if there are both,
 * else a service. Whether there is such a service comes first, since mostly there is none.
 */
static int find_two_labels(struct khs_lookup *l)
{
        size_t n_text = append_namespace(l), n_pod = (size_t)l->name.n_first + 1;
        int r, r_pod = n_text > 0 ? find_service(l, n_pod, n_text - n_pod) : -ENOENT;

        if (r_pod < 0 && r_pod != -ENOENT)
                return r_pod;
        r = find(l, 0, l->name.len);
        if (r == 0 && l->found.record.key & KHS_REC_ALIAS)
                return follow_alias(l);
        if (r_pod < 0 || (r < 0 && r != -ENOENT))
                return r;
        r_pod = find_pod(l, n_text - n_pod);
        if (r_pod != -ENOENT && r_pod != -ENODATA)
                return r_pod;
        return r == 0 ? find_service(l, 0, l->name.len) : r;
}

/* Every form, by the rules of name.h. */
static __attribute__((noinline)) int find_form(struct khs_lookup *l)
{
        int r;

        if (l->name.in_cluster && l->name.n_labels == 2)
                return find_service(l, 0, l->name.len);
        if (l->name.in_cluster)
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1);
        if (l->name.n_labels == 2)
                return find_two_labels(l);

        r = find(l, 0, l->name.len);
        if (r == 0 && l->found.record.key & KHS_REC_ALIAS)
                return follow_alias(l);
        if (r < 0 && r != -ENOENT)
                return r;
        switch (l->name.n_labels) {
        case 1:
                return find_in_namespace(l);
        case 3:
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1);
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

/* How many addresses of each family a pod has: its rows with an IPv4 address come before those with an IPv6 one. */
static __attribute__((noinline)) void count_pod(struct khs_lookup *l)
{
        uint32_t n4 = 0;

        while (n4 < l->n_pod &&
               khs_attrs_address(l->view, &l->attrs, khs_attrs_by_host(l->view, &l->attrs, l->pod_first + n4)) <
                       l->found.record.n4)
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
        if ((int32_t)(record->stale_until_ds - l->now_ds) < 0)
                return -ESTALE;
        r4 = family_state(l->v4.n, family != AF_INET6, record->key & KHS_REC_V4_UNKNOWN);
        r6 = family_state(l->v6.n, family != AF_INET, record->key & KHS_REC_V6_UNKNOWN);
        if (r4 < 0 && r6 < 0) {
                if (r4 == -ESTALE || r6 == -ESTALE)
                        return -ESTALE;
                /* A pod may have one whose host is not known yet. */
                return l->n_pod > 0 && !(record->key & KHS_REC_HOSTS_COMPLETE) ? -ENOENT : -ENODATA;
        }

        l->policy = all ? record->policy | KHS_ANSWERS_ALL : record->policy;
        l->v4.count = r4 == 0 ? l->v4.n : 0;
        l->v6.count = r6 == 0 ? l->v6.n : 0;
        if (!all) {
                l->v4.count = khs_order_count(l->policy, l->v4.count);
                l->v6.count = khs_order_count(l->policy, l->v6.count);
        }
        return 0;
}

static uint32_t place_of(const struct khs_run *run, uint32_t i)
{
        return i < run->n - run->first ? run->first + i : run->first + i - run->n;
}

/* The row at one place of a pod's run. */
static uint32_t pod_row(const struct khs_lookup *l, bool six, uint32_t place)
{
        return khs_attrs_by_host(l->view, &l->attrs, l->pod_first + (six ? l->v4.n : 0) + place);
}

/* Which address of the family a row has; what is not one of them: it changes at this moment. */
static uint32_t address_of(const struct khs_lookup *l, bool six, uint32_t row)
{
        return khs_attrs_address(l->view, &l->attrs, row) - (six ? l->found.record.n4 : 0);
}

/* The row at one place of a run where not every place is that of an address. */
static __attribute__((noinline)) uint32_t endpoint_row(const struct khs_lookup *l, bool six, uint32_t place)
{
        const struct khs_record *record = &l->found.record;
        uint32_t n = six ? record->n6 : record->n4, row;

        if (l->n_pod > 0)
                row = pod_row(l, six, place);
        else /* twins are behind the addresses, those of IPv4 ones first */
                row = record->n4 + record->n6 + place - n + (six ? l->v4.n - record->n4 : 0);
        return address_of(l, six, row) < n ? row : KHS_NO_ROW;
}

uint32_t khs_lookup_row(const struct khs_lookup *l, int family, uint32_t i)
{
        const struct khs_record *record = &l->found.record;
        bool six = family == AF_INET6;
        uint32_t place = place_of(six ? &l->v6 : &l->v4, i);

        if (l->n_pod > 0 || place >= (six ? record->n6 : record->n4))
                return endpoint_row(l, six, place);
        return place + (six ? record->n4 : 0);
}

bool khs_lookup_twins(struct khs_lookup *l)
{
        uint32_t n = l->n_pod > 0 ? 0 : l->attrs.head.n_twins, n4;

        if (n == 0)
                return false;
        n4 = khs_attrs_twins_before(l->view, &l->attrs, l->found.record.n4);
        l->v4.n += n4;
        l->v6.n += n - n4;
        l->v4.count = l->v4.count > 0 ? l->v4.n : 0;
        l->v6.count = l->v6.count > 0 ? l->v6.n : 0;
        return true;
}

/* The i-th address from the first. */
static __attribute__((noinline)) void copy(const struct khs_lookup *l, int family, uint32_t i, void *ret)
{
        bool six = family == AF_INET6;
        uint32_t place = place_of(six ? &l->v6 : &l->v4, i);

        if (l->n_pod > 0) {
                place = address_of(l, six, pod_row(l, six, place));
                if (place >= (six ? l->found.record.n6 : l->found.record.n4)) { /* khs_lookup_done() will say so, too */
                        memset(ret, 0, six ? 16 : 4);
                        return;
                }
        }
        /* khs_found_copy() of one */
        if (!l->view->map)
                khs_found_pread(l->view, &l->found, family, place, 1, ret, 16);
        else if (family == AF_INET)
                khs_copy_words(l->view->map + l->found.v4_word + place, 1, ret);
        else
                khs_copy_words(l->view->map + l->found.v6_word + 4 * (size_t)place, 4, ret);
}

void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        char *out = ret;

        for (uint32_t i = 0; run->kept == 0 && i < run->count; i++, out += stride)
                copy(l, family, i, out);
        for (uint64_t kept = run->kept; kept; kept &= kept - 1, out += stride)
                copy(l, family, (uint32_t)__builtin_ctzll(kept), out);
}

void khs_lookup_copy_endpoints(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        bool six = family == AF_INET6;
        uint32_t n = six ? l->found.record.n6 : l->found.record.n4, count = six ? l->v6.count : l->v4.count;
        char *out = ret;

        for (uint32_t i = 0; i < count; i++, out += stride) {
                /* Loaded once more, and so checked once more; of no row there is no address. */
                uint32_t address = address_of(l, six, khs_lookup_row(l, family, i));

                if (address < n)
                        khs_found_copy(l->view, &l->found, family, address, 1, out, stride);
                else
                        memset(out, 0, six ? 16 : 4);
        }
}

/* ---- the choice ---- */

/* Of the i-th address from the first. */
static uint32_t score(const struct khs_lookup *l, int family, uint32_t i)
{
        uint32_t address[4];

        copy(l, family, i, address);
        return khs_interfaces_score(&l->interfaces, family, address);
}

/* Which address the host sticks to, if it has one of its own; run->first is 0 meanwhile. */
static __attribute__((noinline)) bool find_winner(struct khs_lookup *l, int family)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        uint8_t host[16], address[16];
        uint32_t best = 0, n = family == AF_INET ? l->found.record.n4 : l->found.record.n6;
        uint64_t most = 0;

        if (n > run->n) /* a pod's; else there are no more than these but twins, which weigh what their address does */
                n = run->n;
        if (!khs_interfaces_host(&l->interfaces, host))
                return false;
        for (uint32_t i = 0; i < n; i++) {
                uint64_t weight;

                copy(l, family, i, address);
                weight = khs_order_weight(host, family, address);
                if (weight > most) {
                        most = weight;
                        best = i;
                }
        }
        run->first = best;
        return true;
}

static void choose_run(struct khs_lookup *l, int family, bool is_known)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        struct khs_keep keep;

        run->kept = 0;
        run->first = 0;
        if (run->count == 0)
                return;
        if (khs_policy_order(l->policy) != KHS_ORDER_STICKY || !is_known || !find_winner(l, family))
                run->first = khs_order_first(l->policy, l->position, run->n);

        if (!khs_order_keeps(l->policy))
                return;
        if (!is_known)
                run->count = 1;
        khs_order_keep_first(&keep, run, run->count > 1 ? score(l, family, 0) : 0);
        while (khs_order_wants(&keep, run))
                khs_order_keep(&keep, run, score(l, family, keep.i));
}

/* Where the choice depends on the own addresses. */
static __attribute__((noinline)) void choose_by_interfaces(struct khs_lookup *l, bool is_known)
{
        for (;;) {
                for (int six = 0; six < 2; six++)
                        choose_run(l, six ? AF_INET6 : AF_INET, is_known);
                if (!is_known || khs_interfaces_valid(&l->interfaces))
                        return;
                is_known = false; /* what was known has changed meanwhile */
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
                bool wants = (l->v4.count > 0 && l->v4.n > 1) || (l->v6.count > 0 && l->v6.n > 1);

                choose_by_interfaces(l, wants && khs_interfaces_look(&l->interfaces));
                return;
        }
        if (l->v4.count > 0)
                l->v4.first = khs_order_first(l->policy, l->position, l->v4.n);
        if (l->v6.count > 0)
                l->v6.first = khs_order_first(l->policy, l->position, l->v6.n);
}
