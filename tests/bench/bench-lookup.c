/*
 * What a lookup costs, beside the least that it could cost.
 *
 *     bench-lookup [--json] [--quick] [--hot] [--random] [--concurrent]
 *                                         all measurements or some; status 1 when a bar does not hold
 *     bench-lookup --spin MSEC PHASE      lookups in one thread, between two calls of getppid(): for strace,
 *                                         see lookup-syscalls; PHASE: steady, replaced, silent
 *     bench-lookup --calls COUNT CONTESTANT SUFFIX
 *                                         COUNT lookups in one thread: for valgrind, see count-instructions
 *
 * Contestants, each with the name as a program writes it and results as it gets them:
 *
 *     api        k8shsvc_lookup()
 *     raw        a loop over the same table with the product's normaliser and SipHash: hash, find, fill the
 *                same array; no sequence, bounds, pin, liveness, rotation or staleness check
 *     reader     khs_name_parse(), khs_view_find(), khs_found_copy(), khs_found_valid()
 *     raw-words  as raw, but copies the addresses' words only, as the reader does
 *
 * They take turns; a ratio is the median of the rounds' ratios of medians. p50 is of batches (the timer
 * costs nothing there), p99 and p99.9 are of single calls, less what the timer costs.
 */

#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "answer/name.h"
#include "bench.h"
#include "k8shsvc.h"
#include "read/map.h"
#include "table/siphash.h"

#define N_BATCH   32
#define N_BATCHES 1000 /* of each contestant in each round */
#define N_ROUNDS  21
#define N_QUICK   5
#define N_SINGLE  200000 /* single calls of each contestant */
#define N_READERS 8
#define N_HIST    65536 /* ns; the last counts what is above */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static bool quick;
static double timer_ns; /* cost of two looks at the clock */

/* ---- the table's daemon ---- */

struct daemon {
        pid_t pid;
        struct shared {
                uint64_t file_bytes;
                uint32_t n_published; /* since the readers began */
                bool ready;
        } * shared;
};

static void publish(struct khs_writer *w, struct bench_size size, uint64_t *random, uint32_t version)
{
        struct khs_row row = bench_table_row(bench_random(random) % size.n_services, size, version);
        int r = khs_writer_put(w, &row, khs_clock_ds(CLOCK_BOOTTIME));

        if (r < 0)
                bench_die("put", r);
}

/* Publishes `rate` records a second, a share each millisecond; ready when its file has stopped to grow. */
static void daemon_run(struct khs_writer *w, struct bench_size size, uint32_t rate, struct shared *shared)
{
        uint64_t random = 1, start = bench_now_ns(), last_beat = 0, last_growth = start, n = 0, file_bytes = 0;

        for (uint32_t version = 2;; version++) {
                uint64_t now = bench_now_ns(), due = rate * ((now - start) / 1000) / 1000000;

                if (now - last_beat > 1000000000) {
                        khs_writer_beat(w);
                        last_beat = now;
                }
                for (; n < due; n++)
                        publish(w, size, &random, version);
                khs_writer_commit(w);
                if (khs_writer_size(w) != file_bytes)
                        last_growth = now;
                file_bytes = khs_writer_size(w);
                __atomic_store_n(&shared->file_bytes, file_bytes, __ATOMIC_RELAXED);
                __atomic_store_n(&shared->n_published, (uint32_t)n, __ATOMIC_RELAXED);
                if (!rate || (now - start > 3000000000 && now - last_growth > 1000000000))
                        __atomic_store_n(&shared->ready, true, __ATOMIC_RELEASE);
                (void)usleep(rate ? 1000 : 100000);
        }
}

static struct daemon daemon_start(int dir_fd, struct bench_size size, uint32_t rate)
{
        struct khs_table_params params = bench_params();
        struct daemon d;

