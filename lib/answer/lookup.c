/* Lookups, see answer/lookup.h. The name's forms and their order are those of answer/name.h. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/lookup.h"
#include "read/process.h"
#include "table/bytes.h"

#define MAX_TRIES 8 /* finds of one lookup; a second one is rare */

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
static KHS_NOINLINE size_t append_namespace(struct khs_lookup *l)
{
        const struct khs_view *view = l->view;
        char *at = l->name.text + l->name.len + 1;
        const struct khs_zone zone = khs_view_zone(view);
        size_t n = l->search ? khs_name_search(l->search, &zone, at) : 0;

        _Static_assert(sizeof(l->name.text) >= 3 * (KHS_LABEL_MAX + 1), "room for two labels and the namespace");
        if (n == 0) {
                n = view->n_namespace;
                khs_view_copy_bytes(view, KHS_NAMESPACE_WORD, (uint32_t)n + 1, at - 1);
                at[n] = '\0';
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

/* What the text means as a whole, if it is no pod's name. */
enum whole { WHOLE_NOTHING, WHOLE_UNKNOWN, WHOLE_SERVICE };

/* @r: why there is no pod. In the last call of each function on the way here, since stacks are small. */
static int no_pod(struct khs_lookup *l, int r, enum whole whole)
{
        if (whole == WHOLE_SERVICE)
                return find_service(l, 0, l->name.len);
        return whole == WHOLE_UNKNOWN ? -ENOENT : r;
}

/* How many of a pod's rows have an IPv4 address: they come before those with an IPv6 one. */
static KHS_NOINLINE uint32_t count_v4(const struct khs_lookup *l)
{
        uint32_t n = 0;

        while (n < l->n_pod &&
               khs_attrs_address(l->view, &l->attrs, khs_attrs_by_host(l->view, &l->attrs, l->pod_first + n)) <
                       l->found.record.n4)
                n++;
        return n;
}

/*
 * The pod of which the first label of the text is the host name, in the service behind it, of whose
 * key this is the length. Where there is no such pod: what `whole` says. Fills l->attrs, pod_first, n_pod and
 * how many addresses it has, v4.n and v6.n.
 *
 * Return: 0; -ENOENT there is no such service, or it may have such a pod that we do not know; -ENODATA
 * it has not; -EBUSY; -EBADMSG.
 */
static __attribute__((noinline, cold)) int find_pod(struct khs_lookup *l, size_t n_key, enum whole whole)
{
        for (;;) {
                int r = khs_view_find(l->view, l->name.text + l->name.n_first + 1, n_key, &l->found);

                if (r == 0 && l->found.record.key & KHS_REC_ALIAS)
                        r = -ENOENT;
                if (r < 0)
                        return r == -ENOENT ? no_pod(l, r, whole) : r;
                r = khs_attrs_open(l->view, &l->found, &l->attrs);
                if (r == 0)
                        l->n_pod =
                                khs_attrs_find_host(l->view, &l->attrs, l->name.text, l->name.n_first, &l->pod_first);
                if (r == -EBADMSG)
                        return r;
                l->v4.n = count_v4(l);
                l->v6.n = l->n_pod - l->v4.n;
                if (khs_found_valid(l->view, &l->found))
                        break;
                l->n_pod = 0;
                if (l->n_tries++ >= MAX_TRIES)
                        return -EBUSY;
        }
        l->key_at = l->name.n_first + 1;
        if (l->n_pod > 0)
                return 0;
        return no_pod(l, l->found.record.key & KHS_REC_HOSTS_COMPLETE ? -ENODATA : -ENOENT, whole);
}

/*
 * Two labels: an alias as written, else a pod of a service in the caller's namespace if there are both,
 * else a service. Whether there is such a service comes first, since mostly there is none.
 */
static __attribute__((noinline, cold)) int find_two_labels(struct khs_lookup *l)
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
        return find_pod(l, n_text - n_pod, r == 0 ? WHOLE_SERVICE : WHOLE_UNKNOWN);
}

/* Every form, by the rules of answer/name.h. */
static __attribute__((noinline, cold)) int find_form(struct khs_lookup *l)
{
        int r;

        if (l->name.in_cluster && l->name.n_labels == 2)
                return find_service(l, 0, l->name.len);
        if (l->name.in_cluster)
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1, WHOLE_NOTHING);
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
                return find_pod(l, (size_t)l->name.len - l->name.n_first - 1, WHOLE_NOTHING);
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

int khs_lookup_choose(struct khs_lookup *l, int family, bool all)
{
        const struct khs_record *record = &l->found.record;
        int r4, r6;

        if (l->n_pod == 0) {
                l->v4.n = record->n4;
                l->v6.n = record->n6;
        }
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
        else /* shared rows are behind the addresses, those of IPv4 ones first */
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

bool khs_lookup_shared(struct khs_lookup *l)
{
        uint32_t n = l->n_pod > 0 ? 0 : l->attrs.head.n_shared, n4;

        if (n == 0)
                return false;
        n4 = khs_attrs_shared_before(l->view, &l->attrs, l->found.record.n4);
        l->v4.n += n4;
        l->v6.n += n - n4;
        l->v4.count = l->v4.count > 0 ? l->v4.n : 0;
        l->v6.count = l->v6.count > 0 ? l->v6.n : 0;
        return true;
}

/* Which address of the family is the i-th from the first; KHS_NO_ROW: the record changes meanwhile. */
static __attribute__((noinline, cold)) uint32_t address_at(const struct khs_lookup *l, bool six, uint32_t i)
{
        uint32_t place = place_of(six ? &l->v6 : &l->v4, i);

        if (l->n_pod > 0)
                place = address_of(l, six, pod_row(l, six, place));
        return place < (six ? l->found.record.n6 : l->found.record.n4) ? place : KHS_NO_ROW;
}

/* That address: one word, or four. It is found first, since stacks are small. */
KHS_INLINE void copy_one(const struct khs_lookup *l, int family, uint32_t i, uint32_t ret[static 4])
{
        bool six = family == AF_INET6;
        uint32_t place = address_at(l, six, i);

        if (place == KHS_NO_ROW) /* khs_lookup_done() will say so, too */
                memset(ret, 0, 16);
        else if (!six)
                khs_view_copy(l->view, l->found.v4_word + place, ret, 1);
        else
                khs_view_copy(l->view, l->found.v6_word + 4 * place, ret, 4);
}

__attribute__((cold)) void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        uint32_t address[4];
        uint64_t kept = run->kept;
        char *out = ret;

        for (uint32_t i = 0; kept || (run->kept == 0 && i < run->count); i++, out += stride, kept &= kept - 1) {
                copy_one(l, family, kept ? (uint32_t)__builtin_ctzll(kept) : i, address);
                memcpy(out, address, family == AF_INET ? 4 : 16);
        }
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
KHS_INLINE uint32_t score(const struct khs_lookup *l, const struct khs_interfaces *look, int family, uint32_t i)
{
        uint32_t address[4];

        copy_one(l, family, i, address);
        return khs_interfaces_score(look, family, address);
}

/* The address that the host sticks to, if it has one of its own. */
static __attribute__((noinline, cold)) void find_winner(struct khs_lookup *l, const struct khs_interfaces *look,
                                                        int family)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        uint32_t address[4], first = 0, n = family == AF_INET ? l->found.record.n4 : l->found.record.n6;
        uint8_t host[16];
        uint64_t most = 0;

        if (n > run->n) /* a pod's, or shared rows, which weigh what their address does */
                n = run->n;
        if (!khs_interfaces_host(look, host))
                return;
        run->first = 0; /* counted from there meanwhile */
        for (uint32_t i = 0; i < n; i++) {
                uint64_t weight;

                copy_one(l, family, i, address);
                weight = khs_order_weight(host, family, address);
                if (weight > most) {
                        most = weight;
                        first = i;
                }
        }
        run->first = first;
}

static __attribute__((noinline, cold)) void choose_first(struct khs_lookup *l, const struct khs_interfaces *look,
                                                         int family)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;

        run->kept = 0;
        run->first = run->count > 0 ? khs_order_first(l->policy, l->position, run->n) : 0;
        if (run->count > 0 && khs_policy_order(l->policy) == KHS_ORDER_STICKY && look->known)
                find_winner(l, look, family);
}

