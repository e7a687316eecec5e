/*
 * Packing answers, see nss-pack.h.
 *
 *     gethostbyname4_r:   pad | tuple, tuple, ...                        | canonical name
 *     the others:         pad | NULL (aliases) | pointers, NULL | addresses | canonical name
 *
 * The name comes last, where a longer or shorter one moves nothing else.
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "nss-pack.h"

/* What is left of the caller's buffer. */
struct room {
        char *next;
        size_t left;
};

/* Takes n bytes; false when they do not fit. Sizes are bounded by the table's, far from overflow. */
static bool room_take(struct room *room, size_t n, void *ret)
{
        if (n > room->left)
                return false;
        memcpy(ret, &room->next, sizeof(char *));
        room->next += n;
        room->left -= n;
        return true;
}

static bool room_align(struct room *room, size_t alignment)
{
        char *skipped;

        return room_take(room, -(uintptr_t)room->next & (alignment - 1), &skipped);
}

void nss_name_write(const char *key, size_t n_key, const char *zone, size_t n_zone, char *ret)
{
        memcpy(ret, key, n_key);
        memcpy(ret + n_key, NSS_SVC, sizeof(NSS_SVC) - 1);
        ret += n_key + sizeof(NSS_SVC) - 1;
        memcpy(ret, zone, n_zone);
        ret[n_zone] = '\0';
}

int nss_plan_tuples(char *buffer, size_t n_buffer, size_t n, size_t n_name, struct nss_tuples *ret)
{
        struct room room = { buffer, n_buffer };
        struct nss_tuples plan;

        if (!room_align(&room, _Alignof(struct gaih_addrtuple)) ||
            !room_take(&room, n * sizeof(*plan.tuples), &plan.tuples) || !room_take(&room, n_name, &plan.name))
                return -ERANGE;
        *ret = plan;
        return 0;
}

void nss_fill_tuples(const struct nss_tuples *plan, size_t n4, size_t n6)
{
        size_t n = n4 + n6;

        for (size_t i = 0; i < n; i++)
                plan->tuples[i] = (struct gaih_addrtuple){
                        .next = i + 1 < n ? &plan->tuples[i + 1] : NULL,
                        .name = plan->name,
                        .family = i < n6 ? AF_INET6 : AF_INET,
                };
}

int nss_plan_host(char *buffer, size_t n_buffer, int family, size_t n, size_t n_name, struct nss_host *ret)
{
        struct room room = { buffer, n_buffer };
        struct nss_host plan;

        if (!room_align(&room, _Alignof(char *)) || !room_take(&room, (1 + n + 1) * sizeof(char *), &plan.aliases) ||
            !room_take(&room, n * (family == AF_INET ? 4 : 16), &plan.addresses) ||
            !room_take(&room, n_name, &plan.name))
                return -ERANGE;
        *ret = plan;
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