        d.shared = mmap(NULL, sizeof(*d.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (d.shared == MAP_FAILED)
                bench_die("mmap", errno);
        d.pid = fork();
        if (d.pid == 0) {
                struct khs_writer *w;
                int r;

                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                params.n_services = size.n_services;
                r = khs_writer_new(&w, dir_fd, &params, 1);
                if (r < 0)
                        bench_die("table", r);
                bench_fill(w, size);
                r = khs_writer_publish(w);
                if (r < 0)
                        bench_die("publish", r);
                daemon_run(w, size, rate, d.shared);
        }
        while (!__atomic_load_n(&d.shared->ready, __ATOMIC_ACQUIRE)) {
                if (waitpid(d.pid, NULL, WNOHANG) != 0)
                        exit(1);
                (void)usleep(10000);
        }
        return d;
}

static void daemon_stop(struct daemon *d)
{
        (void)kill(d->pid, SIGKILL);
        (void)waitpid(d->pid, NULL, 0);
        (void)munmap(d->shared, sizeof(*d->shared));
}

/* ---- contestants ---- */

struct reader {
        k8shsvc *h;
        struct khs_table_file file;
        const struct khs_view *view;
        struct k8shsvc_addr addrs[BENCH_MAX_ADDRS];
        uint32_t words[BENCH_MAX_ADDRS];
};

/* Return: number of addresses, or a negative errno. */
typedef int lookup_fn(struct reader *r, const char *name);

static __attribute__((noinline)) int lookup_api(struct reader *r, const char *name)
{
        size_t n;
        int ret = k8shsvc_lookup(r->h, name, AF_UNSPEC, r->addrs, BENCH_MAX_ADDRS, &n);

        return ret < 0 ? ret : (int)n;
}

static __attribute__((noinline)) int lookup_reader(struct reader *r, const char *name)
{
        const struct khs_zone zone = { r->view->zone, r->view->n_zone };
        struct khs_found found;
        struct khs_name parsed;
        int ret;

        ret = khs_name_parse(&parsed, name, strlen(name), &zone);
        if (ret < 0)
                return ret;
        ret = khs_view_find(r->view, parsed.text, parsed.len, &found);
        if (ret < 0)
                return ret;
        khs_found_copy(r->view, &found, AF_INET, 0, found.record.n4, r->words, 4);
        return khs_found_valid(r->view, &found) ? (int)found.record.n4 : -EBUSY;
}

static inline const struct khs_record *raw_find(const struct khs_view *view, const char *name)
{
        const struct khs_zone zone = { view->zone, view->n_zone };
        struct khs_name parsed;
        uint64_t hash;
        uint32_t tag;

        if (khs_name_parse(&parsed, name, strlen(name), &zone) < 0)
                return NULL;
        hash = khs_siphash13(view->hash_key, parsed.text, parsed.len);
        tag = (uint32_t)(hash >> 32) | 1;
        for (uint32_t bucket = (uint32_t)hash;; bucket++) {
                const uint32_t *entry =
                        view->map + view->idx_word + (bucket & (view->n_buckets - 1)) * KHS_BUCKET_ENTRIES * 2;

                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2) {
                        const struct khs_record *record;

                        if (entry[0] == 0)
                                return NULL;
                        if (entry[0] != tag || entry[1] == 0)
                                continue;
                        record = (const void *)(view->map + view->arena_word + (entry[1] - 1) * KHS_UNIT_WORDS);
                        if ((record->key & KHS_KEY_LEN_MASK) == parsed.len &&
                            memcmp(record + 1, parsed.text, parsed.len) == 0)
                                return record;
                }
        }
}

static inline const uint32_t *raw_addresses(const struct khs_record *record)
{
        return (const uint32_t *)(record + 1) + ((record->key & KHS_KEY_LEN_MASK) + 3) / 4;
}

static __attribute__((noinline)) int lookup_raw(struct reader *r, const char *name)
{
        const struct khs_record *record = raw_find(r->view, name);
        const uint32_t *words;
        uint32_t n;

        if (!record)
                return -ENOENT;
        words = raw_addresses(record);
        n = record->n4 + record->n6;
        for (uint32_t i = 0; i < record->n6; i++) {
                r->addrs[i] = (struct k8shsvc_addr){ .family = AF_INET6, .port = (uint16_t)record->port };
                memcpy(r->addrs[i].addr, words + record->n4 + (size_t)i * 4, 16);
        }
        for (uint32_t i = record->n6; i < n; i++) {
                r->addrs[i] = (struct k8shsvc_addr){ .family = AF_INET, .port = (uint16_t)record->port };
                memcpy(r->addrs[i].addr, words + i - record->n6, 4);
        }
        return (int)n;
}

static __attribute__((noinline)) int lookup_raw_words(struct reader *r, const char *name)
{
        const struct khs_record *record = raw_find(r->view, name);

        if (!record)
                return -ENOENT;
        memcpy(r->words, raw_addresses(record), (size_t)record->n4 * 4);
        return (int)record->n4;
}

enum { API, RAW, READER, RAW_WORDS, N_CONTESTANTS };

static const struct {
        const char *name;
        lookup_fn *lookup;
} contestants[N_CONTESTANTS] = {
        [API] = { "api", lookup_api },
        [RAW] = { "raw", lookup_raw },
        [READER] = { "reader", lookup_reader },
        [RAW_WORDS] = { "raw-words", lookup_raw_words },
};

static struct reader *reader_new(void)
{
        struct reader *r = calloc(1, sizeof(*r));
        int ret;

