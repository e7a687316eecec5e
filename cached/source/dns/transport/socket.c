/*
 * Three things that c-ares 1.18 does not do with the sockets that it makes itself:
 * - It reports a lack of descriptors or memory as a refusal by the peer. Here the reason is kept.
 * - It has no word for the scope of a link-local address.
 * - It sends by writev(2), which has no MSG_NOSIGNAL: a server that closes its connection under a query
 *   (dnsmasq does after 100) would end the process by SIGPIPE.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/dns/transport/socket.h"

static ares_socket_t socket_open(int family, int type, int protocol, void *userdata)
{
        struct dns_sockets *sockets = userdata;
        int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), one = 1;

        sockets->error = fd < 0 ? -errno : 0;
        if (fd >= 0 && type == SOCK_STREAM)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

static int socket_close(ares_socket_t fd, void *userdata)
{
        (void)userdata;
        return close(fd);
}

static int socket_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t n_address, void *userdata)
{
        const struct dns_sockets *sockets = userdata;
        struct sockaddr_in6 scoped;

        if (sockets->scope == 0 || address->sa_family != AF_INET6 || n_address < sizeof(scoped))
                return connect(fd, address, n_address);
        memcpy(&scoped, address, sizeof(scoped));
        scoped.sin6_scope_id = sockets->scope;
        return connect(fd, (const struct sockaddr *)&scoped, sizeof(scoped));
}

static ares_ssize_t socket_receive(ares_socket_t fd, void *buffer, size_t n_buffer, int flags, struct sockaddr *from,
                                   ares_socklen_t *n_from, void *userdata)
{
        (void)userdata;
        return recvfrom(fd, buffer, n_buffer, flags, from, n_from);
}

static ares_ssize_t socket_send(ares_socket_t fd, const struct iovec *parts, int n_parts, void *userdata)
{
        const struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)n_parts };

        (void)userdata;
        return sendmsg(fd, &message, MSG_NOSIGNAL);
}

void dns_sockets_use(struct dns_sockets *sockets, ares_channel channel)
{
        static const struct ares_socket_functions functions = {
                .asocket = socket_open,
                .aclose = socket_close,
                .aconnect = socket_connect,
                .arecvfrom = socket_receive,
                .asendv = socket_send,
        };

        ares_set_socket_functions(channel, &functions, sockets);
}
