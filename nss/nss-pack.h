#pragma once

/*
 * An answer inside the caller's buffer, in the form of <nss.h> and <netdb.h>. Pure: knows nothing of tables; the caller
 * fills in the addresses.
 *
 * A buffer may be unaligned (gethostbyname_r() passes on what the program gave it), and everything that is
 * returned must lie inside it. A layout is planned for the most addresses that there may be, in constant time and
 * before any other work, since glibc comes back with twice the size: -ERANGE leaves the buffer and all results
 * untouched. Then it is filled for as many as there are.
 */

#include <netdb.h>
#include <nss.h>
#include <stddef.h>
#include <stdint.h>

/* Where the parts of an answer are. */
struct nss_tuples {
        struct gaih_addrtuple *tuples;
        char *name;
};

struct nss_host {
        char **aliases; /* none; the list of addresses is behind it */
        char *addresses;
        char *name;
};

/**
 * nss_plan_tuples() - linked tuples for gethostbyname4_r
 * @n:      most tuples that there will be
 * @n_name: size of the name, including the NUL
 */
int nss_plan_tuples(char *buffer, size_t n_buffer, size_t n, size_t n_name, struct nss_tuples *ret);

/* Fills in all but the name and the addresses, of which there is one at least; they go to tuples[i].addr, IPv6 first.
 */
void nss_fill_tuples(const struct nss_tuples *plan, size_t n4, size_t n6);

/**
 * nss_plan_host() - a struct hostent without aliases
 * @family: AF_INET or AF_INET6
 * @n:      most addresses that there will be
 * @n_name: size of the name, including the NUL
 */
int nss_plan_host(char *buffer, size_t n_buffer, int family, size_t n, size_t n_name, struct nss_host *ret);

/* Fills in all but the name and the n x 4 or 16 bytes of addresses. */
void nss_fill_host(const struct nss_host *plan, int family, size_t n);

/* The struct hostent that points to it. */
void nss_describe_host(const struct nss_host *plan, int family, struct hostent *ret);

/* The canonical name, "S.N.svc.D" or "HOST.S.N.svc.D". The table holds the domain once, and keys without it. */
#define NSS_SVC ".svc."

/* Its size, including the NUL. */
static inline size_t nss_name_size(size_t n_key, size_t n_zone)
{
        return n_key + sizeof(NSS_SVC) - 1 + n_zone + 1;
}

void nss_name_write(const char *key, size_t n_key, const char *zone, size_t n_zone, char *ret);