        if (!r || k8shsvc_open(&r->h) < 0)
                bench_die("reader", ENOMEM);
        ret = khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &r->file);
        if (ret < 0)
                bench_die("open", ret);
        r->view = &r->file.view;
        return r;
}

static void reader_free(struct reader *r)
{
        khs_table_close(&r->file);
        k8shsvc_close(r->h);
        free(r);
}

/* ---- one contestant's turn ---- */

/* Names of a batch, made while nobody looks at the clock: hot, as a program's are. */
struct names {
        char text[N_BATCH][64];
        const char *prefix, *suffix;
        uint32_t n_services; /* 1: the same each time */
        uint64_t random;
};

static void names_next(struct names *names, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                (void)snprintf(names->text[i], sizeof(names->text[i]), "%sservice-%06u.default%s",
                               names->prefix ? names->prefix : "", bench_random(&names->random) % names->n_services,
                               names->suffix);
}

/* ns per call, the median of a turn's batches. */
static double turn(struct reader *r, lookup_fn *lookup, struct names *names, uint32_t n_expected)
{
        double took[N_BATCHES];

        if (names->n_services == 1)
                names_next(names, N_BATCH);
        for (int b = 0; b < N_BATCHES; b++) {
                uint64_t start;

                if (names->n_services > 1)
                        names_next(names, N_BATCH);
                start = bench_ticks();
                for (int i = 0; i < N_BATCH; i++) {
                        int n = lookup(r, names->text[i]);

                        if (n != (int)n_expected)
                                bench_die(names->text[i], n < 0 ? n : EBADMSG);
                }
                took[b] = (double)(bench_ticks() - start) * bench_ns_per_tick() / N_BATCH;
        }
        return bench_quantile(took, N_BATCHES, 0.5);
}

static double *single_calls(struct reader *r, lookup_fn *lookup, struct names *names, size_t n)
{
        double *took = calloc(n, sizeof(*took));

        if (!took)
                bench_die("calloc", ENOMEM);
        for (size_t i = 0; i < n; i++) {
                uint64_t start;

                if (i % N_BATCH == 0)
                        names_next(names, N_BATCH);
                start = bench_ticks();
                (void)lookup(r, names->text[i % N_BATCH]);
                took[i] = (double)(bench_ticks() - start) * bench_ns_per_tick() - timer_ns;
        }
        return took;
}

static double measure_timer(void)
{
        double took[1000];

        for (size_t i = 0; i < ARRAY_SIZE(took); i++) {
                uint64_t start = bench_ticks();

                took[i] = (double)(bench_ticks() - start) * bench_ns_per_tick();
        }
        return bench_quantile(took, ARRAY_SIZE(took), 0.5);
}

/* ---- all contestants on one table ---- */

struct comparison {
        double p50[N_CONTESTANTS], p99, p999;
        double api_ratio, reader_ratio;
};

static struct comparison compare(struct reader *r, struct names *names, uint32_t n_addresses)
{
        int n_rounds = quick ? N_QUICK : N_ROUNDS;
        double rounds[N_CONTESTANTS][N_ROUNDS], api_ratio[N_ROUNDS], reader_ratio[N_ROUNDS], *single;
        struct comparison ret;

