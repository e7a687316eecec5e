#pragma once

/*
 * One lookup, from a name to addresses in serving order: the module's and the C library's.
 *
 *     khs_lookup()                                        the caller
 *       enter     pin the process's map of the table
 *       parse     read the name
 *       find  <-. the record that the name means
 *       choose  | may it be served; how many addresses
 *               |                                         plan(): is there room for so many?
 *       rotate  | take a turn, once; choose the addresses
 *               |                                         fill(): copy them
 *       valid? -' the record changed meanwhile
 *       leave
 *
 * A lookup lives on its thread's stack (about 900 bytes), allocates nothing, takes no lock, and may run in any
 * number of threads. Turns are taken only by lookups that have room for their answer: glibc comes back with a
 * larger buffer for the same one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "answer/name.h"
#include "answer/order.h"
#include "read/attrs.h"
#include "read/map.h"

struct khs_query {
        const char *name;
        size_t n_name;
        const char *const *search; /* the caller's search list, or NULL; ended by NULL or by its length */
        size_t n_search;
        int family; /* AF_INET, AF_INET6 or AF_UNSPEC */
        bool all;   /* as many addresses as its order serves, whatever the record's answer policy says */
        bool far;   /* those that are not near, too, whatever its order says */
};

struct khs_lookup {
        const struct khs_query *query;
        const struct khs_view *view; /* of the pin, as is the time */
        uint32_t now_ds;
        uint8_t n_tries;
        bool turned;
        bool of_rows;   /* the choice is among rows: of a pod, or after khs_lookup_shared() */
        uint8_t key_at; /* the record's key is name.text[key_at .. key_at + found.n_key] */
        uint32_t position;
        uint32_t policy; /* the record's, or `all` */
        struct khs_run v4, v6;
        uint32_t n_shared4; /* after khs_lookup_shared(): rows that share an IPv4 address */

        struct khs_found found;

        /* A pod's name: its rows, in the order of host names. n_pod is 0 for a service's name. */
        uint32_t pod_first, n_pod;
        struct khs_attrs_at attrs;

        struct khs_name name; /* its text is also where keys are composed */
};

/**
 * khs_lookup() - look a name up
 * @plan: told l->v4.count and l->v6.count addresses, at most, and their record; may refuse them. Must not depend on
 *        whose turn it is
 * @fill: copies l->v4.count and l->v6.count addresses by khs_lookup_copy(). It is called again, after @plan, when
 *        the record changed meanwhile
 * @user: passed on to both
 *
 * A plan that reads what it wants by itself returns KHS_PLAN_DONE. Then no turn is taken, and there is nothing to fill.
 *
 * Return: 0; what @plan returned; -ENOENT not a name that is registered, or a pod of a service that does not know
 * all of its hosts; -ENODATA known to have no address, or a pod that the service lacks; -EADDRNOTAVAIL known to have
 * addresses, but none of this family; -ESTALE never resolved, or too old; -ENOTCONN no usable table; -EBUSY it changes
 * all the time; -EBADMSG the table is damaged.
 */
#define KHS_PLAN_DONE 1
int khs_lookup(const struct khs_query *query, int (*plan)(struct khs_lookup *l, void *user),
               void (*fill)(const struct khs_lookup *l, void *user), void *user);

/**
 * khs_lookup_begin() - the first step alone: read the name
 * @pin: holds the table as long as the lookup lasts
 *
 * Return: 0; -ENOENT not a name that the table could have.
 */
static inline int khs_lookup_begin(struct khs_lookup *l, const struct khs_query *query, const struct khs_pin *pin)
{
        const struct khs_zone zone = { pin->view->zone, pin->view->n_zone };

        l->query = query;
        l->view = pin->view;
        l->now_ds = pin->now_ds;
        l->turned = false;
        l->n_tries = 0;
        return khs_name_parse(&l->name, query->name, query->n_name, &zone);
}

/**
 * khs_lookup_find() - and the second: find the record that the name means, l->found
 *
 * A pod's name finds its service's record, and l->n_pod is not 0.
 *
 * Return: 0; -ENOENT, -ENODATA, -EBUSY, -EBADMSG as above.
 */
int khs_lookup_find(struct khs_lookup *l);

/* Those that are not consecutive: some that were kept, a pod's, and those of endpoints. */
void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride);

/* Copies the chosen addresses of one family, 4 or 16 bytes each, one every @stride bytes. */
KHS_INLINE void khs_lookup_copy(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;

        if (l->of_rows || run->kept)
                khs_lookup_copy_scattered(l, family, ret, stride);
        else
                khs_found_copy_of(l->view, &l->found, family, run->n, run->first, run->count, ret, stride);
}

/* Copies the i-th address from the first of the run, cyclically: one word, or four. */
void khs_lookup_address(const struct khs_lookup *l, int family, uint32_t i, uint32_t ret[static 4]);

/**
 * khs_lookup_shared() - in plan(): make a choice among endpoints instead of addresses
 *
 * For callers with @all who tell apart endpoints that share an address, which is by their ports; with l->attrs open.
 * Those of a pod's name are endpoints anyhow. Where addresses are shared, counts become larger, and an address is
 * copied once for each of its endpoints. `sticky` chooses among addresses all the same.
 */
void khs_lookup_shared(struct khs_lookup *l);

/* The row of the i-th address or endpoint from the first of the run, cyclically (read/attrs.h); KHS_NO_ROW: the
 * record changes meanwhile. */
#define KHS_NO_ROW UINT32_MAX
uint32_t khs_lookup_row(const struct khs_lookup *l, int family, uint32_t i);

/* What the name was found to mean, without the domain: "S.N", "HOST.S.N"; it ends where its length says. */
static inline const char *khs_lookup_canonical(const struct khs_lookup *l, size_t *ret_n)
{
        bool pod = l->n_pod > 0;

        *ret_n = l->found.n_key + (pod ? l->key_at : 0U);
        return l->name.text + (pod ? 0 : l->key_at);
}
