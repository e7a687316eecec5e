/*
 * Follows a service: prints its addresses now and after each change, a line each time, until it is interrupted.
 *
 *     follow TARGET
 */

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <k8shsvc.h>

#define MAX_ADDRS 1000

static volatile sig_atomic_t ended;

static void end(int signal)
{
        (void)signal;
        ended = 1;
}

static void print_addresses(k8shsvc *h, const char *target)
{
        static struct k8shsvc_addr addrs[MAX_ADDRS];
        char text[INET6_ADDRSTRLEN];
        size_t n = 0;
        int r = k8shsvc_lookup(h, target, AF_UNSPEC, addrs, MAX_ADDRS, &n);

        if (r < 0)
                printf("%s", k8shsvc_strerror(r));
        for (size_t i = 0; r == 0 && i < n; i++)
                printf("%s%s", i > 0 ? " " : "", inet_ntop(addrs[i].family, addrs[i].addr, text, sizeof(text)));
        printf("\n");
        (void)fflush(stdout);
}

int main(int argc, char **argv)
{
        struct sigaction action;
        uint64_t token = 0; /* nothing seen yet: the first wait returns at once */
        k8shsvc *h;
        int r;

        if (argc != 2) {
                (void)fprintf(stderr, "usage: follow TARGET\n");
                return 2;
        }
        memset(&action, 0, sizeof(action));
        action.sa_handler = end;
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        r = k8shsvc_open(&h);
        if (r < 0) {
                (void)fprintf(stderr, "k8shsvc_open: %s\n", k8shsvc_strerror(r));
                return 1;
        }
        while (!ended) {
                /* A signal just before the sleep does not end it: hence the second. */
                r = k8shsvc_wait(h, argv[1], &token, 1000);
                if (r == 0)
                        print_addresses(h, argv[1]);
                else if (r != -ETIMEDOUT && r != -EINTR)
                        break;
        }
        if (!ended)
                (void)fprintf(stderr, "%s: %s\n", argv[1], k8shsvc_strerror(r));
        k8shsvc_close(h);
        return !ended;
}
