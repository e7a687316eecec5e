#pragma once

/*
 * What the benchmarks of the table share: clocks, quantiles, a machine of one's own (a tmpfs over /run in
 * a private mount namespace), tables of any size, and output as a table for people or JSON for programs.
 *
 * Nothing here is compared with a run of another day: what is set against each other takes turns in one
 * run, since the rest of the machine is not ours.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE2__
#include <x86intrin.h>
#endif

#include "table/clock.h"
#include "write/writer.h"

#define BENCH_SKIP 77 /* meson: could not run here */

static inline void bench_die(const char *what, int r)
{
        fprintf(stderr, "%s: %s\n", what, strerror(r < 0 ? -r : r));
        exit(1);
}

/* ---- clocks ---- */

static inline uint64_t bench_now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The cheapest clock there is; what was begun before is over by then. */
static inline uint64_t bench_ticks(void)
{
#ifdef __SSE2__
        uint64_t ticks;

        _mm_lfence();
        ticks = __rdtsc();
        _mm_lfence();
        return ticks;
#else
        return bench_now_ns();
#endif
}

static inline double bench_ns_per_tick(void)
{
        static double ratio;

        if (ratio == 0) {
                uint64_t ns = bench_now_ns(), ticks = bench_ticks();

                while (bench_now_ns() - ns < 50000000)
                        ;
                ns = bench_now_ns() - ns;
                ratio = (double)ns / (double)(bench_ticks() - ticks);
        }
        return ratio;
}

/* ---- numbers ---- */

static inline int bench_compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Sorts. */
static inline double bench_quantile(double *values, size_t n, double q)
{
        size_t i = (size_t)((double)n * q);

        qsort(values, n, sizeof(*values), bench_compare);
        return values[i < n ? i : n - 1];
}

static inline uint32_t bench_random(uint64_t *state)
{
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        return (uint32_t)(*state >> 33);
}

/* ---- output ---- */

struct bench_cell {
        const char *name;
        const char *text; /* NULL: a number */
        double value;
        int n_digits; /* behind the point */
};

#define BENCH_TEXT(name, text)                                                                                         \
        {                                                                                                              \
                name, text, 0, 0                                                                                       \
        }
#define BENCH_NUMBER(name, value, n_digits)                                                                            \
        {                                                                                                              \
                name, NULL, (double)(value), n_digits                                                                  \
        }

static struct {
        bool json;
        const char *section;
        size_t n_rows;
        unsigned int n_missed;
} bench_output;

static inline void bench_begin(bool json)
{
        bench_output.json = json;
        if (json)
                fputs("[", stdout);
}

static inline int bench_width(const struct bench_cell *cell)
{
        int n = (int)strlen(cell->name);

        return cell->text ? -(n > 34 ? n : 34) : n > 9 ? n : 9;
}

static inline void bench_row(const char *section, const struct bench_cell *cells, size_t n_cells)
{
        if (bench_output.json) {
                printf("%s\n  {\"section\": \"%s\"", bench_output.n_rows ? "," : "", section);
                for (size_t i = 0; i < n_cells; i++) {
                        if (cells[i].text)
                                printf(", \"%s\": \"%s\"", cells[i].name, cells[i].text);
                        else
                                printf(", \"%s\": %.*f", cells[i].name, cells[i].n_digits, cells[i].value);
                }
                fputs("}", stdout);
        } else {
                if (!bench_output.section || strcmp(bench_output.section, section) != 0) {
                        printf("\n%s\n", section);
                        for (size_t i = 0; i < n_cells; i++)
                                printf("  %*s", bench_width(&cells[i]), cells[i].name);
                        puts("");
                }
                for (size_t i = 0; i < n_cells; i++) {
                        if (cells[i].text)
                                printf("  %*s", bench_width(&cells[i]), cells[i].text);
                        else
                                printf("  %*.*f", bench_width(&cells[i]), cells[i].n_digits, cells[i].value);
                }
                puts("");
        }
        bench_output.section = section;
        bench_output.n_rows++;
        (void)fflush(stdout);
}