/* What goes with the first one; where nothing is known of the own addresses, nothing. */
static __attribute__((noinline, cold)) void keep_others(struct khs_lookup *l, const struct khs_interfaces *look,
                                                        int family)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        struct khs_keep keep;
        uint32_t i = 0;

        if (run->count == 0 || !khs_order_keeps(l->policy))
                return;
        if (!look->known)
                run->count = 1;
        do {
                uint32_t s = run->count > 1 || i > 0 ? score(l, look, family, i) : 0;

                if (i == 0)
                        khs_order_keep_first(&keep, run, s);
                else
                        khs_order_keep(&keep, run, s);
                i = keep.i;
        } while (khs_order_wants(&keep, run));
}

static bool has_choice(const struct khs_lookup *l)
{
        return (l->v4.count > 0 && l->v4.n > 1) || (l->v6.count > 0 && l->v6.n > 1);
}

/* Where the choice depends on the own addresses. */
static __attribute__((noinline, cold)) void choose_by_interfaces(struct khs_lookup *l)
{
        struct khs_interfaces look = { .known = 0 };

        if (has_choice(l))
                (void)khs_interfaces_look(&look);
        for (;;) {
                choose_first(l, &look, AF_INET);
                choose_first(l, &look, AF_INET6);
                keep_others(l, &look, AF_INET);
                keep_others(l, &look, AF_INET6);
                if (!look.known || khs_interfaces_valid(&look))
                        return;
                look.known = 0; /* what was known has changed meanwhile */
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
                if (has_choice(l))
                        khs_interfaces_refresh();
                choose_by_interfaces(l);
                return;
        }
        if (l->v4.count > 0)
                l->v4.first = khs_order_first(l->policy, l->position, l->v4.n);
        if (l->v6.count > 0)
                l->v6.first = khs_order_first(l->policy, l->position, l->v6.n);
}
