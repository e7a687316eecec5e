/*
 * Lookups.
 *
 * Which keys a name is looked up under, and in which order, are the rules of answer/name.h. Keys are composed where
 * the name lies, since the text of a name has room for it and for the caller's namespace behind it:
 *
 *     text      web-0.web  ->  web-0.web.default
 *               key "web-0.web"; then key "web.default" and, in its attributes, host "web-0"
 *
 * A name of two labels that can be nothing but a service's, or an alias, is what nearly every program asks for: it
 * takes one find. All that is read of a record counts only when its seq is still the same at the end; else the
 * lookup finds it again, with the turn that it has taken, at most MAX_TRIES times.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/interfaces.h"
#include "answer/lookup.h"
#include "read/process.h"
#include "table/bytes.h"

#define MAX_TRIES 8 /* finds of one lookup; a second one is rare */

/* Any record. */
static int lookup_key(struct khs_lookup *l, size_t at, size_t n_key)
{
        l->key_at = (uint8_t)at;
        return khs_view_find(l->view, l->name.text + at, n_key, &l->found);
}

static bool lookup_is_alias(const struct khs_lookup *l)
{
        return l->found.record.key & KHS_REC_ALIAS;
}

/* "S.N" is a service's only; an alias of the same spelling was looked for before, if the form allows one. */
static int lookup_service(struct khs_lookup *l, size_t at, size_t n_key)
{
        int r = lookup_key(l, at, n_key);

        return r == 0 && lookup_is_alias(l) ? -ENOENT : r;
}

/* Whether the caller may have a namespace; that most have none is known at once. */
static bool lookup_may_have_namespace(const struct khs_lookup *l)
{
        return l->view->n_namespace > 0 || (l->query->search && l->query->search[0]);
}

/*
 * Puts the caller's namespace behind a name of one or two labels; that of a caller that has none of its
 * own is the table's. The name itself stays what it is, left of `len`.
 *
 * Return: the length of both with the dot between them; 0: no namespace.
 */
static size_t lookup_append_namespace(struct khs_lookup *l)
{
        const struct khs_view *view = l->view;
        const struct khs_zone zone = { view->zone, view->n_zone };
        char *at = l->name.text + l->name.len + 1;
        size_t n;

        _Static_assert(sizeof(l->name.text) >= 3 * (KHS_LABEL_MAX + 1), "room for two labels and the namespace");
        if (l->name.len >= 2 * (KHS_LABEL_MAX + 1)) /* no such labels */
                return 0;
        n = l->query->search ? khs_name_search(l->query->search, l->query->n_search, &zone, at) : 0;
        if (n == 0) {
                n = view->n_namespace;
                memcpy(at, view->namespace, n);
        }
        if (n == 0)
                return 0;
        at[-1] = '.';
        return l->name.len + 1 + n;
}

/* On to the target, one hop. From now on the name is the target's key, for further finds, too. */
static int lookup_alias(struct khs_lookup *l)
{
        int n = khs_found_alias(l->view, &l->found, l->name.text);

        if (n < 0)
                return n; /* the name is lost, and so is the lookup */
        l->name.len = (uint8_t)n;
        l->name.n_labels = 2;
        l->name.in_cluster = true;
        return lookup_service(l, 0, (size_t)n);
}

/* How many of a pod's rows have an IPv4 address: they come before those with an IPv6 one. */
static uint32_t lookup_count_pod_v4(const struct khs_lookup *l)
{
        uint32_t n = 0;

        while (n < l->n_pod &&
               khs_attrs_address(l->view, &l->attrs, khs_attrs_by_host(l->view, &l->attrs, l->pod_first + n)) <
                       l->found.record.n4)
                n++;
        return n;
}

static bool lookup_is_too_old(const struct khs_lookup *l)
{
        return (int32_t)(l->found.record.stale_until_ds - l->now_ds) < 0;
}

/*
 * The pod of which the first label of the text is the host name, in the service behind it, of whose
 * key this is the length. Fills l->attrs, pod_first, n_pod and how many addresses it has, v4.n and v6.n.
 *
 * Return: 0; -ENOENT there is no such service, or it may have such a pod that we do not know; -ENODATA
 * it has not; -EAGAIN it changed meanwhile; -EBUSY; -EBADMSG.
 */
