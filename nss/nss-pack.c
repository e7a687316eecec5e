/*
 * Packing answers, see nss-pack.h.
 *
 *     gethostbyname4_r:   pad | tuple, tuple, ...                        | canonical name
 *     the others:         pad | NULL (aliases) | pointers, NULL | addresses | canonical name
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "nss-pack.h"

#define SVC ".svc."

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

static size_t name_size(const struct nss_name *name)
{
        return name->n_key + strlen(SVC) + name->n_zone + 1;
}

static void name_write(const struct nss_name *name, char *ret)
{
        memcpy(ret, name->key, name->n_key);
        ret += name->n_key;
        memcpy(ret, SVC, strlen(SVC));
        ret += strlen(SVC);
        memcpy(ret, name->zone, name->n_zone);
        ret[name->n_zone] = '\0';
}

int nss_pack_tuples(char *buffer, size_t n_buffer, const struct nss_name *name, size_t n4, size_t n6,
                    struct nss_tuples *ret)
{
        struct room room = { buffer, n_buffer };
        struct gaih_addrtuple *tuples;
        size_t n = n4 + n6;
        char *canonical;

        if (!room_align(&room, _Alignof(struct gaih_addrtuple)) ||
            !room_take(&room, n * sizeof(*tuples), &tuples) || !room_take(&room, name_size(name), &canonical))
                return -ERANGE;

        name_write(name, canonical);
        for (size_t i = 0; i < n; i++)
                tuples[i] = (struct gaih_addrtuple){
                        .next = i + 1 < n ? &tuples[i + 1] : NULL,
                        .name = canonical,
                        .family = i < n6 ? AF_INET6 : AF_INET,
                };
        *ret = (struct nss_tuples){ tuples, n4, n6 };
        return 0;
}

int nss_pack_hostent(char *buffer, size_t n_buffer, const struct nss_name *name, int family, size_t n,
                     struct hostent *ret, char **addresses)
{
        size_t n_address = family == AF_INET ? 4 : 16;
        struct room room = { buffer, n_buffer };
        char **aliases, **list, *bytes, *canonical;

        if (!room_align(&room, _Alignof(char *)) || !room_take(&room, sizeof(char *), &aliases) ||
            !room_take(&room, (n + 1) * sizeof(char *), &list) || !room_take(&room, n * n_address, &bytes) ||
            !room_take(&room, name_size(name), &canonical))
                return -ERANGE;

        name_write(name, canonical);
        aliases[0] = NULL;
        for (size_t i = 0; i < n; i++)
                list[i] = bytes + i * n_address;
        list[n] = NULL;
        *ret = (struct hostent){
                .h_name = canonical,
                .h_aliases = aliases,
                .h_addrtype = family,
                .h_length = (int)n_address,
                .h_addr_list = list,
        };
        *addresses = bytes;
        return 0;
}
