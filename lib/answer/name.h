#pragma once

/*
 * From a name as a program writes it to the keys that the table may have for it.
 *
 * The rules are those by which a pod's resolv.conf (search N.svc.D svc.D D, ndots:5) and the cluster's
 * DNS answer; S is a service, N its namespace, D the cluster domain ("zone"), C the caller's namespace. In any
 * case.
 *
 *     S.N.svc.D  S.N.svc.D.  S.N.svc            service S.N
 *     HOST.S.N.svc.D  ...                       pod HOST of it
 *     anything else without a final dot:
 *       as written                              an alias
 *       one label                               S in C
 *       two labels                              pod HOST of S in C, else S.N
 *       three labels                            pod HOST of S.N
 *
 * localhost and *.localhost are never answered. Pure functions over private memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* KHS_NAME_MAX, KHS_LABEL_MAX */

/* The cluster domain, in lower case. */
struct khs_zone {
        const char *bytes;
        size_t n; /* its length; 0: none */
};

struct khs_name {
        char text[256]; /* lower case, without final dot and without .svc[.D]; NUL-terminated */
        uint8_t len;
        uint8_t n_labels;
        uint8_t n_first; /* length of the first label */
        bool in_cluster; /* ended in .svc or .svc.D: text is S.N or HOST.S.N, never an alias */
};

/**
 * khs_name_parse() - normalise a name and learn its form
 * @text:   as given to getaddrinfo()
 * @n_text: its length
 * @zone:   D, lower case
 *
 * Does not check for bytes that no name contains, nor for labels that are empty or too long: no key of the table has
 * any.
 *
 * Return: 0; -ENOENT: not a name that the module answers, @ret is undefined.
 */
int khs_name_parse(struct khs_name *ret, const char *text, size_t n_text, const struct khs_zone *zone);

/* Whether DNS allows the bytes and labels of a name that was parsed. */
bool khs_name_valid(const struct khs_name *name);

/**
 * khs_name_search() - the caller's namespace from its search list
 * @search:   list of domains, ended by NULL or by its length; the first of the form N.svc.D counts
 * @n_search: the most that it may have; of none are more than 254 bytes read
 * @ret:      N in lower case, NUL-terminated
 *
 * Return: length of N; 0: there is none, @ret is undefined.
 */
size_t khs_name_search(const char *const *search, size_t n_search, const struct khs_zone *zone,
                       char ret[static KHS_LABEL_MAX + 1]);
