/*
 * Looks at the services of dns-load through the library, again and again, and notes when it sees what.
 *
 *     table-follow N COUNT [INTERVAL-US]
 *
 * Prints "ok" once all COUNT services from N on are answered for, with the nanoseconds of
 * CLOCK_MONOTONIC at which that was; at the end of standard input, JSON: [N, V, nanoseconds] of each
 * first look that found another version, and how many answers were none that the server ever gave.
 */

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "k8shsvc.h"

#define N_CHANGES (1 << 18)

struct change {
        uint32_t service, version;
        uint64_t ns;
};

static struct change changes[N_CHANGES];
static size_t n_changes, n_torn;

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* The version that the table has; -1 where it has none, -2 where the addresses are of no one version. */
static int look(k8shsvc *h, uint32_t service)
{
        struct k8shsvc_addr addrs[8];
        uint8_t seen = 0;
        char name[32];
        size_t n;

        (void)snprintf(name, sizeof(name), "svc-%u.default", service);
        if (k8shsvc_lookup(h, name, AF_INET, addrs, 8, &n) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                const uint8_t *a = addrs[i].addr;

                if (a[0] < 10 || a[0] > 12 || a[1] != addrs[0].addr[1] || (uint32_t)(a[2] << 8 | a[3]) != service)
                        return -2;
                seen |= (uint8_t)(1U << (a[0] - 10));
        }
        return n == 3 && seen == 7 ? addrs[0].addr[1] : -2;
}

static bool is_over(int timeout_us)
{
        struct pollfd fd = { STDIN_FILENO, POLLIN, 0 };
        struct timespec timeout = { 0, timeout_us * 1000L };

        return ppoll(&fd, 1, &timeout, NULL) > 0;
}

int main(int argc, char **argv)
{
        uint32_t first, count;
        int interval_us = argc > 3 ? atoi(argv[3]) : 500;
        bool complete = false;
        k8shsvc *h;
        int *versions;

        if (argc < 3) {
                fputs("usage: table-follow N COUNT [INTERVAL-US]\n", stderr);
                return 2;
        }
        first = (uint32_t)strtoul(argv[1], NULL, 10);
        count = (uint32_t)strtoul(argv[2], NULL, 10);
        versions = calloc(count, sizeof(*versions));
        if (!versions || k8shsvc_open(&h) < 0)
                return 1;
        do {
                uint32_t n_missing = 0;

                for (uint32_t i = 0; i < count; i++) {
                        int version = look(h, first + i);

                        n_torn += version == -2;
                        n_missing += version == -1;
                        if (version < 0 || version == versions[i])
                                continue;
                        versions[i] = version;
                        if (n_changes < N_CHANGES)
                                changes[n_changes++] = (struct change){ first + i, (uint32_t)version, now_ns() };
                }
                if (!complete && n_missing == 0) {
                        complete = true;
                        printf("ok %llu\n", (unsigned long long)now_ns());
                        (void)fflush(stdout);
                }
        } while (!is_over(interval_us));
        printf("{\"torn\": %zu, \"seen\": [", n_torn);
        for (size_t i = 0; i < n_changes; i++)
                printf("%s[%u, %u, %llu]", i ? ", " : "", changes[i].service, changes[i].version,
                       (unsigned long long)changes[i].ns);
        printf("]}\n");
        k8shsvc_close(h);
        free(versions);
        return 0;
}
