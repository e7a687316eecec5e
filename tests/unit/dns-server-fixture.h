#pragma once

/* A DNS server on loopback, on the event loop of the test, that does what the test tells it to. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/address.h"
#include "wire/packet.h"

enum mode { ANSWER, SILENT, SERVFAIL, NXDOMAIN, FOREIGN, TRUNCATED, LOWER_CASE, HANG_UP, FORMERR };

struct server;

struct peer {
        struct server *server;
        int fd; /* with a source */
        sd_event_source *source;
};

struct server {
        enum mode udp, tcp;
        bool cached;         /* its answers are no authority's */
        bool drops_soa;      /* it is silent when asked for the SOA */
        bool hides_soa;      /* it has none */
        bool formerr_to_opt; /* it does not understand EDNS and says so */
        bool formerr_alone;  /* the same, by nothing but a header */
        bool one_answer;     /* then it closes the connection */
        int udp_fd, tcp_fd;
        struct peer peers[16];
        uint16_t port;
        uint8_t last_byte;                 /* of the address that is answered */
        unsigned int n_udp, n_tcp, n_aaaa; /* questions but for the SOA */
        unsigned int n_probes, n_opts, n_connections, n_malformed;
        sd_event_source *udp_source, *tcp_source;
};

static sd_event *event;

/* Answers in place. Returns the length of the answer, 0 for none. */
static inline size_t server_reply(struct server *server, enum mode mode, uint8_t *p, size_t n_question,
                                  unsigned int *n_asked)
{
        static const uint8_t soa[] = "\x07"
                                     "cluster\x05"
                                     "local\0\0\x06\0\x01\0\0\0\x05\0\x16";
        bool has_opt = p[11] > 0;
        size_t n = 12;
        uint8_t type;

        while (n < n_question && p[n])
                n += p[n] + 1U;
        type = p[n + 2];
        n += 5;
        /* Options there may be in the OPT record: newer c-ares adds a cookie. */
        if (has_opt ? n + 11 > n_question || n + 11U + p[n + 10] != n_question : n != n_question) {
                server->n_malformed++;
                return 0;
        }
        server->n_aaaa += type == DNS_TYPE_AAAA;
        server->n_probes += type == DNS_TYPE_SOA;
        server->n_opts += has_opt;
        *n_asked += type != DNS_TYPE_SOA;
        p[2] = (uint8_t)(0x81 | (mode == TRUNCATED ? 2 : 0) | (server->cached ? 0 : 4));
        p[3] = mode == FORMERR ? 1 : mode == SERVFAIL ? 2 : mode == NXDOMAIN || mode == FOREIGN ? 3 : 0;
        memset(p + 6, 0, 6);
        if (mode == SILENT || (type == DNS_TYPE_SOA && server->drops_soa))
                return 0;
        if (has_opt && (server->formerr_to_opt || server->formerr_alone)) {
                p[3] = 1;
                p[5] = server->formerr_to_opt;
                return server->formerr_to_opt ? n : 12;
        }
        for (size_t i = 12; mode == LOWER_CASE && i < n - 4; i++)
                p[i] |= p[i] >= 'A' && p[i] <= 'Z' ? 0x20 : 0;
        if (mode == FORMERR || mode == SERVFAIL || mode == FOREIGN || mode == TRUNCATED)
                return n;
        if (mode == NXDOMAIN || type == DNS_TYPE_AAAA || (type == DNS_TYPE_SOA && !server->hides_soa)) {
                bool asked = type == DNS_TYPE_SOA && mode != NXDOMAIN;

                if (server->hides_soa)
                        return n;
                p[asked ? 7 : 9] = 1;
                memcpy(p + n, soa, sizeof(soa) - 1);
                memset(p + n + sizeof(soa) - 1, 0, 22);
                p[n + sizeof(soa) - 1 + 21] = 1;
                return n + sizeof(soa) - 1 + 22;
        }
        if (type == DNS_TYPE_SOA)
                return n;
        p[7] = 1;
        memcpy(p + n, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x01\x00", 15);
        p[n + 15] = server->last_byte;
        return n + 16;
}

static inline int server_on_udp(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct server *server = userdata;
        struct sockaddr_storage from;
        socklen_t n_from = sizeof(from);
        uint8_t packet[2048];
        ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &n_from);
        size_t n_reply;

        (void)s;
        (void)revents;
        if (n < 12)
                return 0;
        n_reply = server_reply(server, server->udp, packet, (size_t)n, &server->n_udp);
        if (n_reply > 0)
                (void)sendto(fd, packet, n_reply, 0, (struct sockaddr *)&from, n_from);
        return 0;
}

