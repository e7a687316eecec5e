#pragma once

/*
 * An answer inside the caller's buffer, as <nss.h> and <netdb.h> want it. Pure: knows nothing of
 * tables; the addresses themselves are filled in by the caller afterwards.
 *
 * Buffers may be unaligned (gethostbyname_r() passes on what the program gave it), and everything
 * that is returned must lie inside. One function plans each layout; the size check is constant
 * time and comes before anything is written, since glibc tries again with twice the size:
 * -ERANGE leaves the buffer and all results untouched.
 */

#include <netdb.h>
#include <nss.h>
#include <stddef.h>
#include <stdint.h>

/* The canonical name, "S.N.svc.D" or "HOST.S.N.svc.D": in two pieces, since the table has no room to waste on the rest. */
struct nss_name {
        const char *key; /* "S.N", "HOST.S.N" */
        size_t n_key;
        const char *zone; /* "cluster.local" */
        size_t n_zone;
};

/* Linked tuples for gethostbyname4_r, IPv6 first; addresses go to tuples[i].addr. */
struct nss_tuples {
        struct gaih_addrtuple *tuples;
        size_t n4, n6;
};

int nss_pack_tuples(char *buffer, size_t n_buffer, const struct nss_name *name, size_t n4, size_t n6,
                    struct nss_tuples *ret);

/**
 * nss_pack_hostent() - a struct hostent without aliases
 * @family:    AF_INET or AF_INET6
 * @n:         number of addresses
 * @ret:       filled on success
 * @addresses: receives where n x 4 or 16 bytes of addresses go
 */
int nss_pack_hostent(char *buffer, size_t n_buffer, const struct nss_name *name, int family, size_t n,
                     struct hostent *ret, char **addresses);
