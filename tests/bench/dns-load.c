/*
 * A DNS server of as many services as are asked for, and a clock for what the daemon makes of them.
 *
 *     dns-load ADDRESS TTL
 *
 * "svc-N.default.svc.cluster.local" has three addresses in its version V, 10.V.N, 11.V.N and 12.V.N
 * (N in two bytes), and no AAAA. Commands come by standard input, one a line; each is answered by one
 * line, "ok" where nothing else is said:
 *
 *     down             sockets are closed: questions are refused
 *     silent           questions are read and not answered
 *     up
 *     change N COUNT   the next version of COUNT services from N on
 *     answered         JSON: [N, V, nanoseconds] of each first answer with another version than 0
 *     asked            JSON: {milliseconds / 10: questions}, of CLOCK_MONOTONIC
 *
 * One thread. Python is too slow to be on time for a thousand questions a second beside other jobs.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define N_SERVICES    65536
#define N_CONNECTIONS 32
#define N_CHANGES     (1 << 18)
#define N_BUCKETS     (1 << 18) /* of 10 ms: 40 minutes */
#define MESSAGE_MAX   512       /* of a question, and of an answer */
#define CLUSTER       "\3svc\7cluster\5local"

enum mode { UP, SILENT, DOWN };

struct connection {
        int fd;
        size_t n;
        uint8_t bytes[65536];
};

struct change {
        uint32_t service, version;
        uint64_t ns;
};

static struct sockaddr_in address;
static uint32_t ttl;
static enum mode mode;
static int udp_fd = -1, tcp_fd = -1;
static struct connection connections[N_CONNECTIONS];
static uint8_t wanted[N_SERVICES], given[N_SERVICES]; /* versions */
static struct change changes[N_CHANGES];
static size_t n_changes;
static uint32_t buckets[N_BUCKETS];
static uint64_t first_bucket;

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void count_question(void)
{
        uint64_t bucket = now_ns() / 10000000U - first_bucket;

        if (bucket < N_BUCKETS)
                buckets[bucket]++;
}

static void note_answer(uint32_t service)
{
        if (given[service] == wanted[service] || n_changes == N_CHANGES)
                return;
        given[service] = wanted[service];
        changes[n_changes++] = (struct change){ service, wanted[service], now_ns() };
}

/* The number of "svc-N.default.svc.cluster.local" in wire form, any case; -1 for other names. */
static int32_t parse_service(const uint8_t *name, size_t n_name)
{
        char label[64] = "", rest[256], *end;
        unsigned long number;

        if (name[0] < 5 || name[0] > 16 || n_name < (size_t)name[0] + 1 || n_name - name[0] - 1 > sizeof(rest))
                return -1;
        memcpy(label, name + 1, name[0]);
        memcpy(rest, name + 1 + name[0], n_name - name[0] - 1);
        if (n_name - name[0] - 1 != sizeof("\7default" CLUSTER) ||
            strncasecmp(rest, "\7default" CLUSTER, sizeof("\7default" CLUSTER)) != 0 ||
            strncasecmp(label, "svc-", 4) != 0)
                return -1;
        number = strtoul(label + 4, &end, 10);
        return *end || number >= N_SERVICES ? -1 : (int32_t)number;
}

static size_t put_record(uint8_t *p, uint16_t owner, uint16_t type, const void *data, uint16_t n_data)
{
        uint16_t head[] = { htons(owner), htons(type), htons(1) }, n = htons(n_data);
        uint32_t t = htonl(ttl);

        memcpy(p, head, 6);
        memcpy(p + 6, &t, 4);
        memcpy(p + 10, &n, 2);
        memcpy(p + 12, data, n_data);
        return 12U + n_data;
}

/* @owner: where the name of the cluster domain is */
static size_t put_soa(uint8_t *p, uint16_t owner)
{
        /* Two root names; serial, refresh, retry, expire, minimum. */
        static const uint8_t soa[22] = { [5] = 1, [9] = 60, [13] = 60, [17] = 60, [21] = 5 };

        return put_record(p, owner, 6, soa, sizeof(soa));
}

/* Turns the question into its answer, in place. Return: its length, 0 for none. */
static size_t answer(uint8_t *p, size_t n)
{
        size_t at = 12, n_domain = sizeof("\7cluster\5local");
        int32_t service;
        uint16_t type;

        while (at < n && p[at])
                at += p[at] + 1U;
        if (n < 17 || at + 5 > n)
                return 0;
        count_question();
        if (mode == SILENT)
                return 0;
        type = (uint16_t)(p[at + 1] << 8 | p[at + 2]);
        service = parse_service(p + 12, at + 1 - 12);
        p[2] = 0x85;
        p[3] = 0;
        memset(p + 6, 0, 6);
        n = at + 5;
        if (service >= 0 && type == 1) {
                for (uint8_t i = 0; i < 3; i++) {
                        uint8_t pod[4] = { (uint8_t)(10 + i), wanted[service], (uint8_t)(service >> 8),
                                           (uint8_t)service };

                        n += put_record(p + n, 0xc00c, 1, pod, 4);
                }
                p[7] = 3;
                note_answer((uint32_t)service);
                return n;
        }
        /* NODATA, the domain's SOA, or NXDOMAIN; its name is the end of what was asked. */
        if (at + 1 - 12 < n_domain)
                return 0;
        n += put_soa(p + n, (uint16_t)(0xc000 | (at + 1 - n_domain)));
        if (service < 0 && at + 1 - 12 > n_domain)
                p[3] = 3;
        p[service < 0 && at + 1 - 12 == n_domain ? 7 : 9] = 1;
        return n;
}