static inline void peer_close(struct peer *peer)
{
        if (!peer->source)
                return;
        sd_event_source_set_enabled(peer->source, SD_EVENT_OFF);
        peer->source = sd_event_source_unref(peer->source);
        close(peer->fd);
}

static inline void hang_up(struct server *server)
{
        for (size_t i = 0; i < 16; i++)
                peer_close(&server->peers[i]);
}

static inline int server_on_peer(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct peer *peer = userdata;
        struct server *server = peer->server;
        uint8_t frame[2048];
        size_t n;

        (void)s;
        (void)revents;
        /* Small frames on loopback: what was written at once is there. */
        if (recv(fd, frame, 2, 0) != 2 || recv(fd, frame + 2, frame[1], MSG_WAITALL) != frame[1] ||
            server->tcp == HANG_UP) {
                peer_close(peer);
                return 0;
        }
        n = server_reply(server, server->tcp, frame + 2, frame[1], &server->n_tcp);
        frame[0] = (uint8_t)(n >> 8);
        frame[1] = (uint8_t)n;
        if (n > 0)
                (void)send(fd, frame, n + 2, MSG_NOSIGNAL);
        if (server->one_answer) {
                /* Not by a reset, which would take the answer with it. */
                (void)shutdown(fd, SHUT_WR);
                while (recv(fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
                        ;
                peer_close(peer);
        }
        return 0;
}

static inline int server_on_tcp(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct server *server = userdata;

        (void)s;
        (void)revents;
        for (size_t i = 0; i < 16; i++) {
                struct peer *peer = &server->peers[i];

                if (peer->source)
                        continue;
                peer->server = server;
                peer->fd = accept(fd, NULL, NULL);
                server->n_connections++;
                return peer->fd < 0 ? 0
                                    : sd_event_add_io(event, &peer->source, peer->fd, EPOLLIN, server_on_peer, peer);
        }
        cr_assert_fail("more connections than one server needs");
        return 0;
}

static inline int server_socket(int type, uint16_t *port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(*port) };
        socklen_t n = sizeof(address);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &n) < 0) {
                close(fd);
                return -1;
        }
        *port = ntohs(address.sin_port);
        return fd;
}

static inline void server_listen_tcp(struct server *server)
{
        server->tcp_fd = server_socket(SOCK_STREAM, &server->port);
        cr_assert_geq(server->tcp_fd, 0);
        cr_assert_eq(listen(server->tcp_fd, 64), 0);
        cr_assert_geq(sd_event_add_io(event, &server->tcp_source, server->tcp_fd, EPOLLIN, server_on_tcp, server), 0);
}

static inline void server_listen_udp(struct server *server)
{
        server->udp_fd = server_socket(SOCK_DGRAM, &server->port);
        cr_assert_geq(server->udp_fd, 0);
        cr_assert_geq(sd_event_add_io(event, &server->udp_source, server->udp_fd, EPOLLIN, server_on_udp, server), 0);
}

static inline void server_close(struct server *server)
{
        hang_up(server);
        server->udp_source = sd_event_source_unref(server->udp_source);
        server->tcp_source = sd_event_source_unref(server->tcp_source);
        if (server->udp_fd >= 0)
                close(server->udp_fd);
        if (server->tcp_fd >= 0)
                close(server->tcp_fd);
        server->udp_fd = server->tcp_fd = -1;
}

/* A port that is free for both transports. Nobody listens yet. */
static inline struct server server_open(void)
{
        struct server server = { .udp_fd = -1, .tcp_fd = -1, .last_byte = 1 };

        server.udp_fd = server_socket(SOCK_DGRAM, &server.port);
        cr_assert_geq(server.udp_fd, 0);
        close(server.udp_fd);
        server.udp_fd = -1;
        return server;
}

static inline struct address server_address(const struct server *server)
{
        return (struct address){ .family = AF_INET, .port = server->port, .bytes = { 127, 0, 0, 1 } };
}
