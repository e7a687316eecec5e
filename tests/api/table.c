/*
 * A table with what a test puts there, in place of a daemon:
 *
 *     table DIRECTORY
 *
 * Reads lines from standard input, and answers each with "ok" when it is published:
 *
 *     set KEY PORT [ADDRESS[/HOST]]...    addresses sorted, IPv4 first; the ordinal is what follows the last "-" of
 * HOST remove KEY
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table/clock.h"
#include "table/policy.h"
#include "write/writer.h"

#define MAX_ENDPOINTS 64

static void die(const char *what)
{
        (void)fprintf(stderr, "table: %s\n", what);
        exit(1);
}

static void set(struct khs_writer *writer, char *line, uint32_t version)
{
        static const struct khs_row_port ports[] = { { "http", 8080, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
        struct khs_row_endpoint endpoints[MAX_ENDPOINTS];
        uint8_t v4[MAX_ENDPOINTS][4], v6[MAX_ENDPOINTS][16];
        char *save = NULL, *key = strtok_r(line, " \n", &save), *port = strtok_r(NULL, " \n", &save), *word;
        uint32_t now = khs_clock_ds(CLOCK_BOOTTIME);
        struct khs_row row = {
                .key = key,
                .n_key = strlen(key),
                .port = (uint16_t)atoi(port),
                .v4 = v4,
                .v6 = v6,
                .endpoints = endpoints,
                .policy = khs_policy(KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KHS_FAMILY_ANY),
                .status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_KUBERNETES),
                .stale_until_ds = now + 36000,
                .since_ds = now,
                .version = version,
        };

        while ((word = strtok_r(NULL, " \n", &save)) && row.n4 + row.n6 < MAX_ENDPOINTS) {
                char *host = strchr(word, '/'), *dash = host ? strrchr(host, '-') : NULL;

                if (host)
                        *host++ = '\0';
                endpoints[row.n4 + row.n6] = (struct khs_row_endpoint){
                        .host = host,
                        .node = host ? "node-1" : NULL,
                        .zone = host ? "east" : NULL,
                        .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
                        .ordinal = dash ? atoi(dash + 1) : -1,
                        .ports = ports,
                        .n_ports = host ? 2 : 0,
                };
                if (inet_pton(AF_INET, word, v4[row.n4]) == 1)
                        row.n4++;
                else if (inet_pton(AF_INET6, word, v6[row.n6]) == 1)
                        row.n6++;
                else
                        die(word);
        }
        if (khs_writer_put(writer, &row, now) < 0)
                die("not published");
}

/* A line, while the heart beats. Return: whether there is one more. */
static bool next_line(struct khs_writer *writer, char *ret, size_t n_max)
{
        struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

        while (poll(&fd, 1, 500) == 0)
                khs_writer_beat(writer);
        return fgets(ret, (int)n_max, stdin);
}

int main(int argc, char **argv)
{
        const struct khs_table_params params = {
                .zone = "cluster.local",
                .namespace = "default",
                .orphan_max_ds = 300,
                .max_bytes = 16U << 20,
                .n_services = 100,
                .reverse = true,
        };
        int dir_fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        struct khs_writer *writer = NULL;
        static char line[1 << 16];

        if (dir_fd < 0 || khs_writer_new(&writer, dir_fd, &params, 1) < 0 || khs_writer_publish(writer) < 0)
                die("usage: table DIRECTORY");
        (void)setvbuf(stdin, NULL, _IONBF, 0);
        for (uint32_t version = 1; next_line(writer, line, sizeof(line)); version++) {
                if (strncmp(line, "set ", 4) == 0)
                        set(writer, line + 4, version);
                else if (khs_writer_delete(writer, line + strlen("remove "), strcspn(line, "\n") - strlen("remove "),
                                           khs_clock_ds(CLOCK_BOOTTIME)) < 0)
                        die(line);
                khs_writer_commit(writer);
                khs_writer_wake(writer);
                printf("ok\n");
                (void)fflush(stdout);
        }
        khs_writer_free(writer);
        return 0;
}