/* What must hold. Times of this machine are told, not judged: `gates` is for ratios, sizes and counts. */
static inline void bench_bar(const char *what, double value, double limit, int n_digits, bool gates)
{
        bool held = value <= limit;
        const struct bench_cell cells[] = {
                { "bar", what, 0, 0 },
                BENCH_NUMBER("value", value, n_digits),
                BENCH_NUMBER("limit", limit, n_digits),
                { "held",
                  held    ? "yes"
                  : gates ? "NO"
                          : "no (time: not judged)",
                  0, 0 },
        };

        bench_row("bars", cells, sizeof(cells) / sizeof(cells[0]));
        bench_output.n_missed += gates && !held;
}

/* Return: exit status. */
static inline int bench_end(void)
{
        if (bench_output.json)
                fputs("\n]\n", stdout);
        return bench_output.n_missed ? 1 : 0;
}

/* ---- tables ---- */

/* An empty /run of this process and its children. */
static inline int bench_enter_rundir(void)
{
        int dir_fd;

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0) {
                fputs("needs root and a mount namespace\n", stderr);
                exit(BENCH_SKIP);
        }
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 || mkdir(K8SHSVC_RUNDIR, 0755) < 0)
                bench_die(K8SHSVC_RUNDIR, errno);
        dir_fd = open(K8SHSVC_RUNDIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                bench_die(K8SHSVC_RUNDIR, errno);
        return dir_fd;
}

static inline struct khs_table_params bench_params(void)
{
        return (struct khs_table_params){
                .zone = "cluster.local",
                .orphan_max_ds = 300,
                .max_bytes = 2ULL << 30,
        };
}

struct bench_size {
        uint32_t n_services, n_addresses;
        bool attrs; /* with host names, nodes and a port by name */
};

/* Whether such a table is no burden to this machine. */
static inline bool bench_fits(struct bench_size size)
{
        uint64_t n_bytes = (uint64_t)size.n_services * (128 + (size.attrs ? 60ULL : 4ULL) * size.n_addresses);
        uint64_t n_ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

        return n_bytes * 4 < n_ram / 2;
}

#define BENCH_MAX_ADDRS 5000

/* Hosts of 11 bytes and as many nodes, of 20 bytes; none of the names is in the order of the addresses. */
static inline const struct khs_row_endpoint *bench_endpoints(void)
{
        static const struct khs_row_port port = { "grpc", 50051, 6 };
        static struct khs_row_endpoint endpoints[BENCH_MAX_ADDRS];
        static char hosts[BENCH_MAX_ADDRS][16], nodes[BENCH_MAX_ADDRS][32];

        for (uint32_t a = 0; a < BENCH_MAX_ADDRS && !endpoints[BENCH_MAX_ADDRS - 1].host; a++) {
                uint32_t mixed = a * 2654435761U % 1000000;

                (void)snprintf(hosts[a], sizeof(hosts[a]), "user-%06u", mixed);
                (void)snprintf(nodes[a], sizeof(nodes[a]), "node-%06u.internal", mixed);
                endpoints[a] = (struct khs_row_endpoint){ .host = hosts[a],
                                                          .node = nodes[a],
                                                          .zone = "zone-a",
                                                          .ordinal = (int32_t)a,
                                                          .ports = &port,
                                                          .n_ports = 1 };
        }
        return endpoints;
}

/* Row `i`, version `version`, 11-byte service names; addresses change with the version. One thread. */
static inline struct khs_row bench_table_row(uint32_t i, struct bench_size size, uint32_t version)
{
        static uint32_t v4[BENCH_MAX_ADDRS];
        static char key[64];
        int n_key = snprintf(key, sizeof(key), "service-%06u.default", i);

        for (uint32_t a = 0; a < size.n_addresses; a++)
                v4[a] = htonl(0x0a000000 + ((i * size.n_addresses + version) & 0xffffff) + a);
        return (struct khs_row){
                .key = key,
                .n_key = (size_t)n_key,
                .n4 = size.n_addresses,
                .v4 = v4,
                .endpoints = size.attrs ? bench_endpoints() : NULL,
                .policy = 1,
                .stale_until_ds = khs_clock_ds(CLOCK_BOOTTIME) + 36000,
                .version = version,
                .port = 8080,
        };
}

static inline void bench_fill(struct khs_writer *w, struct bench_size size)
{
        for (uint32_t i = 0; i < size.n_services; i++) {
                struct khs_row row = bench_table_row(i, size, 1);
                int r = khs_writer_put(w, &row, khs_clock_ds(CLOCK_BOOTTIME));

                if (r < 0)
                        bench_die("put", r);
        }
}
