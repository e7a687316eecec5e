/*
 * contract-table DIRECTORY: publishes the table of services.h there and looks after it until its standard
 * input ends. Says "ready"; then obeys, a line each, and says "ready" again:
 *
 *     silent SECONDS    the last heartbeat was so long ago, and there are no more
 *     alive             heartbeats again
 *     renew             another file of the same content
 *     reverse           the same, with an index from addresses to services
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "answer/order.h"
#include "services.h"
#include "table/clock.h"
#include "write/writer.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        (void)fprintf(stderr, "contract-table: not %s\n", #condition);                                 \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static struct khs_table_params params = {
        .zone = ZONE,
        .namespace = "",
        .orphan_max_ds = 6000,
        .max_bytes = 64U << 20,
        .n_services = N_SERVICES,
};
static struct khs_writer *writer;
static bool beating = true;
static int dir_fd;

static char hosts[KHS_MAX_ADDRS][16];
static struct khs_row_endpoint endpoints[2 * KHS_MAX_ADDRS];

/* What is known of the endpoints: in the order of the addresses, IPv4 first. */
static const struct khs_row_endpoint *endpoints_of(const struct service *s)
{
        for (uint32_t i = 0; i < s->n4 + s->n6; i++) {
                uint32_t n = i < s->n4 ? i : i - s->n4;

                (void)snprintf(hosts[n], sizeof(hosts[n]), "pod-%u", n);
                endpoints[i] = (struct khs_row_endpoint){ .host = has_host(s, n) ? hosts[n] : NULL, .ordinal = -1 };
        }
        return s->hosts == NO_HOSTS ? NULL : endpoints;
}

static uint32_t flags_of(const struct service *s)
{
        static const uint32_t unknown[] = {
                [PENDING] = KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN, [HALF] = KHS_REC_V6_UNKNOWN, [STALE] = 0
        };

        return unknown[s->knowledge] | (s->hosts == ALL_HOSTS ? KHS_REC_HOSTS_COMPLETE : 0);
}

static void put_service(const struct service *s)
{
        static const enum khs_service_state states[] = {
                [KNOWN] = KHS_SERVICE_FRESH,     [PENDING] = KHS_SERVICE_PENDING, [HALF] = KHS_SERVICE_FRESH,
                [EXPIRED] = KHS_SERVICE_EXPIRED, [STALE] = KHS_SERVICE_STALE,
        };
        static uint32_t v4[KHS_MAX_ADDRS];
        static uint8_t v6[KHS_MAX_ADDRS][16];
        uint32_t now = khs_clock_ds(CLOCK_BOOTTIME);
        struct khs_row row = {
                .key = s->key,
                .n_key = strlen(s->key),
                .n4 = s->n4,
                .n6 = s->n6,
                .v4 = v4,
                .v6 = v6,
                .flags = flags_of(s),
                .endpoints = endpoints_of(s),
                .policy = khs_policy(s->answers, s->order, KHS_FAMILY_ANY),
                .fresh_until_ds = s->knowledge == STALE || s->knowledge == EXPIRED ? now - 300 : now + 360000,
                .stale_until_ds = s->knowledge == EXPIRED ? now - 20 : now + 360000,
                .version = 1,
                .status = khs_status(states[s->knowledge], KHS_REASON_NONE, KHS_SOURCE_DNS),
        };

        for (uint32_t n = 0; n < s->n4; n++)
                v4[n] = v4_of(s->i, n);
        for (uint32_t n = 0; n < s->n6; n++)
                v6_of(s->i, n, v6[n]);
        CHECK(khs_writer_put(writer, &row, now) == 0);
}

static void make(void)
{
        struct khs_row alias = {
                .key = ALIAS, .n_key = strlen(ALIAS), .target = ALIAS_SERVICE, .n_target = strlen(ALIAS_SERVICE)
        };

        CHECK(khs_writer_new(&writer, dir_fd, &params, 1) == 0);
        for (uint32_t i = 0; i < N_SERVICES; i++) {
                struct service s = service_of(i);

                put_service(&s);
        }
        CHECK(khs_writer_put(writer, &alias, khs_clock_ds(CLOCK_BOOTTIME)) == 0);
        CHECK(khs_writer_publish(writer) == 0);
}

static void set_silent(uint32_t ds)
{
        uint32_t times[2] = { khs_clock_ds(CLOCK_BOOTTIME) - ds, khs_clock_ds(CLOCK_REALTIME) - ds };
        int fd = openat(dir_fd, KHS_TABLE_NAME, O_WRONLY | O_CLOEXEC);

        beating = false;
        CHECK(pwrite(fd, times, sizeof(times), offsetof(struct khs_table_header, beat_boot_ds)) == sizeof(times));
        (void)close(fd);
}

static void obey(char *line)
{
        uint32_t now = khs_clock_ds(CLOCK_BOOTTIME);

        if (strncmp(line, "silent ", 7) == 0) {
                set_silent((uint32_t)strtoul(line + 7, NULL, 10) * 10);
        } else if (strcmp(line, "alive\n") == 0) {
                beating = true;
                khs_writer_beat(writer);
        } else if (strcmp(line, "renew\n") == 0) {
                CHECK(khs_writer_renew(writer, NULL, now) == 0);
        } else if (strcmp(line, "reverse\n") == 0) {
                params.reverse = true;
                CHECK(khs_writer_renew(writer, &params, now) == 0);
        } else {
                CHECK(!"a command");
        }
}

int main(int argc, char **argv)
{
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        char line[64];

        CHECK(argc == 2);
        dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(dir_fd >= 0);
        make();
        for (;;) {
                int r;

                CHECK(puts("ready") >= 0 && fflush(stdout) == 0);
                while ((r = poll(&input, 1, 500)) == 0) {
                        if (beating)
                                khs_writer_beat(writer);
                }
                CHECK(r > 0);
                if (!fgets(line, sizeof(line), stdin))
                        return 0;
                obey(line);
        }
}
