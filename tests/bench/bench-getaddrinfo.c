/*
 * One contender of the getaddrinfo() benchmark: looks a name up whenever it is told to, and says how long
 * that took. What it is told comes from run-getaddrinfo.py, which lets many of these take turns, each in a
 * mount namespace with an nsswitch.conf of its own. Nothing is compared here.
 *
 *     bench-getaddrinfo NAME FAMILY(0|4)                  reads commands, one a line, answers each by one line
 *     bench-getaddrinfo --once NAME FAMILY                one lookup: what is started cold
 *     bench-getaddrinfo --marked NAME FAMILY COUNT        COUNT lookups between two getppid(): for strace
 *     bench-getaddrinfo --direct MODULE NAME FAMILY COUNT COUNT calls of the module itself: for callgrind
 *
 *     answer              ADDRESS...                      of one lookup, in order
 *     calls MSEC          COUNT P50 P90 P99               lookups for so long; nanoseconds, without the clock's
 *     threads N MSEC      LOOKUPS                         a second, of N threads together
 *     cold COUNT          P50                             fork, exec, one lookup, exit: nanoseconds
 *     own MODULE COUNT    P50                             one call of the module's own function: nanoseconds
 *     record MODULE COUNT ADDRESS,ADDRESS ADDRESS ...     what COUNT calls of that function return
 */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_SAMPLES   (1U << 20)
#define N_WARM_UP   20 /* lookups before a slice: a process that has slept has cold caches */
#define N_BATCHES   64
#define MAX_THREADS 64

extern char **environ;

static const char *name;
static int family;
static uint32_t samples[N_SAMPLES];

