/*
 * What the writer costs: a publish, growth, adoption, size, memory.
 *
 *     bench-publish [--json]     status 1 when a bar does not hold
 *
 * The clock that puts are given is the test's own, 10,000 puts a second: how often blocks come out of
 * their rest does not depend on this machine. Attributes are a host name of 11 bytes, a node of 20, a
 * zone and a named port for each endpoint, each on a node of its own.
 */

#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"

#define N_BATCH     32
#define N_BATCHES   2000
#define N_REPEATS   9
#define PUTS_PER_DS 1000

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct khs_writer *writer_new(int dir_fd, struct bench_size size, bool reverse)
{
        struct khs_table_params params = bench_params();
        struct khs_writer *w;
        int r;

        params.reverse = reverse;
        r = khs_writer_new(&w, dir_fd, &params, 1);
        if (r == 0) {
                bench_fill(w, size);
                r = khs_writer_publish(w);
        }
        if (r < 0)
                bench_die("table", r);
        return w;
}

/* ---- publish ---- */

enum kind { CHANGED, TIMES_ONLY, INSERT_DELETE };

/* Rows of one batch, made while nobody looks at the clock. */
struct rows {
        struct khs_row rows[N_BATCH];
        char keys[N_BATCH][64];
        uint32_t v4[N_BATCH][BENCH_MAX_ADDRS];
};

static void rows_next(struct rows *rows, struct bench_size size, enum kind kind, uint64_t *random, uint32_t version)
{
        for (uint32_t i = 0; i < N_BATCH; i++) {
                uint32_t number = kind == INSERT_DELETE ? size.n_services + i : bench_random(random) % size.n_services;
                struct khs_row row = bench_table_row(number, size, kind == TIMES_ONLY ? 1 : version);

                memcpy(rows->keys[i], row.key, row.n_key + 1);
                memcpy(rows->v4[i], row.v4, (size_t)row.n4 * 4);
                row.key = rows->keys[i];
                row.v4 = rows->v4[i];
                row.stale_until_ds += version;
                rows->rows[i] = row;
        }
}

struct cost {
        double p50, p99;
        uint64_t file_bytes;
};

static struct cost publish(int dir_fd, struct bench_size size, enum kind kind, bool reverse)
{
        struct khs_writer *w = writer_new(dir_fd, size, reverse);
        uint32_t now_ds = khs_clock_ds(CLOCK_BOOTTIME) + 100;
        static double took[N_BATCHES];
        static struct rows rows;
        uint64_t random = 1;
        struct cost ret;

        /* The first turns fill the reserve of resting blocks: the file grows until it has room for it. */
        for (int b = -N_BATCHES; b < N_BATCHES; b++) {
                uint32_t version = (uint32_t)(b + N_BATCHES + 2), now = now_ds + version * N_BATCH / PUTS_PER_DS;
                uint64_t start;
                int r = 0;

                rows_next(&rows, size, kind, &random, version);
                start = bench_ticks();
                for (int i = 0; i < N_BATCH; i++)
                        r |= khs_writer_put(w, &rows.rows[i], now);
                khs_writer_commit(w);
                if (b >= 0)
                        took[b] = (double)(bench_ticks() - start) * bench_ns_per_tick() / N_BATCH;
                for (int i = 0; i < N_BATCH && kind == INSERT_DELETE; i++)
                        r |= khs_writer_delete(w, rows.rows[i].key, rows.rows[i].n_key, now);
                if (r < 0)
                        bench_die("put", r);
        }
        ret.p50 = bench_quantile(took, N_BATCHES, 0.5);
        ret.p99 = bench_quantile(took, N_BATCHES, 0.99);
        ret.file_bytes = khs_writer_size(w);
        khs_writer_free(w);
        return ret;
}