static void on_udp(void)
{
        struct sockaddr_in from;
        socklen_t n_from = sizeof(from);
        uint8_t packet[MESSAGE_MAX * 2];
        ssize_t n = recvfrom(udp_fd, packet, MESSAGE_MAX, 0, (struct sockaddr *)&from, &n_from);

        if (n > 0 && (n = (ssize_t)answer(packet, (size_t)n)) > 0)
                (void)sendto(udp_fd, packet, (size_t)n, 0, (struct sockaddr *)&from, n_from);
}

static void hang_up(struct connection *c)
{
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        c->n = 0;
}

static void on_accept(void)
{
        int fd = accept(tcp_fd, NULL, NULL), one = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* as Go does for CoreDNS */
        for (size_t i = 0; fd >= 0 && i < N_CONNECTIONS; i++) {
                if (connections[i].fd >= 0)
                        continue;
                connections[i] = (struct connection){ .fd = fd };
                return;
        }
        if (fd >= 0)
                close(fd);
}

static void on_tcp(struct connection *c)
{
        ssize_t n = recv(c->fd, c->bytes + c->n, sizeof(c->bytes) - c->n, 0);
        size_t at = 0;

        if (n <= 0) {
                hang_up(c);
                return;
        }
        c->n += (size_t)n;
        while (c->n - at >= 2) {
                uint8_t frame[MESSAGE_MAX * 2];
                size_t size = (size_t)c->bytes[at] << 8 | c->bytes[at + 1];

                if (size > MESSAGE_MAX) {
                        hang_up(c);
                        return;
                }
                if (c->n - at < size + 2)
                        break;
                memcpy(frame + 2, c->bytes + at + 2, size);
                at += size + 2;
                size = answer(frame + 2, size);
                frame[0] = (uint8_t)(size >> 8);
                frame[1] = (uint8_t)size;
                if (size > 0 && send(c->fd, frame, size + 2, MSG_NOSIGNAL) < 0) {
                        hang_up(c);
                        return;
                }
        }
        memmove(c->bytes, c->bytes + at, c->n - at);
        c->n -= at;
}

static void listen_(void)
{
        int one = 1, size = 4 << 20;

        udp_fd = socket(AF_INET, SOCK_DGRAM, 0);
        tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
        (void)setsockopt(udp_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        (void)setsockopt(tcp_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(udp_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            bind(tcp_fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(tcp_fd, 16) < 0)
                die("bind");
}

static void set_mode(enum mode next)
{
        if (mode == DOWN && next != DOWN)
                listen_();
        if (mode != DOWN && next == DOWN) {
                close(udp_fd);
                close(tcp_fd);
                for (size_t i = 0; i < N_CONNECTIONS; i++)
                        hang_up(&connections[i]);
                udp_fd = tcp_fd = -1;
        }
        mode = next;
}

static void print_answered(void)
{
        printf("[");
        for (size_t i = 0; i < n_changes; i++)
                printf("%s[%u, %u, %llu]", i ? ", " : "", changes[i].service, changes[i].version,
                       (unsigned long long)changes[i].ns);
        printf("]\n");
}

static void print_asked(void)
{
        const char *comma = "";

        printf("{");
        for (size_t i = 0; i < N_BUCKETS; i++) {
                if (!buckets[i])
                        continue;
                printf("%s\"%llu\": %u", comma, (unsigned long long)(first_bucket + i), buckets[i]);
                comma = ", ";
        }
        printf("}\n");
}

static void on_command(void)
{
        unsigned int first, count;
        char line[128];

        if (!fgets(line, sizeof(line), stdin))
                exit(0);
        if (strcmp(line, "answered\n") == 0) {
                print_answered();
        } else if (strcmp(line, "asked\n") == 0) {
                print_asked();
        } else {
                if (sscanf(line, "change %u %u", &first, &count) == 2)
                        for (unsigned int i = first; i < first + count && i < N_SERVICES; i++)
                                wanted[i]++;
                else
                        set_mode(line[0] == 'd' ? DOWN : line[0] == 's' ? SILENT : UP);
                puts("ok");
        }
        (void)fflush(stdout);
}

int main(int argc, char **argv)
{
        struct pollfd fds[3 + N_CONNECTIONS];

        address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53) };
        if (argc != 3 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
                fputs("usage: dns-load ADDRESS TTL\n", stderr);
                return 2;
        }
        ttl = (uint32_t)strtoul(argv[2], NULL, 10);
        first_bucket = now_ns() / 10000000U;
        for (size_t i = 0; i < N_CONNECTIONS; i++)
                connections[i].fd = -1;
        setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is there */
        listen_();
        puts("ok");
        (void)fflush(stdout);
        for (;;) {
                fds[0] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
                fds[1] = (struct pollfd){ udp_fd, POLLIN, 0 };
                fds[2] = (struct pollfd){ tcp_fd, POLLIN, 0 };
                for (size_t i = 0; i < N_CONNECTIONS; i++)
                        fds[3 + i] = (struct pollfd){ connections[i].fd, POLLIN, 0 };
                if (poll(fds, 3 + N_CONNECTIONS, -1) < 0 && errno != EINTR)
                        die("poll");
                for (size_t i = 0; i < N_CONNECTIONS; i++)
                        if (fds[3 + i].revents)
                                on_tcp(&connections[i]);
                if (fds[1].revents)
                        on_udp();
                if (fds[2].revents)
                        on_accept();
                if (fds[0].revents)
                        on_command();
        }
}