static void fail(const char *what, const char *why)
{
        fprintf(stderr, "bench-getaddrinfo: %s: %s\n", what, why);
        exit(1);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static void sort(size_t n)
{
        qsort(samples, n, sizeof(*samples), compare);
}

static uint32_t sorted_quantile(size_t n, double q)
{
        return samples[(size_t)((double)(n - 1) * q)];
}

static struct addrinfo *look_up(void)
{
        const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
        struct addrinfo *list;
        int r = getaddrinfo(name, "80", &hints, &list);

        if (r != 0)
                fail(name, gai_strerror(r));
        return list;
}

static void look_up_n(long n)
{
        for (long i = 0; i < n; i++)
                freeaddrinfo(look_up());
}

/* Fewer where they would take longer than what they are for. */
static void warm_up(long msec)
{
        uint64_t end = now_ns() + (uint64_t)msec * 250000;

        for (int i = 0; i < N_WARM_UP && (i == 0 || now_ns() < end); i++)
                freeaddrinfo(look_up());
}

static void print_address(int of_family, const void *address)
{
        char text[INET6_ADDRSTRLEN];

        fputs(inet_ntop(of_family, address, text, sizeof(text)), stdout);
}

static void do_answer(void)
{
        struct addrinfo *list = look_up();

        for (const struct addrinfo *i = list; i; i = i->ai_next) {
                print_address(i->ai_family, i->ai_family == AF_INET
                                                    ? (void *)&((struct sockaddr_in *)(void *)i->ai_addr)->sin_addr
                                                    : (void *)&((struct sockaddr_in6 *)(void *)i->ai_addr)->sin6_addr);
                fputs(i->ai_next ? " " : "\n", stdout);
        }
        freeaddrinfo(list);
}

/* What two looks at the clock cost, which is in every sample, and in which steps it moves. */
static struct {
        uint32_t cost;
        uint32_t step;
} clock_facts;

static void learn_clock(void)
{
        const size_t n = 1001;

        if (clock_facts.step > 0)
                return;
        for (size_t i = 0; i < n; i++) {
                uint64_t start = now_ns();

                samples[i] = (uint32_t)(now_ns() - start);
        }
        sort(n);
        clock_facts.cost = sorted_quantile(n, 0.5);
        clock_facts.step = 1;
        for (size_t i = 1; i < n * 9 / 10; i++) {
                if (samples[i] - samples[i - 1] > clock_facts.step)
                        clock_facts.step = samples[i] - samples[i - 1];
        }
}

/* The median, interpolated inside the clock's step: that of a virtual machine is 10 ns. */
static double sorted_median(size_t n)
{
        uint32_t median = sorted_quantile(n, 0.5);
        double low = median - clock_facts.step / 2.0;
        size_t n_below = 0, n_inside = 0;

        for (size_t i = 0; i < n && samples[i] <= low + clock_facts.step; i++) {
                if (samples[i] < low)
                        n_below++;
                else
                        n_inside++;
        }
        return low + clock_facts.step * ((double)n / 2 - (double)n_below) / (double)n_inside;
}

static void do_calls(long msec)
{
        uint64_t start, end, next;
        size_t n = 0;

        learn_clock();
        warm_up(msec);
        end = now_ns() + (uint64_t)msec * 1000000;
        do {
                start = now_ns();
                freeaddrinfo(look_up());
                next = now_ns();
                samples[n++] = (uint32_t)(next - start);
        } while (next < end && n < N_SAMPLES);
        sort(n);
        printf("%zu %.1f %u %u\n", n, sorted_median(n) - clock_facts.cost, sorted_quantile(n, 0.9) - clock_facts.cost,
               sorted_quantile(n, 0.99) - clock_facts.cost);
}

/* ---- threads ---- */

static pthread_barrier_t ready;
static bool stop;

struct thread {
        pthread_t id;
        long msec;
        uint64_t n_calls, start, end;
} __attribute__((aligned(64)));

static void *thread_main(void *data)
{
        struct thread *thread = data;
        uint64_t n = 0;

        warm_up(thread->msec);
        (void)pthread_barrier_wait(&ready);
        thread->start = now_ns();
        for (; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++)
                freeaddrinfo(look_up());
        thread->end = now_ns();
        thread->n_calls = n;
        return NULL;
}

static void do_threads(unsigned int n_threads, long msec)
{
        const struct timespec slice = { msec / 1000, msec % 1000 * 1000000 };
        static struct thread threads[MAX_THREADS];
        uint64_t start = UINT64_MAX, end = 0, n_calls = 0;

        if (n_threads < 1 || n_threads > MAX_THREADS || pthread_barrier_init(&ready, NULL, n_threads + 1) != 0)
                fail("threads", "bad number");
        stop = false;
        for (unsigned int i = 0; i < n_threads; i++) {
                threads[i].msec = msec;
                if (pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) != 0)
                        fail("pthread_create", "refused");
        }
        (void)pthread_barrier_wait(&ready);
        (void)nanosleep(&slice, NULL);
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        for (unsigned int i = 0; i < n_threads; i++) {
                (void)pthread_join(threads[i].id, NULL);
                n_calls += threads[i].n_calls;
                start = threads[i].start < start ? threads[i].start : start;
                end = threads[i].end > end ? threads[i].end : end;
        }
        (void)pthread_barrier_destroy(&ready);
        /* Not this thread's time: it may get a processor again long after the others have begun. */
        printf("%.0f\n", (double)n_calls * 1e9 / (double)(end - start));
}

/* ---- cold starts ---- */

static void start_cold(void)
{
        char *argv[] = { (char *)"bench-getaddrinfo", (char *)"--once", (char *)name,
                         (char *)(family == AF_INET ? "4" : "0"), NULL };
        int r, status;
        pid_t pid;

        /* vfork() inside: what this process has mapped does not count. */
        r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
        if (r != 0)
                fail("posix_spawn", strerror(r));
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                fail("a cold start", "failed");
}

static void do_cold(long count)
{
        start_cold();
        for (long i = 0; i < count; i++) {
                uint64_t start = now_ns();

                start_cold();
                samples[i] = (uint32_t)(now_ns() - start);
        }
        sort((size_t)count);
        printf("%u\n", sorted_quantile((size_t)count, 0.5));
}

/* ---- the module's own call ---- */

typedef enum nss_status (*by_name4_t)(const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *);
typedef enum nss_status (*by_name2_t)(const char *, int, struct hostent *, char *, size_t, int *, int *);

static union {
        void *address;
        by_name4_t by_name4; /* AF_UNSPEC */
        by_name2_t by_name2;
} function;

static union {
        char bytes[16384];
        max_align_t align;
} buffer;

static void load(const char *module)
{
        char text[128];
        void *library;

        (void)snprintf(text, sizeof(text), "libnss_%s.so.2", module);
        library = dlopen(text, RTLD_NOW);
        if (!library)
                fail(text, dlerror());
        (void)snprintf(text, sizeof(text), "_nss_%s_gethostbyname%d_r", module, family == AF_UNSPEC ? 4 : 2);
        function.address = dlsym(library, text);
        if (!function.address)
                fail(text, "not there");
}

