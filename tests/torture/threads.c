/*
 * One process with threads that look up, forks of it that look up, and files that are replaced as fast
 * as the writer can.
 *
 * A process looks for a newer file once a second. Here each lookup that finds its file replaced may
 * look: read/map.c is compiled into this program with a clock of its own, in which a second passes
 * between any two looks. All its races are met thousands of times as often.
 *
 *     threads [N-REPLACEMENTS] [--slow-clock]     --slow-clock: with the real clock
 *
 * Some of the threads are slow: they hold what they pinned for many replacements, and look at it again
 * before they let go.
 *
 * Counted: lookups that fail, are torn or go backwards within a thread; in forked children, too; and
 * the maps that are alive at once, as the process keeps them and as the kernel lists them.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "torture.h"

static bool slow_clock;

/* A second passes between two calls for the clock by which looks are spaced. */
static inline uint32_t torture_clock_ds(clockid_t clock)
{
        static _Atomic uint32_t monotonic_ds = 1000;

        if (clock != CLOCK_MONOTONIC_COARSE || slow_clock)
                return khs_clock_ds(clock);
        return atomic_fetch_add_explicit(&monotonic_ds, 20, memory_order_relaxed);
}

/* Now and then a thread loses the CPU where it hurts: when it knows the current map, and has not yet pinned
 * it. */
static inline void dawdle(void)
{
        static __thread uint32_t n;

        if (++n % 512 == 0 && !slow_clock)
                (void)usleep(200);
}

#define khs_clock_ds                           torture_clock_ds
#define __atomic_fetch_add(word, value, order) (dawdle(), __atomic_fetch_add(word, value, order))
#include "../../lib/read/map.c"
#undef khs_clock_ds
#undef __atomic_fetch_add

#define N_SERVICES 12
#define N_THREADS  6
#define N_HOLDERS  4 /* more than maps */
#define MAX_MAPS   3
#define HOLD_USEC  20000

struct counts {
        uint64_t n_lookups, n_failed, n_torn, n_backwards, n_own;
        int last_error;
};

struct writer_state {
        uint32_t ready, stop, n_replaced;
        int error;
};

static struct writer_state *ws;
static _Atomic bool stop;
static unsigned int most_maps, most_listed;

/* ---- the writer, a process ---- */

static void writer(int dir_fd, uint32_t n_replacements)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *w;
        uint32_t version = 1;

        ws->error = khs_writer_new(&w, dir_fd, &params, 1);
        for (uint32_t i = 0; ws->error == 0 && i < N_SERVICES; i++)
                ws->error = torture_put(w, i, version, torture_now());
        if (ws->error == 0)
                ws->error = khs_writer_publish(w);
        ws->ready = 1;
        while (ws->error == 0 && ws->n_replaced < n_replacements && !__atomic_load_n(&ws->stop, __ATOMIC_RELAXED)) {
                version++;
                for (uint32_t i = 0; ws->error == 0 && i < N_SERVICES; i++)
                        ws->error = torture_put(w, i, version, torture_now());
                if (ws->error == 0)
                        ws->error = khs_writer_renew(w, NULL, torture_now());
                khs_writer_beat(w);
                ws->n_replaced++;
        }
        while (!__atomic_load_n(&ws->stop, __ATOMIC_RELAXED)) {
                khs_writer_beat(w);
                (void)usleep(10000);
        }
        _exit(0);
}

/* ---- readers ---- */

static void look_up(k8shsvc *h, uint32_t i, uint32_t *last, struct counts *ret)
{
        struct k8shsvc_addr addrs[64];
        uint32_t version;
        char key[48];
        size_t n;
        int r;

        (void)torture_key(i, key);
        ret->n_lookups++;
        r = k8shsvc_lookup(h, key, AF_UNSPEC, addrs, 64, &n);
        if (r < 0) {
                ret->n_failed++;
                ret->last_error = r;
                return;
        }
        if (torture_addrs(i, addrs, n, &version) < 0) {
                ret->n_torn++;
                return;
        }
        ret->n_backwards += version < *last;
        *last = version;
}

static k8shsvc *handle;

static void *reader(void *userdata)
{
        uint32_t last[N_SERVICES] = { 0 };
        struct counts *counts = userdata;

        for (uint32_t k = 0; !atomic_load_explicit(&stop, memory_order_relaxed); k++)
                look_up(handle, k % N_SERVICES, &last[k % N_SERVICES], counts);
        return NULL;
}

/* Holds maps for longer than a file lasts. What it holds stays what it was. */
static void *holder(void *userdata)
{
        struct counts *counts = userdata;

        for (uint32_t k = 0; !atomic_load_explicit(&stop, memory_order_relaxed); k++) {
                uint32_t i = k % N_SERVICES, before = 0, after = 0;
                struct khs_pin pin;
                int r = khs_map_enter(&pin);

                counts->n_lookups++;
                if (r < 0) {
                        counts->n_failed++;
                        counts->last_error = r;
                        continue;
                }
                r = torture_read(pin.view, i, &before);
                (void)usleep((useconds_t)(k * 7919 % HOLD_USEC));
                if (r == 0)
                        r = torture_read(pin.view, i, &after);
                counts->n_torn += r < 0;
                counts->n_backwards += after < before;
                counts->n_own += pin.count == NULL;
                khs_map_leave(&pin);
        }
        return NULL;
}

/* Maps of the table that this process has, as the kernel lists them. */
static unsigned int listed_maps(void)
{
        static char text[1 << 16];
        unsigned int n = 0;
        ssize_t n_read;
        size_t done = 0;
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

        while ((n_read = read(fd, text + done, sizeof(text) - 1 - done)) > 0)
                done += (size_t)n_read;
        (void)close(fd);
        text[done] = '\0';
        for (const char *at = text; (at = strstr(at, "/" KHS_TABLE_NAME)); at++)
                n++;
        return n;
}

