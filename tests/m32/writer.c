/*
 * The 64-bit side: `writer DIRECTORY` publishes a table there; `writer DIRECTORY SECONDS` makes its last
 * heartbeat that old.
 */

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "records.h"
#include "table/clock.h"
#include "write/writer.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        (void)fprintf(stderr, "writer: not %s\n", #condition);                                         \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static void make(int dir_fd)
{
        static const struct khs_table_params params = {
                .zone = "cluster.local",
                .orphan_max_ds = 300,
                .max_bytes = 64U << 20,
                .n_services = N_RECORDS,
                .reverse = true,
        };
        static uint32_t v4[5000];
        static uint8_t v6[5000][16];
        uint32_t now = khs_clock_ds(CLOCK_BOOTTIME);
        struct khs_writer *writer;

        CHECK(khs_writer_new(&writer, dir_fd, &params, 1) == 0);
        for (uint32_t i = 0; i < N_RECORDS; i++) {
                struct record r = record_of(i);
                struct khs_row row = {
                        .key = r.key,
                        .n_key = strlen(r.key),
                        .target = r.target[0] ? r.target : NULL,
                        .n_target = strlen(r.target),
                        .n4 = r.n4,
                        .n6 = r.n6,
                        .v4 = v4,
                        .v6 = v6,
                        .version = r.version,
                        .stale_until_ds = now + 36000,
                        .policy = KHS_ANSWERS_ALL,
                        .status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_STATIC),
                };

                for (uint32_t n = 0; n < r.n4; n++)
                        v4[n] = v4_of(i, n);
                for (uint32_t n = 0; n < r.n6; n++)
                        v6_of(i, n, v6[n]);
                CHECK(khs_writer_put(writer, &row, now) == 0);
        }
        CHECK(khs_writer_publish(writer) == 0);
        khs_writer_free(writer);
}

static void age(int dir_fd, uint32_t ds)
{
        uint32_t times[2] = { khs_clock_ds(CLOCK_BOOTTIME) - ds, khs_clock_ds(CLOCK_REALTIME) - ds };
        int fd = openat(dir_fd, KHS_TABLE_NAME, O_WRONLY | O_CLOEXEC);

        CHECK(fd >= 0);
        CHECK(pwrite(fd, times, sizeof(times), offsetof(struct khs_table_header, beat_boot_ds)) == sizeof(times));
        (void)close(fd);
}

int main(int argc, char **argv)
{
        int dir_fd;

        CHECK(argc == 2 || argc == 3);
        dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(dir_fd >= 0);
        if (argc == 3)
                age(dir_fd, (uint32_t)strtoul(argv[2], NULL, 10) * 10);
        else
                make(dir_fd);
        return 0;
}
