/*
 * Times getaddrinfo() of one name: COUNT calls after WARM-UP ones, one line of output for each, in
 * nanoseconds. Nothing is averaged here; that is for whoever compares several runs.
 *
 *     bench-getaddrinfo NAME FAMILY(0|4|6) COUNT
 */

#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define N_WARM_UP 1000
#define N_MAX     10000000L

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void look_up(const char *name, int family)
{
        struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *list;
        int r = getaddrinfo(name, "80", &hints, &list);

        if (r != 0) {
                fprintf(stderr, "bench-getaddrinfo: %s: %s\n", name, gai_strerror(r));
                exit(1);
        }
        freeaddrinfo(list);
}

int main(int argc, char **argv)
{
        uint32_t *took;
        long count;
        int family;

        if (argc != 4) {
                fputs("bench-getaddrinfo NAME FAMILY(0|4|6) COUNT\n", stderr);
                return 2;
        }
        family = strcmp(argv[2], "4") == 0 ? AF_INET : strcmp(argv[2], "6") == 0 ? AF_INET6 : AF_UNSPEC;
        count = strtol(argv[3], NULL, 10);
        if (count < 1 || count > N_MAX)
                return 2;
        took = calloc((size_t)count, sizeof(*took));
        if (!took)
                return 1;

        for (int i = 0; i < N_WARM_UP; i++)
                look_up(argv[1], family);
        for (long i = 0; i < count; i++) {
                uint64_t start = now_ns();

                look_up(argv[1], family);
                took[i] = (uint32_t)(now_ns() - start);
        }
        for (long i = 0; i < count; i++)
                printf("%u\n", took[i]);
        free(took);
        return 0;
}