/* ns of 10,000 x 50, addresses only and with attributes. */
static void bench_puts(int dir_fd, double *ret_ns, double *ret_attrs_ns)
{
        static const struct {
                const char *what;
                struct bench_size size;
                enum kind kind;
                bool reverse;
        } cases[] = {
                { "update, 50 addr", { 10000, 50 }, CHANGED, false },
                { "update, 50 addr, 100000 services", { 100000, 50 }, CHANGED, false },
                { "update, 500 addr", { 10000, 500 }, CHANGED, false },
                { "update, 5000 addr", { 1000, 5000 }, CHANGED, false },
                { "insert, 50 addr", { 10000, 50 }, INSERT_DELETE, false },
                { "times only, 50 addr", { 10000, 50 }, TIMES_ONLY, false },
                { "update, 50 addr, reverse index", { 10000, 50 }, CHANGED, true },
                { "update, 50 addr, attributes", { 10000, 50, .attrs = true }, CHANGED, false },
                { "times only, 50 addr, attributes", { 10000, 50, .attrs = true }, TIMES_ONLY, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct cost c;

                if (!bench_fits(cases[i].size))
                        continue;
                c = publish(dir_fd, cases[i].size, cases[i].kind, cases[i].reverse);
                const struct bench_cell cells[] = {
                        { "put", cases[i].what, 0, 0 },
                        BENCH_NUMBER("services", cases[i].size.n_services, 0),
                        BENCH_NUMBER("p50_ns", c.p50, 0),
                        BENCH_NUMBER("p99_ns", c.p99, 0),
                        BENCH_NUMBER("file_mib", (double)c.file_bytes / (1 << 20), 1),
                };

                bench_row("publish: one record, random service, at 10000/s", cells, ARRAY_SIZE(cells));
                if (cases[i].size.n_services == 10000 && cases[i].size.n_addresses == 50 && cases[i].kind == CHANGED &&
                    !cases[i].reverse)
                        *(cases[i].size.attrs ? ret_attrs_ns : ret_ns) = c.p50;
        }
}

/* ---- files ---- */

/* kB of a line of /proc/self/status. */
static double status_kib(const char *name)
{
        FILE *file = fopen("/proc/self/status", "re");
        unsigned long kib = 0;
        char line[256];

        while (file && fgets(line, sizeof(line), file)) {
                if (strncmp(line, name, strlen(name)) == 0)
                        kib = strtoul(line + strlen(name) + 1, NULL, 10);
        }
        if (file)
                (void)fclose(file);
        return (double)kib;
}

struct file_cost {
        double fill_ms, grow_ms, adopt_ms;
        double filled_mib, grown_mib; /* as filling left it; as a copy is made */
        double anon_kib, shmem_kib;   /* of the adopting daemon */
};

static double ms_since(uint64_t start)
{
        return (double)(bench_now_ns() - start) / 1e6;
}

/* In a process of its own, for its memory. */
static struct file_cost file_cost(int dir_fd, struct bench_size size)
{
        struct khs_table_params params = bench_params();
        double grow[N_REPEATS], adopt[N_REPEATS], anon = status_kib("RssAnon");
        struct file_cost ret = { 0 };
        struct khs_writer *w;
        uint64_t start = bench_now_ns();
        int r = 0;

        w = writer_new(dir_fd, size, false);
        ret.fill_ms = ms_since(start);
        ret.filled_mib = (double)khs_writer_size(w) / (1 << 20);
        for (int i = 0; i < N_REPEATS && r == 0; i++) {
                start = bench_now_ns();
                r = khs_writer_renew(w, NULL, khs_clock_ds(CLOCK_BOOTTIME));
                grow[i] = ms_since(start);
        }
        ret.grown_mib = (double)khs_writer_size(w) / (1 << 20);
        for (int i = 0; i < N_REPEATS && r == 0; i++) {
                w = khs_writer_free(w);
                start = bench_now_ns();
                r = khs_writer_adopt(&w, dir_fd, &params, khs_clock_ds(CLOCK_BOOTTIME));
                adopt[i] = ms_since(start);
        }
        if (r < 0)
                bench_die("table", r);
        ret.grow_ms = bench_quantile(grow, N_REPEATS, 0.5);
        ret.adopt_ms = bench_quantile(adopt, N_REPEATS, 0.5);
        ret.anon_kib = status_kib("RssAnon") - anon;
        ret.shmem_kib = status_kib("RssShmem");
        khs_writer_free(w);
        return ret;
}

static struct file_cost file_cost_in_child(int dir_fd, struct bench_size size)
{
        struct file_cost *shared, ret;
        int status;
        pid_t pid;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                bench_die("mmap", errno);
        pid = fork();
        if (pid == 0) {
                *shared = file_cost(dir_fd, size);
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                bench_die("a measurement failed", ECHILD);
        ret = *shared;
        (void)munmap(shared, sizeof(*shared));
        return ret;
}

static void bench_files(int dir_fd, double *ret_mib, double *ret_attrs_mib, double *ret_adopt_ms)
{
        static const struct bench_size sizes[] = {
                { 1000, 50 },
                { 10000, 1 },
                { 10000, 50 },
                { 10000, 500 },
                { 100000, 1 },
                { 100000, 50 },
                { 1000, 5000 },
                { 10000, 50, .attrs = true },
                { 100, 5000, .attrs = true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct bench_size size = sizes[i];
                struct file_cost c;
                char what[64];

                if (!bench_fits(size))
                        continue;
                c = file_cost_in_child(dir_fd, size);
                (void)snprintf(what, sizeof(what), "%u services x %u%s", size.n_services, size.n_addresses,
                               size.attrs ? ", attributes" : "");
                const struct bench_cell cells[] = {
                        { "table", what, 0, 0 },
                        BENCH_NUMBER("fill_ms", c.fill_ms, 1),
                        BENCH_NUMBER("grow_ms", c.grow_ms, 1),
                        BENCH_NUMBER("adopt_ms", c.adopt_ms, 1),
                        BENCH_NUMBER("filled_mib", c.filled_mib, 2),
                        BENCH_NUMBER("grown_mib", c.grown_mib, 2),
                        BENCH_NUMBER("rss_anon_kib", c.anon_kib, 0),
                        BENCH_NUMBER("rss_shmem_kib", c.shmem_kib, 0),
                };

                bench_row("files", cells, ARRAY_SIZE(cells));
                if (size.n_services == 10000 && size.n_addresses == 50)
                        *(size.attrs ? ret_attrs_mib : ret_mib) =
                                c.filled_mib > c.grown_mib ? c.filled_mib : c.grown_mib;
                if (size.n_services == 100000 && size.n_addresses == 50)
                        *ret_adopt_ms = c.adopt_ms;
        }
}

/* ---- growth ---- */

/* Of this thread: how long others have the CPU is not the writer's doing. */
static double cpu_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

struct growth_cost {
        double longest_ms;
        unsigned int n_files;
        uint64_t file_bytes;
};

/*
 * A table in use to which services are added until it has so many. Each time it is full, or three quarters
 * full ten minutes after the file before, another one takes its place.
 */
static struct growth_cost grow(int dir_fd, struct bench_size size)
{
        struct bench_size none = { 0, size.n_addresses, size.attrs };
        struct khs_writer *w = writer_new(dir_fd, none, false);
        struct growth_cost ret = { .file_bytes = khs_writer_size(w) };
        uint32_t now_ds = khs_clock_ds(CLOCK_BOOTTIME);

        for (uint32_t i = 0; i < size.n_services; i++) {
                struct khs_row row = bench_table_row(i, size, 1);
                double start = cpu_ms(), ms;
                int r = khs_writer_put(w, &row, now_ds);

                if (r == 0 && i % 100 == 0)
                        r = khs_writer_tend(w, now_ds += 6000);
                if (r < 0)
                        bench_die("put", r);
                ms = cpu_ms() - start;
                if (ms > ret.longest_ms)
                        ret.longest_ms = ms;
                ret.n_files += khs_writer_size(w) != ret.file_bytes;
                ret.file_bytes = khs_writer_size(w);
        }
        khs_writer_free(w);
        return ret;
}

static void bench_growth(int dir_fd, double *ret_ms)
{
        static const struct bench_size sizes[] = {
                { 10000, 50 },
                { 100000, 50 },
                { 1000, 5000 },
                { 10000, 50, .attrs = true },
                { 200, 5000, .attrs = true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct bench_size size = sizes[i];
                struct growth_cost c;
                char what[64];

                if (!bench_fits(size))
                        continue;
                c = grow(dir_fd, size);
                (void)snprintf(what, sizeof(what), "%u services x %u%s", size.n_services, size.n_addresses,
                               size.attrs ? ", attributes" : "");
                const struct bench_cell cells[] = {
                        { "up to", what, 0, 0 },
                        BENCH_NUMBER("files", c.n_files, 0),
                        BENCH_NUMBER("longest_ms", c.longest_ms, 1),
                        BENCH_NUMBER("file_mib", (double)c.file_bytes / (1 << 20), 1),
                };

                bench_row("growth: the longest pause of the daemon, CPU time", cells, ARRAY_SIZE(cells));
                if (size.n_services == 100000)
                        *ret_ms = c.longest_ms;
        }
}

int main(int argc, char **argv)
{
        int dir_fd = bench_enter_rundir();
        double put_ns = 0, put_attrs_ns = 0, mib = 0, attrs_mib = 0, adopt_ms = 0, grow_ms = 0;

        bench_begin(argc > 1 && strcmp(argv[1], "--json") == 0);
        bench_files(dir_fd, &mib, &attrs_mib,
                    &adopt_ms); /* first: what a child inherits is no memory of its writer's */
        bench_growth(dir_fd, &grow_ms);
        bench_puts(dir_fd, &put_ns, &put_attrs_ns);
        bench_bar("publish of 50 addresses, ns", put_ns, 1000, 0, false);
        bench_bar("publish of 50 addresses with attributes, ns", put_attrs_ns, 8000, 0, false);
        bench_bar("adoption of 100000 x 50, ms", adopt_ms, 200, 1, false);
        bench_bar("growth on the way to 100000 x 50, CPU ms", grow_ms, 100, 1, false);
        bench_bar("file of 10000 x 50, MiB", mib, 8, 2, true);
        bench_bar("file of 10000 x 50 with attributes, MiB", attrs_mib, 48, 2, true);
        return bench_end();
}