        for (int c = 0; c < N_CONTESTANTS; c++)
                (void)turn(r, contestants[c].lookup, names, n_addresses);
        for (int i = 0; i < n_rounds; i++) {
                /* who goes first changes, too */
                for (int c = 0; c < N_CONTESTANTS; c++) {
                        int who = i % 2 ? c : N_CONTESTANTS - 1 - c;

                        rounds[who][i] = turn(r, contestants[who].lookup, names, n_addresses);
                }
                api_ratio[i] = rounds[API][i] / rounds[RAW][i];
                reader_ratio[i] = rounds[READER][i] / rounds[RAW_WORDS][i];
        }
        for (int c = 0; c < N_CONTESTANTS; c++)
                ret.p50[c] = bench_quantile(rounds[c], (size_t)n_rounds, 0.5);
        ret.api_ratio = bench_quantile(api_ratio, (size_t)n_rounds, 0.5);
        ret.reader_ratio = bench_quantile(reader_ratio, (size_t)n_rounds, 0.5);
        single = single_calls(r, lookup_api, names, N_SINGLE);
        ret.p99 = bench_quantile(single, N_SINGLE, 0.99);
        ret.p999 = bench_quantile(single, N_SINGLE, 0.999);
        free(single);
        return ret;
}

static void report_comparison(const char *section, const char *what, const struct comparison *c, double mib)
{
        const struct bench_cell cells[] = {
                { "table", what, 0, 0 },
                BENCH_NUMBER("file_mib", mib, 1),
                BENCH_NUMBER("api_ns", c->p50[API], 1),
                BENCH_NUMBER("raw_ns", c->p50[RAW], 1),
                BENCH_NUMBER("api/raw", c->api_ratio, 2),
                BENCH_NUMBER("reader_ns", c->p50[READER], 1),
                BENCH_NUMBER("words_ns", c->p50[RAW_WORDS], 1),
                BENCH_NUMBER("reader/words", c->reader_ratio, 2),
                BENCH_NUMBER("api_p99_ns", c->p99, 0),
                BENCH_NUMBER("api_p99.9_ns", c->p999, 0),
        };

        bench_row(section, cells, ARRAY_SIZE(cells));
}

