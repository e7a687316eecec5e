/*
 * Packing answers: every buffer length around what is needed, every alignment, guard bytes on both
 * sides; what fits must be whole and inside, what does not must leave everything untouched.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nss-pack.h"

#define GUARD 64
#define FILL  0xa5

#define KEY  "user-svc.default"
#define ZONE "cluster.local"

static const size_t n_name = sizeof(KEY NSS_SVC ZONE);

static void write_name(char *ret)
{
        nss_name_write(KEY, strlen(KEY), ZONE, strlen(ZONE), ret);
}
static const char canonical[] = "user-svc.default.svc.cluster.local";

static bool inside(const void *p, size_t n, const char *buffer, size_t n_buffer)
{
        return (const char *)p >= buffer && (const char *)p + n <= buffer + n_buffer;
}

static bool is_filled(const char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if ((unsigned char)bytes[i] != FILL)
                        return false;
        }
        return true;
}

static int pack_tuples(char *buffer, size_t n, size_t n4, size_t n6, struct nss_tuples *ret)
{
        int r = nss_plan_tuples(buffer, n, n4 + n6, n_name, ret);

        if (r == 0) {
                nss_fill_tuples(ret, n4, n6);
                write_name(ret->name);
        }
        return r;
}

static int pack_host(char *buffer, size_t n, int family, size_t n_addresses, struct hostent *ret)
{
        struct nss_host plan;
        int r = nss_plan_host(buffer, n, family, n_addresses, n_name, &plan);

        if (r < 0)
                return r;
        memset(plan.addresses, 0x5a, n_addresses * (family == AF_INET ? 4 : 16));
        nss_fill_host(&plan, family, n_addresses);
        write_name(plan.name);
        nss_describe_host(&plan, family, ret);
        return 0;
}

static void check_tuples(const struct nss_tuples *t, size_t n4, size_t n6, const char *buffer, size_t n_buffer)
{
        const struct gaih_addrtuple *tuple = t->tuples;

        for (size_t i = 0; i < n4 + n6; i++, tuple = tuple->next) {
                cr_assert(inside(tuple, sizeof(*tuple), buffer, n_buffer));
                cr_assert_eq((uintptr_t)tuple % _Alignof(struct gaih_addrtuple), 0);
                cr_assert(inside(tuple->name, sizeof(canonical), buffer, n_buffer));
                cr_assert_str_eq(tuple->name, canonical);
                cr_assert_eq(tuple->family, i < n6 ? AF_INET6 : AF_INET);
                cr_assert_eq(tuple->scopeid, 0);
        }
        cr_assert_null(tuple);
}

static void sweep_tuples(size_t n4, size_t n6, size_t offset)
{
        size_t most = (n4 + n6) * sizeof(struct gaih_addrtuple) + sizeof(canonical) + 64;
        char *memory = malloc(most + 2 * GUARD + 16);
        size_t smallest = 0;

        for (size_t n = 0; n < most; n++) {
                char *buffer = memory + GUARD + offset;
                struct nss_tuples tuples = { .name = NULL };
                int r;

                memset(memory, FILL, most + 2 * GUARD + 16);
                r = pack_tuples(buffer, n, n4, n6, &tuples);
                cr_assert(is_filled(memory, GUARD + offset));
                cr_assert(is_filled(buffer + n, GUARD));
                if (r == 0) {
                        smallest = smallest ? smallest : n;
                        check_tuples(&tuples, n4, n6, buffer, n);
                } else {
                        cr_assert_eq(r, -ERANGE);
                        cr_assert_eq(smallest, 0, "fits into %zu but not into %zu", smallest, n);
                        cr_assert(is_filled(buffer, n), "touched, though too small");
                        cr_assert_null(tuples.name);
                }
        }
        cr_assert_leq(smallest, (n4 + n6) * sizeof(struct gaih_addrtuple) + sizeof(canonical) + 7);
        free(memory);
}

static void sweep_hostent(int family, size_t n_addresses, size_t offset)
{
        size_t size = family == AF_INET ? 4 : 16, most = n_addresses * (size + 8) + sizeof(canonical) + 80;
        char *memory = malloc(most + 2 * GUARD + 16);
        bool fitted = false;

        for (size_t n = 0; n < most; n++) {
                char *buffer = memory + GUARD + offset;
                struct hostent host = { .h_length = 99 };
                int r;

                memset(memory, FILL, most + 2 * GUARD + 16);
                r = pack_host(buffer, n, family, n_addresses, &host);
                if (r < 0) {
                        cr_assert_eq(r, -ERANGE);
                        cr_assert_not(fitted);
                        cr_assert(is_filled(buffer, n));
                        cr_assert_eq(host.h_length, 99);
                        continue;
                }
                fitted = true;
                cr_assert_eq((size_t)host.h_length, size);
                cr_assert_eq(host.h_addrtype, family);
                cr_assert_str_eq(host.h_name, canonical);
                cr_assert(inside(host.h_name, sizeof(canonical), buffer, n));
                cr_assert_eq((uintptr_t)host.h_aliases % _Alignof(char *), 0);
                cr_assert_null(host.h_aliases[0]);
                for (size_t i = 0; i < n_addresses; i++) {
                        cr_assert_eq(host.h_addr_list[i], host.h_addr_list[0] + i * size);
                        cr_assert_eq(*host.h_addr_list[i], 0x5a);
                        cr_assert(inside(host.h_addr_list[i], size, buffer, n));
                }
                cr_assert_null(host.h_addr_list[n_addresses]);
                cr_assert(is_filled(memory, GUARD + offset));
                cr_assert(is_filled(buffer + n, GUARD));
        }
        cr_assert(fitted);
        free(memory);
}

Test(nss_pack, tuples_in_every_buffer)
{
        static const size_t counts[] = { 1, 2, 24, 25 };

        for (size_t offset = 0; offset < 9; offset++) {
                for (size_t i = 0; i < 4; i++) {
                        sweep_tuples(counts[i], 0, offset);
                        sweep_tuples(0, counts[i], offset);
                        sweep_tuples(counts[i], counts[3 - i], offset);
                }
        }
}

Test(nss_pack, hostent_in_every_buffer)
{
        static const size_t counts[] = { 1, 2, 24, 100 };

        for (size_t offset = 0; offset < 9; offset++) {
                for (size_t i = 0; i < 4; i++) {
                        sweep_hostent(AF_INET, counts[i], offset);
                        sweep_hostent(AF_INET6, counts[i], offset);
                }
        }
}

Test(nss_pack, five_thousand_addresses)
{
        size_t n = 1 << 19;
        char *buffer = malloc(n);
        struct nss_tuples tuples;
        struct hostent host;

        cr_expect_eq(pack_tuples(buffer, n, 5000, 5000, &tuples), 0);
        check_tuples(&tuples, 5000, 5000, buffer, n);
        cr_expect_eq(pack_host(buffer, n, AF_INET6, 5000, &host), 0);
        free(buffer);
}

/* Planned for four, as an answer of at most four is, and filled with two: they lie together, and the chain ends. */
Test(nss_pack, fewer_than_planned)
{
        char buffer[512];
        struct nss_tuples tuples;
        struct nss_host plan;
        struct hostent host;

        cr_expect_eq(nss_name_size(strlen(KEY), strlen(ZONE)), n_name);
        cr_assert_eq(nss_plan_tuples(buffer, sizeof(buffer), 8, n_name, &tuples), 0);
        nss_fill_tuples(&tuples, 1, 2);
        write_name(tuples.name);
        check_tuples(&tuples, 1, 2, buffer, sizeof(buffer));

        cr_assert_eq(nss_plan_host(buffer, sizeof(buffer), AF_INET6, 4, n_name, &plan), 0);
        nss_fill_host(&plan, AF_INET6, 2);
        nss_describe_host(&plan, AF_INET6, &host);
        cr_expect_eq(host.h_addr_list[0], plan.addresses);
        cr_expect_eq(host.h_addr_list[1], plan.addresses + 16);
        cr_expect_null(host.h_addr_list[2]);
        cr_expect_geq(host.h_name, plan.addresses + 64, "the name lies behind all that was planned");
}
