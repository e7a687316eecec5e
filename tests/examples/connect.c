/*
 * Connects to one pod of a service, and to another one where that fails:
 *
 *     connect TARGET      user-svc.default:8080
 *
 * Prints the address that it is connected with.
 */

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <k8shsvc.h>

#define N_TRIES 5

/* Return: a connected socket, or a negative errno. */
static int connect_to(k8shsvc *h, const char *target, struct sockaddr_storage *ret_addr, socklen_t *ret_n)
{
        int r = -ENOENT;

        for (int i = 0; i < N_TRIES; i++) {
                int fd;

                r = k8shsvc_pick(h, target, AF_UNSPEC, ret_addr, ret_n);
                if (r < 0)
                        return r;
                fd = socket(ret_addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd < 0)
                        return -errno;
                r = connect(fd, (const struct sockaddr *)ret_addr, *ret_n) < 0 ? -errno : 0;
                /* The next picks pass over an endpoint that failed. */
                (void)k8shsvc_report(h, (const struct sockaddr *)ret_addr, *ret_n, -r);
                if (r == 0)
                        return fd;
                (void)close(fd);
        }
        return r;
}

int main(int argc, char **argv)
{
        char host[NI_MAXHOST], port[NI_MAXSERV];
        struct sockaddr_storage addr;
        socklen_t n_addr;
        k8shsvc *h;
        int r, fd;

        if (argc != 2) {
                (void)fprintf(stderr, "usage: connect TARGET\n");
                return 2;
        }
        r = k8shsvc_open(&h);
        if (r < 0) {
                (void)fprintf(stderr, "k8shsvc_open: %s\n", k8shsvc_strerror(r));
                return 1;
        }
        fd = connect_to(h, argv[1], &addr, &n_addr);
        if (fd < 0) {
                (void)fprintf(stderr, "%s: %s\n", argv[1],
                              fd == -ECONNREFUSED ? "connection refused" : k8shsvc_strerror(fd));
        } else if (getnameinfo((const struct sockaddr *)&addr, n_addr, host, sizeof(host), port, sizeof(port),
                               NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
                printf("connected to %s port %s\n", host, port);
                (void)close(fd);
        }
        k8shsvc_close(h);
        return fd < 0;
}