static int lookup_pod(struct khs_lookup *l, size_t n_key)
{
        int r = lookup_service(l, (size_t)l->name.n_first + 1, n_key);

        if (r < 0)
                return r;
        r = khs_attrs_open(l->view, &l->found, &l->attrs);
        if (r == -EBADMSG)
                return r;
        if (r == 0)
                l->n_pod = khs_attrs_find_host(l->view, &l->attrs, l->name.text, l->name.n_first, &l->pod_first);
        l->v4.n = lookup_count_pod_v4(l);
        l->v6.n = l->n_pod - l->v4.n;
        if (!khs_found_valid(l->view, &l->found))
                return -EAGAIN;
        l->of_rows = l->n_pod > 0;
        if (l->of_rows)
                return 0;
        /* What is too old denies nothing, and what no pod can be called is not a name of ours. */
        if (!(l->found.record.key & KHS_REC_HOSTS_COMPLETE) || lookup_is_too_old(l) || !khs_name_valid(&l->name))
                return -ENOENT;
        return -ENODATA;
}

/*
 * Two labels: an alias as written, else a pod of a service in the caller's namespace if there are both,
 * else a service. Whether there is such a service comes first, since mostly there is none.
 */
static int lookup_two_labels(struct khs_lookup *l)
{
        size_t n_text = lookup_append_namespace(l), at = (size_t)l->name.n_first + 1;
        int r, r_pod = n_text > 0 ? lookup_service(l, at, n_text - at) : -ENOENT;

        if (r_pod < 0 && r_pod != -ENOENT)
                return r_pod;
        r = lookup_key(l, 0, l->name.len);
        if (r == 0 && lookup_is_alias(l))
                return lookup_alias(l);
        if (r_pod < 0 || (r < 0 && r != -ENOENT))
                return r;
        r_pod = lookup_pod(l, n_text - at);
        if (r_pod != -ENOENT && r_pod != -ENODATA)
                return r_pod;
        return r == 0 ? lookup_service(l, 0, l->name.len) : -ENOENT;
}

/* Every form, by the rules of answer/name.h. */
static int lookup_form(struct khs_lookup *l)
{
        size_t n_text, n_service = (size_t)l->name.len - l->name.n_first - 1; /* behind the first label */
        int r;

        if (l->name.in_cluster)
                return l->name.n_labels == 2 ? lookup_service(l, 0, l->name.len) : lookup_pod(l, n_service);
        if (l->name.n_labels == 2)
                return lookup_two_labels(l);

        r = lookup_key(l, 0, l->name.len);
        if (r == 0 && lookup_is_alias(l))
                return lookup_alias(l);
        if (r < 0 && r != -ENOENT)
                return r;
        if (l->name.n_labels == 3)
                return lookup_pod(l, n_service);
        n_text = l->name.n_labels == 1 ? lookup_append_namespace(l) : 0;
        return n_text > 0 ? lookup_service(l, 0, n_text) : -ENOENT;
}

static inline int lookup_find(struct khs_lookup *l)
{
        int r;

        do {
                l->n_pod = 0;
                l->of_rows = false;
                if (l->n_tries++ >= MAX_TRIES)
                        return -EBUSY;
                if (l->name.n_labels == 2 && (l->name.in_cluster || !lookup_may_have_namespace(l))) {
                        r = lookup_key(l, 0, l->name.len); /* a service's name, or an alias */
                        if (r < 0 || !lookup_is_alias(l))
                                return r;
                }
                r = lookup_form(l);
        } while (r == -EAGAIN);
        return r;
}

int khs_lookup_find(struct khs_lookup *l)
{
        return lookup_find(l);
}

/* Why no address can be served. */
static int lookup_none(const struct khs_lookup *l)
{
        uint32_t key = l->found.record.key;

        if ((l->query->family != AF_INET6 && l->v4.n == 0 && key & KHS_REC_V4_UNKNOWN) ||
            (l->query->family != AF_INET && l->v6.n == 0 && key & KHS_REC_V6_UNKNOWN))
                return -ESTALE;
        /* A pod may have one whose host is not known yet. */
        if (l->n_pod > 0 && !(key & KHS_REC_HOSTS_COMPLETE))
                return -ENOENT;
        return l->v4.n > 0 || l->v6.n > 0 ? -EADDRNOTAVAIL : -ENODATA;
}

/* Of each family that has near addresses only these, which come first. A pod's name means that pod wherever it is. */
static __attribute__((noinline)) void lookup_restrict(struct khs_lookup *l)
{
        struct khs_near_run near;

        if (l->query->far || l->n_pod > 0)
                return;
        near = khs_attrs_near(l->view, &l->found);
        l->v4.n = near.n4 > 0 ? near.n4 : l->v4.n;
        l->v6.n = near.n6 > 0 ? near.n6 : l->v6.n;
}

/*
 * Whether the record may be served, and how many addresses at most: n and count of l->v4 and l->v6, in constant time,
 * since what has no room in glibc's first buffer costs as much.
 */
