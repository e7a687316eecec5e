#pragma once

/* A writer in a directory of the test's own, and the reader's view of what it wrote. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/map.h"
#include "table/clock.h"
#include "write/lock.h"
#include "write/writer.h"

struct fixture {
        char dir[64];
        int dir_fd;
        struct khs_writer *writer;
};

static inline struct khs_table_params fixture_params(void)
{
        return (struct khs_table_params){
                .zone = "cluster.local",
                .namespace = "",
                .orphan_max_ds = 300,
                .max_bytes = 256U << 20,
                .n_services = 10,
        };
}

static inline void fixture_init(struct fixture *f, const struct khs_table_params *params)
{
        struct khs_table_params standard = fixture_params();

        strcpy(f->dir, "/dev/shm/khs-test-XXXXXX");
        cr_assert_not_null(mkdtemp(f->dir));
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(f->dir_fd, 0);
        cr_assert_eq(khs_writer_new(&f->writer, f->dir_fd, params ? params : &standard, 1), 0);
}

static inline void fixture_deinit(struct fixture *f)
{
        char command[128];

        khs_writer_free(f->writer);
        (void)close(f->dir_fd);
        (void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
        cr_assert_eq(system(command), 0);
}

static inline uint32_t fixture_now(void)
{
        return khs_clock_ds(CLOCK_BOOTTIME);
}

/* A row with n4 addresses 10.x.y.z and n6 addresses fd00::n that follow from `first`. */
static inline struct khs_row fixture_row(const char *key, uint32_t first, uint32_t n4, uint32_t n6)
{
        static uint32_t v4[KHS_MAX_ADDRS];
        static uint8_t v6[KHS_MAX_ADDRS][16];

        for (uint32_t i = 0; i < n4; i++)
                v4[i] = htonl(0x0a000000 + first + i);
        for (uint32_t i = 0; i < n6; i++) {
                uint32_t low = htonl(first + i);

                memset(v6[i], 0, 16);
                v6[i][0] = 0xfd;
                memcpy(v6[i] + 12, &low, 4);
        }
        return (struct khs_row){
                .key = key,
                .n_key = strlen(key),
                .n4 = n4,
                .n6 = n6,
                .v4 = v4,
                .v6 = v6,
                .policy = 1,
                .stale_until_ds = fixture_now() + 36000,
                .version = 1,
                .port = 8080,
        };
}

static inline void fixture_open(const struct fixture *f, struct khs_table_file *ret)
{
        cr_assert_eq(khs_table_open(f->dir, KHS_OPEN_MAP, NULL, ret), 0);
}