static inline struct gaih_addrtuple *call_by_name4(void)
{
        struct gaih_addrtuple *list = NULL;
        int error = 0, h_error = 0;
        int32_t ttl = 0;

        if (function.by_name4(name, &list, buffer.bytes, sizeof(buffer), &error, &h_error, &ttl) != NSS_STATUS_SUCCESS)
                fail("the module's call", hstrerror(h_error));
        return list;
}

static inline void call_by_name2(struct hostent *ret)
{
        int error = 0, h_error = 0;

        if (function.by_name2(name, AF_INET, ret, buffer.bytes, sizeof(buffer), &error, &h_error) != NSS_STATUS_SUCCESS)
                fail("the module's call", hstrerror(h_error));
}

static void call_n(long n)
{
        struct hostent host;

        for (long i = 0; i < n; i++) {
                if (family == AF_UNSPEC)
                        (void)call_by_name4();
                else
                        call_by_name2(&host);
        }
}

static void do_own(const char *module, long count)
{
        long n = count / N_BATCHES + 1;

        load(module);
        call_n(n);
        for (size_t i = 0; i < N_BATCHES; i++) {
                uint64_t start = now_ns();

                call_n(n);
                samples[i] = (uint32_t)((now_ns() - start) * 100 / (uint64_t)n);
        }
        sort(N_BATCHES);
        printf("%.2f\n", sorted_quantile(N_BATCHES, 0.5) / 100.0);
}

static void do_record(const char *module, long count)
{
        load(module);
        for (long i = 0; i < count; i++) {
                if (family == AF_UNSPEC) {
                        for (const struct gaih_addrtuple *t = call_by_name4(); t; t = t->next) {
                                print_address(t->family, t->addr);
                                fputs(t->next ? "," : " ", stdout);
                        }
                } else {
                        struct hostent host;

                        call_by_name2(&host);
                        for (char **a = host.h_addr_list; *a; a++) {
                                print_address(host.h_addrtype, *a);
                                fputs(a[1] ? "," : " ", stdout);
                        }
                }
        }
        puts("");
}

/* ---- commands ---- */

static bool obey(const char *line)
{
        char module[64];
        unsigned int n;
        long count;

        if (strcmp(line, "answer\n") == 0)
                do_answer();
        else if (sscanf(line, "calls %ld", &count) == 1 && count >= 1)
                do_calls(count);
        else if (sscanf(line, "threads %u %ld", &n, &count) == 2 && count >= 1)
                do_threads(n, count);
        else if (sscanf(line, "cold %ld", &count) == 1 && count >= 1 && count <= (long)N_SAMPLES)
                do_cold(count);
        else if (sscanf(line, "own %63s %ld", module, &count) == 2 && count >= 1)
                do_own(module, count);
        else if (sscanf(line, "record %63s %ld", module, &count) == 2 && count >= 1)
                do_record(module, count);
        else
                return false;
        return fflush(stdout) == 0;
}

static int obey_all(void)
{
        char line[128];

        while (fgets(line, sizeof(line), stdin)) {
                if (!obey(line))
                        fail("not a command", line);
        }
        return 0;
}

static void set(const char *wanted, const char *of_family)
{
        name = wanted;
        family = strcmp(of_family, "4") == 0 ? AF_INET : AF_UNSPEC;
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "--once") == 0) {
                set(argv[2], argv[3]);
                freeaddrinfo(look_up());
        } else if (argc == 5 && strcmp(argv[1], "--marked") == 0) {
                set(argv[2], argv[3]);
                look_up_n(N_WARM_UP);
                (void)getppid();
                look_up_n(strtol(argv[4], NULL, 10));
                (void)getppid();
        } else if (argc == 6 && strcmp(argv[1], "--direct") == 0) {
                set(argv[3], argv[4]);
                freeaddrinfo(look_up()); /* glibc reads resolv.conf */
                load(argv[2]);
                call_n(strtol(argv[5], NULL, 10));
        } else if (argc == 3) {
                set(argv[1], argv[2]);
                return obey_all();
        } else {
                fputs("bench-getaddrinfo [--once|--marked|--direct MODULE] NAME FAMILY(0|4) [COUNT]\n", stderr);
                return 2;
        }
        return 0;
}