static int lookup_choose(struct khs_lookup *l)
{
        const struct khs_record *record = &l->found.record;

        if (l->n_pod == 0) {
                l->v4.n = record->n4;
                l->v6.n = record->n6;
        }
        if (lookup_is_too_old(l))
                return -ESTALE;
        if (__builtin_expect(khs_policy_is_near(record->policy), 0))
                lookup_restrict(l);
        l->policy = l->query->all ? record->policy | KHS_ANSWERS_ALL : record->policy;
        l->v4.count = l->query->family != AF_INET6 ? khs_order_count(l->policy, l->v4.n) : 0;
        l->v6.count = l->query->family != AF_INET ? khs_order_count(l->policy, l->v6.n) : 0;
        return l->v4.count > 0 || l->v6.count > 0 ? 0 : lookup_none(l);
}

/* ---- what was chosen ---- */

static uint32_t lookup_place(const struct khs_run *run, uint32_t i)
{
        return i < run->n - run->first ? run->first + i : run->first + i - run->n;
}

/* The row at one place of a pod's run. */
static uint32_t lookup_pod_row(const struct khs_lookup *l, bool six, uint32_t place)
{
        return khs_attrs_by_host(l->view, &l->attrs, l->pod_first + (six ? l->v4.n : 0) + place);
}

/* Which address of the family a row has; what is not one of them: it changes at this moment. */
static uint32_t lookup_address_of(const struct khs_lookup *l, bool six, uint32_t row)
{
        return khs_attrs_address(l->view, &l->attrs, row) - (six ? l->found.record.n4 : 0);
}

/* The row at one place of a run where not every place is that of an address. */
static uint32_t lookup_endpoint_row(const struct khs_lookup *l, bool six, uint32_t place)
{
        const struct khs_record *record = &l->found.record;
        const struct khs_run *run = six ? &l->v6 : &l->v4;
        uint32_t n = six ? record->n6 : record->n4, row;

        if (l->n_pod > 0)
                row = lookup_pod_row(l, six, place);
        else /* shared rows are behind the addresses, those of IPv4 ones first, and of near ones first among these */
                row = record->n4 + record->n6 + (six ? l->n_shared4 : 0) + place - run->n_addrs;
        return lookup_address_of(l, six, row) < n ? row : KHS_NO_ROW;
}

uint32_t khs_lookup_row(const struct khs_lookup *l, int family, uint32_t i)
{
        bool six = family == AF_INET6;
        const struct khs_run *run = six ? &l->v6 : &l->v4;
        uint32_t place = lookup_place(run, i);

        if (l->of_rows && (l->n_pod > 0 || place >= run->n_addrs))
                return lookup_endpoint_row(l, six, place);
        return place + (six ? l->found.record.n4 : 0);
}

/* Adds to a run the rows that share one of its addresses, which are counted before the first and behind the last. */
static void lookup_add_shared(struct khs_run *run, uint32_t before, uint32_t end)
{
        run->n_addrs = run->n;
        run->n += end > before ? end - before : 0;
        run->count = run->count > 0 ? run->n : 0;
}

void khs_lookup_shared(struct khs_lookup *l)
{
        uint32_t n4 = l->found.record.n4, n_shared6;

        if (l->n_pod > 0 || l->attrs.head.n_shared == 0)
                return;
        l->of_rows = true;
        l->n_shared4 = khs_attrs_shared_before(l->view, &l->attrs, n4);
        n_shared6 = khs_attrs_shared_before(l->view, &l->attrs, n4 + l->v6.n);
        lookup_add_shared(&l->v4, 0, khs_attrs_shared_before(l->view, &l->attrs, l->v4.n));
        lookup_add_shared(&l->v6, l->n_shared4, n_shared6);
}

/* Which address of the family is the i-th from the first; KHS_NO_ROW: the record changes meanwhile. */
static uint32_t lookup_address_at(const struct khs_lookup *l, bool six, uint32_t i)
{
        uint32_t at = l->of_rows ? lookup_address_of(l, six, khs_lookup_row(l, six ? AF_INET6 : AF_INET, i))
                                 : lookup_place(six ? &l->v6 : &l->v4, i);

        return at < (six ? l->found.record.n6 : l->found.record.n4) ? at : KHS_NO_ROW;
}

void khs_lookup_address(const struct khs_lookup *l, int family, uint32_t i, uint32_t ret[static 4])
{
        bool six = family == AF_INET6;
        uint32_t place = lookup_address_at(l, six, i);

        if (place == KHS_NO_ROW) /* which will be found out, too */
                memset(ret, 0, 16);
        else if (!six)
                khs_view_copy(l->view, l->found.v4_word + place, ret, 1);
        else
                khs_view_copy(l->view, l->found.v6_word + 4 * place, ret, 4);
}

