/*
 * The layouts of answers, as glibc and its callers read them.
 *
 *     gethostbyname4_r:   padding | tuple, tuple, ...                        | canonical name
 *     the others:         padding | NULL (aliases) | pointers, NULL | addresses | canonical name
 *
 * The name comes last, where its length moves nothing else. The same sums that decide whether there is room place the
 * parts: a buffer that is one byte too small is not touched.
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "nss-pack.h"
#include "table/bytes.h"

/* Sizes are bounded by the table's, far from overflow. */
static size_t nss_padding(const char *buffer, size_t alignment)
{
        return -(uintptr_t)buffer & (alignment - 1);
}

void nss_name_write(const char *key, size_t n_key, const char *zone, size_t n_zone, char *ret)
{
        khs_copy_bytes(ret, key, n_key);
        memcpy(ret + n_key, NSS_SVC, sizeof(NSS_SVC) - 1);
        ret += n_key + sizeof(NSS_SVC) - 1;
        khs_copy_bytes(ret, zone, n_zone);
        ret[n_zone] = '\0';
}

int nss_plan_tuples(char *buffer, size_t n_buffer, size_t n, size_t n_name, struct nss_tuples *ret)
{
        size_t pad = nss_padding(buffer, _Alignof(struct gaih_addrtuple)), n_tuples = n * sizeof(*ret->tuples);

        if (pad + n_tuples + n_name > n_buffer)
                return -ERANGE;
        buffer += pad;
        ret->tuples = (struct gaih_addrtuple *)(void *)buffer;
        ret->name = buffer + n_tuples;
        return 0;
}

void nss_fill_tuples(const struct nss_tuples *plan, size_t n4, size_t n6)
{
        struct gaih_addrtuple *at = plan->tuples, *end = at + n4 + n6;
        char *name = plan->name;

        for (; at < end; at++)
                *at = (struct gaih_addrtuple){ .next = at + 1, .name = name, .family = AF_INET };
        end[-1].next = NULL;
        for (at = plan->tuples; n6 > 0; at++, n6--)
                at->family = AF_INET6;
}

int nss_plan_host(char *buffer, size_t n_buffer, int family, size_t n, size_t n_name, struct nss_host *ret)
{
        size_t pad = nss_padding(buffer, _Alignof(char *)), n_pointers = (1 + n + 1) * sizeof(char *);
        size_t n_addresses = n * (family == AF_INET ? 4 : 16);

        if (pad + n_pointers + n_addresses + n_name > n_buffer)
                return -ERANGE;
        buffer += pad;
        ret->aliases = (char **)(void *)buffer;
        ret->addresses = buffer + n_pointers;
        ret->name = buffer + n_pointers + n_addresses;
        return 0;
}

void nss_fill_host(const struct nss_host *plan, int family, size_t n)
{
        char **list = plan->aliases + 1;

        plan->aliases[0] = NULL;
        for (size_t i = 0; i < n; i++)
                list[i] = plan->addresses + i * (family == AF_INET ? 4 : 16);
        list[n] = NULL;
}

void nss_describe_host(const struct nss_host *plan, int family, struct hostent *ret)
{
        *ret = (struct hostent){
                .h_name = plan->name,
                .h_aliases = plan->aliases,
                .h_addrtype = family,
                .h_length = family == AF_INET ? 4 : 16,
                .h_addr_list = plan->aliases + 1,
        };
}
