/*
 * A program that has nothing but the installed library, and finds all that tests/m32/writer.c wrote.
 * Exits with 1, and a line, when something is amiss.
 */

#include <errno.h>
#include <k8shsvc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "records.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        (void)fprintf(stderr, "line %d: not %s\n", __LINE__, #condition);                              \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static struct k8shsvc_addr addrs[10000];

/* Each address of the family once, whichever comes first. */
static bool is_complete(int family, uint32_t i, const struct k8shsvc_addr *some, uint32_t n)
{
        static bool seen[5000];

        memset(seen, 0, sizeof(seen));
        for (uint32_t k = 0; k < n; k++) {
                uint32_t number, v4;
                uint8_t expected[16] = { 0 };

                memcpy(&number, some[k].addr + (family == AF_INET ? 0 : 12), 4);
                number = family == AF_INET ? ntohl(number) - ntohl(v4_of(i, 0)) : ntohl(number);
                v4 = v4_of(i, number);
                if (family == AF_INET)
                        memcpy(expected, &v4, 4);
                else
                        v6_of(i, number, expected);
                if (some[k].family != family || number >= n || seen[number] || memcmp(some[k].addr, expected, 16) != 0)
                        return false;
                seen[number] = true;
        }
        return true;
}

static void look_up(k8shsvc *h, uint32_t i)
{
        struct record asked = record_of(i), r = record_of(asked.target[0] ? i - 1 : i);
        size_t n = 0;
        int result = k8shsvc_lookup(h, asked.key, AF_UNSPEC, addrs, 10000, &n);

        CHECK(result == (r.n4 + r.n6 > 0 ? 0 : -ENODATA));
        CHECK(n == r.n4 + r.n6);
        i = asked.target[0] ? i - 1 : i;
        CHECK(is_complete(AF_INET6, i, addrs, r.n6));
        CHECK(is_complete(AF_INET, i, addrs + r.n6, r.n4));
}

/* In a thread, as large as the C library makes one. */
static void *use(void *unused)
{
        struct record r = record_of(1);
        uint64_t token = 0;
        char name[600];
        uint32_t v4 = v4_of(1, 0);
        k8shsvc *h;
        size_t n;

        (void)unused;
        CHECK(k8shsvc_open(&h) == 0);
        for (uint32_t i = 0; i < N_RECORDS; i++)
                look_up(h, i);
        CHECK(k8shsvc_lookup(h, "nobody.default", AF_UNSPEC, addrs, 10000, &n) == -ENOENT);
        CHECK(k8shsvc_lookup(h, "kubernetes://default/svc-1:8080", AF_INET, addrs, 10000, &n) == 0);
        CHECK(n == r.n4 && addrs[0].port == 8080);
        CHECK(k8shsvc_reverse(h, AF_INET, &v4, name, sizeof(name)) == 0);
        CHECK(k8shsvc_wait(h, "svc-1.default", &token, -1) == 0);
        CHECK(k8shsvc_wait(h, "svc-1.default", &token, 50) == -ETIMEDOUT);
        k8shsvc_close(h);
        return NULL;
}

int main(void)
{
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, use, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        return 0;
}