void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        uint32_t address[4];
        uint64_t kept = run->kept;
        char *out = ret;

        for (uint32_t i = 0; kept || (run->kept == 0 && i < run->count); i++, out += stride, kept &= kept - 1) {
                khs_lookup_address(l, family, kept ? (uint32_t)__builtin_ctzll(kept) : i, address);
                memcpy(out, address, family == AF_INET ? 4 : 16);
        }
}

/* ---- the choice ---- */

/* Addresses of one family, as scored by what is known of the own ones. */
struct scored {
        const struct khs_lookup *l;
        const struct khs_interfaces *look;
        int family;
};

static uint32_t lookup_score(uint32_t i, void *user)
{
        const struct scored *scored = user;
        struct khs_score score;
        uint32_t address[4];

        khs_lookup_address(scored->l, scored->family, i, address);
        khs_interfaces_score(scored->look, scored->family, address, &score);
        return i == 0 ? score.least : score.most;
}

/* The address that the host sticks to, if it has one of its own. */
static void lookup_stick(struct khs_lookup *l, const struct khs_interfaces *look, int family)
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

                khs_lookup_address(l, family, i, address);
                weight = khs_order_weight(host, family, address);
                if (weight > most) {
                        most = weight;
                        first = i;
                }
        }
        run->first = first;
}

static void lookup_choose_of_family(struct khs_lookup *l, const struct khs_interfaces *look, int family)
{
        struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;
        struct scored scored = { l, look, family };

        run->kept = 0;
        run->first = 0;
        if (run->count == 0)
                return;
        run->first = khs_order_first(l->policy, l->position, run->n);
        if (khs_policy_order(l->policy) == KHS_ORDER_STICKY && look->known)
                lookup_stick(l, look, family);
        if (!khs_order_keeps(l->policy))
                return;
        if (!look->known) /* then nothing goes with the first */
                run->count = 1;
        khs_order_keep(run, lookup_score, &scored);
}

static bool lookup_has_choice(const struct khs_lookup *l)
{
        return (l->v4.count > 0 && l->v4.n > 1) || (l->v6.count > 0 && l->v6.n > 1);
}

/* Where the choice depends on the own addresses. */
static void lookup_choose_by_interfaces(struct khs_lookup *l)
{
        struct khs_interfaces look = { .known = 0 };

        if (lookup_has_choice(l)) {
                khs_interfaces_refresh();
                (void)khs_interfaces_look(&look);
        }
        for (;;) {
                lookup_choose_of_family(l, &look, AF_INET);
                lookup_choose_of_family(l, &look, AF_INET6);
                if (!look.known || khs_interfaces_valid(&look))
                        return;
                look.known = 0; /* what was known has changed meanwhile */
        }
}

/* Takes the turn of this lookup, if there is a choice, and chooses the addresses. Counts may become smaller. */
static void lookup_rotate(struct khs_lookup *l)
{
        l->v4.first = l->v6.first = 0;
        l->v4.kept = l->v6.kept = 0;
        if (l->v4.n <= 1 && l->v6.n <= 1)
                return;
        if (!l->turned)
                l->position = khs_process_turn(l->found.record.tag);
        l->turned = true;

        if (khs_policy_order(l->policy) == KHS_ORDER_STICKY || khs_order_keeps(l->policy)) {
                lookup_choose_by_interfaces(l);
                return;
        }
        if (l->v4.count > 0)
                l->v4.first = khs_order_first(l->policy, l->position, l->v4.n);
        if (l->v6.count > 0)
                l->v6.first = khs_order_first(l->policy, l->position, l->v6.n);
}

int khs_lookup(const struct khs_query *query, int (*plan)(struct khs_lookup *l, void *user),
               void (*fill)(const struct khs_lookup *l, void *user), void *user)
{
        struct khs_lookup l;
        struct khs_pin pin;
        int r;

        r = khs_map_enter(&pin);
        if (r < 0)
                return r;
        r = khs_lookup_begin(&l, query, &pin);
        while (r == 0) {
                r = lookup_find(&l);
                if (r == 0)
                        r = lookup_choose(&l);
                if (r < 0)
                        break;
                r = plan(&l, user);
                if (r == 0) {
                        lookup_rotate(&l);
                        fill(&l, user);
                }
                if (khs_found_valid(l.view, &l.found))
                        break;
                r = 0;
        }
        khs_map_leave(&pin);
        return r;
}