/* Under the lock nothing is mapped or unmapped: the list is one of a moment. */
static void *count_maps(void *unused)
{
        (void)unused;
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
                unsigned int n = 0;

                (void)usleep(1000);
                if (!khs_process_trylock(&khs_process.remap_owner))
                        continue;
                for (uint32_t i = 0; i < KHS_N_MAPS; i++)
                        n += maps[i].mapped != 0;
                most_maps = n > most_maps ? n : most_maps;
                n = listed_maps();
                most_listed = n > most_listed ? n : most_listed;
                khs_process_unlock(&khs_process.remap_owner);
        }
        return NULL;
}

/* A child of the busy process. Return: 0, or how it failed. */
static int forked_child(void)
{
        uint32_t last[N_SERVICES] = { 0 };
        struct counts counts = { 0 };

        for (uint32_t k = 0; k < 40; k++)
                look_up(handle, k % N_SERVICES, &last[k % N_SERVICES], &counts);
        return counts.n_failed ? 1 : counts.n_torn ? 2 : counts.n_backwards ? 3 : 0;
}

/* Return: the version that a lookup gives in the end; no later than a second after it was written. */
static uint32_t await_newest(uint32_t wanted)
{
        double start = torture_seconds();
        uint32_t last[1] = { 0 };
        struct counts counts = { 0 };

        while (last[0] != wanted && torture_seconds() - start < 2) {
                look_up(handle, 0, last, &counts);
                (void)usleep(1000);
        }
        return last[0];
}

int main(int argc, char **argv)
{
        uint32_t newest, n_replacements = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000;
        uint64_t n_forks = 0, n_bad_forks = 0;
        double start = torture_seconds();
        struct counts counts[N_THREADS + N_HOLDERS] = { { 0 } }, all = { 0 };
        pthread_t threads[N_THREADS + N_HOLDERS], counter;
        int status = 0, first_bad = 0, dir_fd;
        pid_t pid;

        slow_clock = argc > 2 && strcmp(argv[2], "--slow-clock") == 0;
        ws = torture_shared(sizeof(*ws));
        dir_fd = torture_rundir("mode=755");
        if (dir_fd < 0)
                tap_skip_all("needs root and a mount namespace");
        pid = torture_fork();
        if (pid == 0)
                writer(dir_fd, n_replacements);
        while (!__atomic_load_n(&ws->ready, __ATOMIC_RELAXED))
                (void)usleep(1000);
        if (k8shsvc_open(&handle) < 0)
                die("handle");

        for (unsigned int i = 0; i < N_THREADS + N_HOLDERS; i++) {
                if (pthread_create(&threads[i], NULL, i < N_THREADS ? reader : holder, &counts[i]) != 0)
                        die("thread");
        }
        if (pthread_create(&counter, NULL, count_maps, NULL) != 0)
                die("thread");
        while (__atomic_load_n(&ws->n_replaced, __ATOMIC_RELAXED) < n_replacements && ws->error == 0) {
                pid_t child = fork();

                if (child == 0)
                        _exit(forked_child());
                if (child < 0 || waitpid(child, &status, 0) != child)
                        die("fork");
                n_forks++;
                n_bad_forks += status != 0;
                if (status != 0 && !first_bad)
                        first_bad = status;
        }
        newest = await_newest(n_replacements + 1);
        stop = true;
        for (unsigned int i = 0; i < N_THREADS + N_HOLDERS; i++)
                (void)pthread_join(threads[i], NULL);
        (void)pthread_join(counter, NULL);
        __atomic_store_n(&ws->stop, 1, __ATOMIC_RELAXED);
        (void)waitpid(pid, &status, 0);

        for (unsigned int i = 0; i < N_THREADS + N_HOLDERS; i++) {
                all.n_lookups += counts[i].n_lookups;
                all.n_own += counts[i].n_own;
                all.n_failed += counts[i].n_failed;
                all.n_torn += counts[i].n_torn;
                all.n_backwards += counts[i].n_backwards;
                all.last_error = counts[i].last_error ? counts[i].last_error : all.last_error;
        }
        tap_ok(ws->error == 0 && ws->n_replaced == n_replacements, "%u files replaced (%d)", ws->n_replaced, ws->error);
        tap_ok(all.n_failed == 0, "%llu lookups in %d threads, %llu failed (%d)", (unsigned long long)all.n_lookups,
               N_THREADS + N_HOLDERS, (unsigned long long)all.n_failed, all.last_error);
        tap_ok(all.n_torn == 0, "%llu torn", (unsigned long long)all.n_torn);
        tap_ok(all.n_backwards == 0, "%llu went back", (unsigned long long)all.n_backwards);
        tap_ok(n_bad_forks == 0, "%llu forks of the busy process, %llu failed (status %x)", (unsigned long long)n_forks,
               (unsigned long long)n_bad_forks, (unsigned int)first_bad);
        tap_ok(newest == n_replacements + 1, "version %u in the end", newest);
        tap_ok(slow_clock || all.n_own > 0, "%llu times a slow thread read the file by itself",
               (unsigned long long)all.n_own);
        tap_ok(most_maps <= MAX_MAPS && (slow_clock || most_maps >= 2), "at most %u maps kept at a time", most_maps);
        tap_ok(most_listed <= MAX_MAPS, "at most %u maps listed at a time", most_listed);
        map_unmap_retired();
        tap_ok(listed_maps() == 1, "%u maps can't be given back in the end", listed_maps() - 1);
        printf("# %.1f s\n", torture_seconds() - start);
        return tap_done();
}