/* In a process of its own: its map is of this table from the start. */
static struct comparison compare_in_child(struct bench_size size, const char *suffix, bool hot)
{
        struct comparison *shared, ret;
        int status;
        pid_t pid;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                bench_die("mmap", errno);
        pid = fork();
        if (pid == 0) {
                struct names names = { .suffix = suffix, .n_services = hot ? 1 : size.n_services, .random = 7 };
                struct reader *r = reader_new();

                *shared = compare(r, &names, size.n_addresses);
                reader_free(r);
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                bench_die("a measurement failed", ECHILD);
        ret = *shared;
        (void)munmap(shared, sizeof(*shared));
        return ret;
}

/* Return: the worst ratio of those that have a bar. */
static double bench_hot(int dir_fd)
{
        static const uint32_t n_addresses[] = { 1, 3 };
        static const char *const suffixes[] = { "", ".svc.cluster.local" };
        double worst = 0;

        for (size_t i = 0; i < ARRAY_SIZE(n_addresses); i++) {
                struct bench_size size = { 1000, n_addresses[i] };
                struct daemon d = daemon_start(dir_fd, size, 0);

                for (size_t s = 0; s < ARRAY_SIZE(suffixes); s++) {
                        struct comparison c = compare_in_child(size, suffixes[s], true);
                        char what[64];

                        (void)snprintf(what, sizeof(what), "%u addr, S.N%s", size.n_addresses, suffixes[s]);
                        report_comparison("hot: one service", what, &c, (double)d.shared->file_bytes / (1 << 20));
                        worst = c.api_ratio > worst ? c.api_ratio : worst;
                }
                daemon_stop(&d);
        }
        return worst;
}

/* Return: the ratio for 10,000 x 50. */
static double bench_random_services(int dir_fd)
{
        static const uint32_t n_services[] = { 1000, 10000, 100000 }, n_addresses[] = { 1, 3, 50, 500 };
        double ret = 0;

        for (size_t s = 0; s < ARRAY_SIZE(n_services); s++) {
                for (size_t a = 0; a < ARRAY_SIZE(n_addresses); a++) {
                        struct bench_size size = { n_services[s], n_addresses[a] };
                        struct comparison c;
                        struct daemon d;
                        char what[64];

                        if (!bench_fits(size))
                                continue;
                        d = daemon_start(dir_fd, size, 0);
                        c = compare_in_child(size, ".svc.cluster.local", false);
                        (void)snprintf(what, sizeof(what), "%u services x %u", size.n_services, size.n_addresses);
                        report_comparison("random: any service", what, &c, (double)d.shared->file_bytes / (1 << 20));
                        if (size.n_services == 10000 && size.n_addresses == 50)
                                ret = c.api_ratio;
                        daemon_stop(&d);
                }
        }
        return ret;
}

/* ---- attributes ---- */

static const struct {
        const char *what, *prefix, *suffix;
        uint32_t n_addresses;
} attr_names[] = {
        { "the service", "", ".svc.cluster.local", 50 },
        { "each endpoint's port by name", "", ".svc.cluster.local:grpc", 50 },
        { "each endpoint's port, base + ordinal", "", ".svc.cluster.local:3000+", 50 },
        { "a pod", "user-435761.", ".svc.cluster.local", 1 },
};

#define N_ATTR_NAMES ARRAY_SIZE(attr_names)

static void compare_attrs(struct reader *r, double p50[N_ATTR_NAMES])
{
        int n_rounds = quick ? N_QUICK : N_ROUNDS;
        double rounds[N_ATTR_NAMES][N_ROUNDS];

        for (int i = 0; i < n_rounds; i++) {
                for (size_t a = 0; a < N_ATTR_NAMES; a++) {
                        struct names names = { .prefix = attr_names[a].prefix,
                                               .suffix = attr_names[a].suffix,
                                               .n_services = 1 };

                        rounds[a][i] = turn(r, lookup_api, &names, attr_names[a].n_addresses);
                }
        }
        for (size_t a = 0; a < N_ATTR_NAMES; a++)
                p50[a] = bench_quantile(rounds[a], (size_t)n_rounds, 0.5);
}

static void bench_attrs(int dir_fd)
{
        const struct bench_size size = { 1000, 50, .attrs = true };
        struct daemon d = daemon_start(dir_fd, size, 0);
        double *p50;
        int status;
        pid_t pid;

        p50 = mmap(NULL, sizeof(*p50) * N_ATTR_NAMES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p50 == MAP_FAILED)
                bench_die("mmap", errno);
        pid = fork();
        if (pid == 0) {
                compare_attrs(reader_new(), p50);
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                bench_die("a measurement failed", ECHILD);
        for (size_t a = 0; a < N_ATTR_NAMES; a++) {
                const struct bench_cell cells[] = {
                        { "asked for", attr_names[a].what, 0, 0 },
                        BENCH_NUMBER("api_ns", p50[a], 1),
                        BENCH_NUMBER("to the service", p50[a] / p50[0], 2),
                };

                bench_row("attributes: hot, a service of 50 with hosts, nodes, ports", cells, ARRAY_SIZE(cells));
        }
        (void)munmap(p50, sizeof(*p50) * N_ATTR_NAMES);
        daemon_stop(&d);
}

/* ---- picks ---- */

static __attribute__((noinline)) int lookup_pick(struct reader *r, const char *name)
{
        struct sockaddr_storage addr;
        socklen_t n;
        int ret = k8shsvc_pick(r->h, name, AF_UNSPEC, &addr, &n);

        return ret < 0 ? ret : 1;
}

/* As a handle that cannot reach one pod of another service. */
static __attribute__((noinline)) int lookup_pick_after_report(struct reader *r, const char *name)
{
        static const struct sockaddr_in elsewhere = { .sin_family = AF_INET };
        static bool reported;

        if (!reported)
                (void)k8shsvc_report(r->h, (const struct sockaddr *)&elsewhere, sizeof(elsewhere), ECONNREFUSED);
        reported = true;
        return lookup_pick(r, name);
}

static const struct {
        const char *what, *suffix;
        lookup_fn *lookup;
} picks[] = {
        { "S.N", "", lookup_pick },
        { "S.N.svc.cluster.local", ".svc.cluster.local", lookup_pick },
        { "S.N.svc.cluster.local:8443", ".svc.cluster.local:8443", lookup_pick },
        { "S.N.svc.cluster.local, after a report", ".svc.cluster.local", lookup_pick_after_report },
};

#define N_PICKS ARRAY_SIZE(picks)

static void compare_picks(struct reader *r, double p50[N_PICKS])
{
        int n_rounds = quick ? N_QUICK : N_ROUNDS;
        double rounds[N_ROUNDS];

        for (size_t p = 0; p < N_PICKS; p++) {
                struct names names = { .suffix = picks[p].suffix, .n_services = 1 };

                for (int i = 0; i < n_rounds; i++)
                        rounds[i] = turn(r, picks[p].lookup, &names, 1);
                p50[p] = bench_quantile(rounds, (size_t)n_rounds, 0.5);
        }
}

/* Return: the worst, in ns. */
static double bench_picks(int dir_fd)
{
        struct daemon d = daemon_start(dir_fd, (struct bench_size){ 1000, 50 }, 0);
        double *p50, worst = 0;
        int status;
        pid_t pid;

        p50 = mmap(NULL, sizeof(*p50) * N_PICKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p50 == MAP_FAILED)
                bench_die("mmap", errno);
        pid = fork();
        if (pid == 0) {
                compare_picks(reader_new(), p50);
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                bench_die("a measurement failed", ECHILD);
        for (size_t p = 0; p < N_PICKS; p++) {
                const struct bench_cell cells[] = {
                        { "asked for", picks[p].what, 0, 0 },
                        BENCH_NUMBER("pick_ns", p50[p], 1),
                };

                bench_row("picks: hot, a service of 50", cells, ARRAY_SIZE(cells));
                worst = p50[p] > worst ? p50[p] : worst;
        }
        (void)munmap(p50, sizeof(*p50) * N_PICKS);
        daemon_stop(&d);
        return worst;
}

/* ---- readers while a writer publishes ---- */

struct slot {
        pthread_t thread;
        pid_t pid;
        k8shsvc *h;
        struct bench_size size;
        uint64_t seed, n_lookups, n_gave_up, n_failed;
        uint32_t hist[N_HIST];
};

static uint64_t concurrent_ns;

static void *read_all_the_time(void *userdata)
{
        static __thread struct reader r;
        struct slot *slot = userdata;
        struct names names = { .suffix = ".svc.cluster.local",
                               .n_services = slot->size.n_services,
                               .random = slot->seed };
        uint64_t end = bench_now_ns() + concurrent_ns;

        r.h = slot->h;
        while (bench_now_ns() < end) {
                names_next(&names, N_BATCH);
                for (int i = 0; i < N_BATCH; i++) {
                        uint64_t start = bench_ticks();
                        int n = lookup_api(&r, names.text[i]);
                        double ns = (double)(bench_ticks() - start) * bench_ns_per_tick() - timer_ns;

                        slot->hist[ns < 0 ? 0 : ns >= N_HIST - 1 ? N_HIST - 1 : (uint32_t)ns]++;
                        slot->n_lookups++;
                        slot->n_gave_up += n == -ENOTCONN || n == -EBUSY;
                        slot->n_failed += n != (int)slot->size.n_addresses;
                }
        }
        return NULL;
}

static double hist_quantile(const struct slot *slots, uint32_t n_slots, double q)
{
        uint64_t n = 0, sum = 0;
        uint32_t ns;

        for (uint32_t i = 0; i < n_slots; i++)
                n += slots[i].n_lookups;
        for (ns = 0; ns < N_HIST - 1; ns++) {
                for (uint32_t i = 0; i < n_slots; i++)
                        sum += slots[i].hist[ns];
                if ((double)sum > (double)n * q)
                        break;
        }
        return ns;
}

struct concurrency {
        double p50, p99, p999;
        uint64_t n_lookups, n_gave_up, n_failed;
};

static struct slot *slots;

/* Threads share a process's maps and pins; they run in a child whose map is of this table. */
static void run_threads(uint32_t n)
{
        pid_t pid = fork();

        if (pid == 0) {
                k8shsvc *h;

                if (k8shsvc_open(&h) < 0)
                        bench_die("open", ENOMEM);
                for (uint32_t i = 0; i < n; i++) {
                        slots[i].h = h;
                        if (pthread_create(&slots[i].thread, NULL, read_all_the_time, &slots[i]) != 0)
                                bench_die("thread", EAGAIN);
                }
                for (uint32_t i = 0; i < n; i++)
                        (void)pthread_join(slots[i].thread, NULL);
                _exit(0);
        }
        (void)waitpid(pid, NULL, 0);
}

static void run_processes(uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                slots[i].pid = fork();
                if (slots[i].pid == 0) {
                        if (k8shsvc_open(&slots[i].h) < 0)
                                bench_die("open", ENOMEM);
                        (void)read_all_the_time(&slots[i]);
                        _exit(0);
                }
        }
        for (uint32_t i = 0; i < n; i++)
                (void)waitpid(slots[i].pid, NULL, 0);
}

static struct concurrency run_readers(struct bench_size size, uint32_t n, bool threads)
{
        struct concurrency ret = { 0 };

        memset(slots, 0, sizeof(*slots) * N_READERS);
        for (uint32_t i = 0; i < n; i++) {
                slots[i].size = size;
                slots[i].seed = i + 1;
        }
        if (threads)
                run_threads(n);
        else
                run_processes(n);
        ret.p50 = hist_quantile(slots, n, 0.5);
        ret.p99 = hist_quantile(slots, n, 0.99);
        ret.p999 = hist_quantile(slots, n, 0.999);
        for (uint32_t i = 0; i < n; i++) {
                ret.n_lookups += slots[i].n_lookups;
                ret.n_gave_up += slots[i].n_gave_up;
                ret.n_failed += slots[i].n_failed;
        }
        return ret;
}

static void report_concurrency(const char *what, const struct concurrency *c, uint32_t n_published, double mib)
{
        const struct bench_cell cells[] = {
                { "readers", what, 0, 0 },
                BENCH_NUMBER("published", n_published, 0),
                BENCH_NUMBER("file_mib", mib, 1),
                BENCH_NUMBER("lookups", c->n_lookups, 0),
                BENCH_NUMBER("p50_ns", c->p50, 0),
                BENCH_NUMBER("p99_ns", c->p99, 0),
                BENCH_NUMBER("p99.9_ns", c->p999, 0),
                BENCH_NUMBER("gave_up", c->n_gave_up, 0),
                BENCH_NUMBER("failed", c->n_failed, 0),
        };

        bench_row("readers and a writer: 10000 services x 50", cells, ARRAY_SIZE(cells));
}

/* Sets the idle p50 and the p99 under 10,000 publishes a second of one reader; returns all that gave up. */
static uint64_t bench_concurrent(int dir_fd, double *ret_idle_p50, double *ret_busy_p99)
{
        static const uint32_t rates[] = { 0, 1000, 10000, 100000 }, n_readers[] = { 1, 2, 4, 8 };
        const struct bench_size size = { 10000, 50 };
        uint64_t n_gave_up = 0;

        concurrent_ns = quick ? 300000000 : 1500000000;
        slots = mmap(NULL, sizeof(*slots) * N_READERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (slots == MAP_FAILED)
                bench_die("mmap", errno);
        for (size_t rate = 0; rate < ARRAY_SIZE(rates); rate++) {
                struct daemon d = daemon_start(dir_fd, size, rates[rate]);

                for (size_t i = 0; i < 2 * ARRAY_SIZE(n_readers); i++) {
                        uint32_t n = n_readers[i / 2], before = d.shared->n_published;
                        struct concurrency c;
                        char what[64];

                        if (n == 1 && i % 2)
                                continue;
                        c = run_readers(size, n, i % 2 == 0);
                        (void)snprintf(what, sizeof(what), "%u %s, %u publishes/s", n,
                                       i % 2 == 0 ? "threads" : "processes", rates[rate]);
                        report_concurrency(what, &c, d.shared->n_published - before,
                                           (double)d.shared->file_bytes / (1 << 20));
                        n_gave_up += c.n_gave_up + c.n_failed;
                        if (n == 1 && rates[rate] == 0)
                                *ret_idle_p50 = c.p50;
                        if (n == 1 && rates[rate] == 10000)
                                *ret_busy_p99 = c.p99;
                }
                daemon_stop(&d);
        }
        return n_gave_up;
}

/* ---- for strace and valgrind ---- */

/* As a daemon that replaces its file all the time, or that has died. */
static void spin_daemon(struct khs_writer *w, const char *phase)
{
        if (fork() != 0)
                return;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                if (strcmp(phase, "silent") != 0)
                        khs_writer_beat(w);
                if (strcmp(phase, "replaced") == 0)
                        (void)khs_writer_renew(w, NULL, khs_clock_ds(CLOCK_BOOTTIME));
                (void)usleep(100000);
        }
}

/* A daemon that was last heard of 15 s ago: replaces the header's beat. */
static void make_silent(int dir_fd)
{
        int fd = openat(dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        struct khs_table_header *header = mmap(NULL, KHS_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (header == MAP_FAILED)
                bench_die("mmap", errno);
        header->beat_boot_ds -= 150;
        header->beat_real_ds -= 150;
        (void)munmap(header, KHS_HEADER_SIZE);
        (void)close(fd);
}

/* A small table, whose daemon goes through this phase. */
static struct reader *spin_reader(int dir_fd, const char *phase)
{
        struct khs_table_params params = bench_params();
        struct khs_writer *w;
        int r;

        r = khs_writer_new(&w, dir_fd, &params, 1);
        if (r < 0)
                bench_die("table", r);
        bench_fill(w, (struct bench_size){ 100, 3 });
        r = khs_writer_publish(w);
        if (r < 0)
                bench_die("publish", r);
        if (strcmp(phase, "silent") == 0)
                make_silent(dir_fd);
        spin_daemon(w, phase);
        return reader_new();
}

static int spin(int dir_fd, uint64_t msec, const char *phase)
{
        struct names names = { .n_services = 1, .suffix = ".svc.cluster.local" };
        struct reader *r = spin_reader(dir_fd, phase);
        uint64_t end, n_lookups = 0, n_failed = 0;

        names_next(&names, N_BATCH);
        n_failed += lookup_api(r, names.text[0]) != 3; /* opens */
        end = bench_now_ns() + msec * 1000000;
        (void)getppid();
        while (bench_now_ns() < end) {
                for (int i = 0; i < 1000; i++)
                        n_failed += lookup_api(r, names.text[i % N_BATCH]) != 3;
                n_lookups += 1000;
        }
        (void)getppid();
        printf("%llu lookups, %llu failed\n", (unsigned long long)n_lookups, (unsigned long long)n_failed);
        return n_failed > 0;
}

static int calls(int dir_fd, uint64_t count, const char *contestant, const char *suffix)
{
        struct names names = { .n_services = 1, .suffix = suffix };
        struct reader *r = spin_reader(dir_fd, "steady");
        uint64_t n_failed = 0;
        int c = 0;

        while (c < N_CONTESTANTS && strcmp(contestants[c].name, contestant) != 0)
                c++;
        if (c == N_CONTESTANTS)
                bench_die(contestant, EINVAL);
        names_next(&names, N_BATCH);
        for (uint64_t i = 0; i < count; i++)
                n_failed += contestants[c].lookup(r, names.text[0]) != 3;
        return n_failed > 0;
}

int main(int argc, char **argv)
{
        double hot = 0, pick = 0, random = 0, idle_p50 = 1, busy_p99 = 0;
        bool json = false, only[3] = { false };
        uint64_t n_gave_up = 0;
        int dir_fd;

        if (argc == 4 && strcmp(argv[1], "--spin") == 0)
                return spin(bench_enter_rundir(), strtoull(argv[2], NULL, 10), argv[3]);
        if (argc == 5 && strcmp(argv[1], "--calls") == 0)
                return calls(bench_enter_rundir(), strtoull(argv[2], NULL, 10), argv[3], argv[4]);
        for (int i = 1; i < argc; i++) {
                json = json || strcmp(argv[i], "--json") == 0;
                quick = quick || strcmp(argv[i], "--quick") == 0;
                only[0] = only[0] || strcmp(argv[i], "--hot") == 0;
                only[1] = only[1] || strcmp(argv[i], "--random") == 0;
                only[2] = only[2] || strcmp(argv[i], "--concurrent") == 0;
        }
        if (!only[0] && !only[1] && !only[2])
                only[0] = only[1] = only[2] = true;
        dir_fd = bench_enter_rundir();
        timer_ns = measure_timer();
        bench_begin(json);
        if (only[0]) {
                hot = bench_hot(dir_fd);
                bench_attrs(dir_fd);
                pick = bench_picks(dir_fd);
        }
        if (only[1])
                random = bench_random_services(dir_fd);
        if (only[2])
                n_gave_up = bench_concurrent(dir_fd, &idle_p50, &busy_p99);

        if (only[0]) {
                bench_bar("api / raw, hot, 1 and 3 addresses", hot, 2, 2, true);
                bench_bar("a pick, hot, ns", pick, 150, 1, true);
        }
        if (only[1])
                bench_bar("api / raw, random 10000 x 50", random, 2, 2, true);
        if (only[2]) {
                bench_bar("p99 at 10000 publishes/s / idle p50", busy_p99 / idle_p50, 10, 2, true);
                bench_bar("lookups that gave up or failed", (double)n_gave_up, 0, 0, true);
        }
        return bench_end();
}
