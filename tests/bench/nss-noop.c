/*
 * The floor that no NSS module gets under: answers every name with NOOP_ADDRESSES constant
 * addresses and looks nowhere. What a program's getaddrinfo() costs through it is glibc's own.
 */

#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#ifndef NOOP_ADDRESSES
#define NOOP_ADDRESSES 1
#endif

static const char canonical_name[] = "noop.default.svc.cluster.local";

enum nss_status _nss_noop_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_noop_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                           char **canonp);
enum nss_status _nss_noop_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop);
enum nss_status _nss_noop_gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t n_buffer,
                                          int *errnop, int *h_errnop);

/* 10.244.9.1 and on */
static uint32_t address(uint32_t i)
{
        const uint8_t bytes[4] = { 10, 244, 9, (uint8_t)(i + 1) };
        uint32_t word;

        memcpy(&word, bytes, sizeof(word));
        return word;
}

static char *align(char *buffer, size_t n_buffer, size_t n_wanted)
{
        size_t pad = -(uintptr_t)buffer % alignof(max_align_t);

        return n_buffer >= pad + n_wanted ? buffer + pad : NULL;
}

static enum nss_status too_small(int *errnop, int *h_errnop)
{
        *errnop = ERANGE;
        *h_errnop = NETDB_INTERNAL;
        return NSS_STATUS_TRYAGAIN;
}

enum nss_status _nss_noop_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp)
{
        struct gaih_addrtuple *tuples;
        char *text;

        (void)name;
        text = align(buffer, n_buffer, sizeof(canonical_name) + 16 + NOOP_ADDRESSES * sizeof(*tuples));
        if (!text)
                return too_small(errnop, h_errnop);
        tuples = (struct gaih_addrtuple *)(void *)text;
        text += NOOP_ADDRESSES * sizeof(*tuples);
        memcpy(text, canonical_name, sizeof(canonical_name));
        for (uint32_t i = 0; i < NOOP_ADDRESSES; i++)
                tuples[i] = (struct gaih_addrtuple){
                        .next = i + 1 < NOOP_ADDRESSES ? &tuples[i + 1] : NULL,
                        .name = text,
                        .family = AF_INET,
                        .addr = { address(i) },
                };
        if (*pat)
                **pat = tuples[0];
        else
                *pat = tuples;
        if (ttlp)
                *ttlp = 0;
        *h_errnop = NETDB_SUCCESS;
        return NSS_STATUS_SUCCESS;
}

struct answer {
        char *addresses[NOOP_ADDRESSES + 1];
        char *aliases[1];
        uint32_t words[NOOP_ADDRESSES];
        char name[sizeof(canonical_name)];
};

enum nss_status _nss_noop_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                           char **canonp)
{
        struct answer *a = (struct answer *)(void *)align(buffer, n_buffer, sizeof(*a));

        (void)name;
        if (!a)
                return too_small(errnop, h_errnop);
        if (family != AF_INET) {
                *errnop = ENOENT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_NOTFOUND;
        }
        for (uint32_t i = 0; i < NOOP_ADDRESSES; i++) {
                a->words[i] = address(i);
                a->addresses[i] = (char *)&a->words[i];
        }
        a->addresses[NOOP_ADDRESSES] = NULL;
        a->aliases[0] = NULL;
        memcpy(a->name, canonical_name, sizeof(canonical_name));
        *ret = (struct hostent){
                .h_name = a->name,
                .h_aliases = a->aliases,
                .h_addrtype = AF_INET,
                .h_length = 4,
                .h_addr_list = a->addresses,
        };
        if (ttlp)
                *ttlp = 0;
        if (canonp)
                *canonp = a->name;
        *h_errnop = NETDB_SUCCESS;
        return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_noop_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop)
{
        return _nss_noop_gethostbyname3_r(name, family, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}

enum nss_status _nss_noop_gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t n_buffer,
                                          int *errnop, int *h_errnop)
{
        return _nss_noop_gethostbyname3_r(name, AF_INET, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}
