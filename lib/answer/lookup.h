#pragma once

/*
 * One lookup, from a name to addresses in serving order: what the C API and the NSS module share.
 *
 *     r = khs_map_enter(&pin, &own);
 *     if (r == 0)
 *             r = khs_lookup_begin(&l, &pin, name, strlen(name), search);
 *     while (r == 0) {
 *             r = khs_lookup_find(&l);           finds the record, again when it changed
 *             if (r == 0)
 *                     r = khs_lookup_choose(&l, family);   may it be served, which addresses
 *             if (r < 0)
 *                     break;
 *             ... is there room for l.v4.count + l.v6.count? else break ...
 *             khs_lookup_rotate(&l);             takes its turn, once; may lower the counts
 *             khs_lookup_copy(&l, ...);
 *             if (khs_lookup_done(&l))
 *                     break;
 *     }
 *     khs_map_leave(&pin);                       if it was entered
 *
 * Lives on the caller's stack (some 500 bytes; looking for a table needs as many, which is why that
 * comes before), allocates nothing, takes no lock; may run in any number of threads. The name is read
 * during khs_lookup_begin(), the search list also later.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "answer/interfaces.h"
#include "answer/name.h"
#include "answer/order.h"
#include "read/attrs.h"
#include "read/map.h"

struct khs_lookup {
        const struct khs_view *view; /* of the pin, as is the time */
        uint32_t now_ds;
        struct khs_name name;      /* text is also the scratch in which keys are composed */
        const char *const *search; /* the caller's search list, NULL-terminated, or NULL */

        struct khs_found found;

        /* A pod's name: its rows, in the order of host names. n_pod is 0 for a service's name. */
        struct khs_attrs_at attrs;
        uint32_t pod_first, n_pod;

        uint32_t policy; /* the record's, or `all` */
        struct khs_run v4, v6;
        uint32_t position;
        bool turned;
        uint8_t n_tries;
        uint8_t key_at; /* found's key is name.text[key_at .. key_at + found.n_key] */
};

/**
 * khs_lookup_begin() - read the name
 * @pin: holds the table as long as the lookup lasts
 *
 * Return: 0; -ENOENT not a name of ours.
 */
static inline int khs_lookup_begin(struct khs_lookup *l, const struct khs_pin *pin, const char *name, size_t n_name,
                                   const char *const *search)
{
        const struct khs_zone zone = khs_view_zone(pin->view);

        l->view = pin->view;
        l->now_ds = pin->now_ds;
        l->search = search;
        l->turned = false;
        l->n_tries = 0;
        return khs_name_parse(&l->name, name, n_name, &zone);
}

/**
 * khs_lookup_find() - find the record that the name means
 *
 * For a pod's name l->found is its service, and l->n_pod is not 0.
 *
 * Return: 0, l->found is it; -ENOENT not registered, or a pod whose service does not know all its
 * hosts; -ENODATA a pod that the service has not got; -EBUSY it changes all the time; -EBADMSG the
 * table is damaged.
 */
int khs_lookup_find(struct khs_lookup *l);

/**
 * khs_lookup_choose() - whether the record may be served, and how many addresses at most
 * @family: AF_INET, AF_INET6 or AF_UNSPEC
 * @all:    every address, whatever the record's answer policy says
 *
 * Fills n and count of l->v4 and l->v6, in constant time: what glibc does not give enough room for
 * costs no more than this. The room that a policy needs does not depend on whose turn it is.
 *
 * Return: 0; -ENODATA known to have no address of @family; -ENOENT a pod of which none is known, while the
 * service does not know all its hosts; -ESTALE never resolved or too old.
 */
int khs_lookup_choose(struct khs_lookup *l, int family, bool all);

/**
 * khs_lookup_rotate() - choose the addresses
 *
 * Takes the turn of this lookup (the first time only, and if there is a choice) and fills the rest of
 * l->v4 and l->v6. With N and `auto`, counts may become smaller; the work is bounded: at most
 * KHS_CANDIDATES addresses of each family are scored, each against at most KHS_OWN_MAX own ones, and
 * once in 10 s the kernel is asked for these. `sticky` looks at each address once.
 */
void khs_lookup_rotate(struct khs_lookup *l);

/* Those that do not lie one behind the other: some that were kept, and a pod's. */
void khs_lookup_copy_scattered(const struct khs_lookup *l, int family, void *ret, size_t stride);

/* The chosen addresses after khs_lookup_shared(): one of several endpoints again for each. */
void khs_lookup_copy_endpoints(const struct khs_lookup *l, int family, void *ret, size_t stride);

/* Copies the chosen addresses of one family, 4 or 16 bytes each, one every @stride bytes. */
KHS_INLINE void khs_lookup_copy(const struct khs_lookup *l, int family, void *ret, size_t stride)
{
        const struct khs_run *run = family == AF_INET ? &l->v4 : &l->v6;

        if (l->n_pod > 0 || run->kept)
                khs_lookup_copy_scattered(l, family, ret, stride);
        else
                khs_found_copy(l->view, &l->found, family, run->first, run->count, ret, stride);
}

/* Whether all that was copied belongs to one state of the record; else find again. */
static inline bool khs_lookup_done(const struct khs_lookup *l)
{
        return khs_found_valid(l->view, &l->found);
}

/**
 * khs_lookup_shared() - make a choice among endpoints instead of addresses
 *
 * After khs_lookup_choose() with @all, for who tells endpoints with the same address apart, which is by
 * their ports; with l->attrs open. Those of a pod's name are endpoints anyhow. Where there are shared rows, counts
 * become larger, and only khs_lookup_copy_endpoints() copies what then is chosen. `sticky` chooses among
 * addresses all the same.
 *
 * Return: whether there are any.
 */
bool khs_lookup_shared(struct khs_lookup *l);

/* The row of the i-th address or endpoint from the first of the run, cyclically, see read/attrs.h; KHS_NO_ROW: the
 * record changes meanwhile. */
#define KHS_NO_ROW UINT32_MAX
uint32_t khs_lookup_row(const struct khs_lookup *l, int family, uint32_t i);

/* What the name was found to mean, without the domain: "S.N", "HOST.S.N"; it ends where its length says. */
static inline const char *khs_lookup_canonical(const struct khs_lookup *l, size_t *ret_n)
{
        const char *text = l->name.text + (l->n_pod ? 0 : l->key_at);

        *ret_n = l->key_at + l->found.n_key - (size_t)(text - l->name.text);
        return text;
}
