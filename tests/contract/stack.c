/*
 * How much stack the module needs, by each entry point and each way to the table: it is called on threads'
 * stacks of any size, on top of what the program and glibc have taken.
 *
 *     contract-stack MODULE TABLE-PROGRAM
 *
 * Each call runs on a stack of its own that was painted; how deep the paint is gone is what it took, less
 * what the same call of a function that does nothing takes. The limits are those of tests/unit/test-nss-stack.c,
 * which has more forms of names; this is the module as it is installed, and as 32-bit programs have it.
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "call.h"
#include "services.h"

#define STACK (64U * 1024)

#define LIMIT 2048U

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define AS_SHIPPED false
#else
#define AS_SHIPPED true
#endif

static char *stack;
static ucontext_t caller, callee;
static struct call *current;

static void enter(void)
{
        current->status = call_enter(current);
}

/* How deep into the painted stack something was written. */
static size_t depth_of(struct call *c)
{
        size_t untouched = 0;

        memset(stack, PAINT, STACK);
        call_clear(c);
        current = c;
        (void)getcontext(&callee);
        callee.uc_stack.ss_sp = stack;
        callee.uc_stack.ss_size = STACK;
        callee.uc_link = &caller;
        makecontext(&callee, enter, 0);
        if (swapcontext(&caller, &callee) < 0)
                die("swapcontext");
        while (untouched < STACK && (unsigned char)stack[untouched] == PAINT)
                untouched++;
        return STACK - untouched;
}

static enum nss_status none4(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t n, int *error,
                             int *h_error, int32_t *ttl)
{
        (void)name, (void)pat, (void)buffer, (void)n, (void)error, (void)h_error, (void)ttl;
        return NSS_STATUS_UNAVAIL;
}

static enum nss_status none3(const char *name, int family, struct hostent *host, char *buffer, size_t n, int *error,
                             int *h_error, int32_t *ttl, char **canonical)
{
        (void)name, (void)family, (void)host, (void)buffer, (void)n, (void)error, (void)h_error, (void)ttl,
                (void)canonical;
        return NSS_STATUS_UNAVAIL;
}

static enum nss_status none2(const char *name, int family, struct hostent *host, char *buffer, size_t n, int *error,
                             int *h_error)
{
        (void)name, (void)family, (void)host, (void)buffer, (void)n, (void)error, (void)h_error;
        return NSS_STATUS_UNAVAIL;
}

static enum nss_status none1(const char *name, struct hostent *host, char *buffer, size_t n, int *error, int *h_error)
{
        (void)name, (void)host, (void)buffer, (void)n, (void)error, (void)h_error;
        return NSS_STATUS_UNAVAIL;
}

static enum nss_status none_addr2(const void *address, socklen_t n_address, int family, struct hostent *host,
                                  char *buffer, size_t n, int *error, int *h_error, int32_t *ttl)
{
        (void)address, (void)n_address, (void)family, (void)host, (void)buffer, (void)n, (void)error, (void)h_error,
                (void)ttl;
        return NSS_STATUS_UNAVAIL;
}

static enum nss_status none_addr(const void *address, socklen_t n_address, int family, struct hostent *host,
                                 char *buffer, size_t n, int *error, int *h_error)
{
        (void)address, (void)n_address, (void)family, (void)host, (void)buffer, (void)n, (void)error, (void)h_error;
        return NSS_STATUS_UNAVAIL;
}

/* What the call would take of its caller in any case. */
static size_t floor_of(const struct call *call)
{
        static const union module_function functions[] = {
                [BY_NAME4] = { .by_name4 = none4 },      [BY_NAME3] = { .by_name3 = none3 },
                [BY_NAME2] = { .by_name2 = none2 },      [BY_NAME] = { .by_name = none1 },
                [BY_ADDR2] = { .by_addr2 = none_addr2 }, [BY_ADDR] = { .by_addr = none_addr },
        };
        union module_function saved = module[call->entry];
        struct call c = *call;
        size_t depth;

        module[call->entry] = functions[call->entry];
        depth = depth_of(&c);
        module[call->entry] = saved;
        return depth;
}

/* ---- the calls ---- */

static char buffer[1024 * 1024];
static const uint8_t pod4[4] = { 10, 0, 32, 0 }; /* of service 1, which is all-1-0.sweep */

static struct call calls[] = {
        { BY_NAME4, AF_UNSPEC, "all-2-2.sweep", .preset = true, .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "All-2-2.Sweep.Svc.Cluster.Local.", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "all-5000-5000.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
        { BY_NAME4, AF_UNSPEC, "all-5000-5000.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "auto.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "large.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "sticky.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "random.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
        { BY_NAME4, AF_UNSPEC, ALIAS, .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, LABEL_63 "." LABEL_63 ".svc." ZONE, .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "all-2-2", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "nobody.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "www.example.test", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "localhost", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME4, AF_UNSPEC, "expired.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME3, AF_INET, "all-2-2.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME3, AF_INET6, "auto.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME2, AF_INET, "auto.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME2, AF_INET6, "all-5000-5000.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
        { BY_NAME, AF_INET, ALIAS, .buffer = buffer, .n_buffer = 1024 },
        /* from here on what is seldom asked for */
        { BY_NAME4, AF_UNSPEC, "pod-1.pods.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME, AF_INET, "pod-1.pods.sweep.svc." ZONE, .buffer = buffer, .n_buffer = 1024 },
        { BY_NAME3, AF_INET6, "pod-9.pods.sweep", .buffer = buffer, .n_buffer = 1024 },
        { BY_ADDR2, AF_INET, .address = pod4, .n_address = 4, .buffer = buffer, .n_buffer = 1024 },
        { BY_ADDR, AF_INET, .address = pod4, .n_address = 4, .buffer = buffer, .n_buffer = 1024 },
};
#define N_CALLS  (sizeof(calls) / sizeof(calls[0]))
#define N_COMMON (N_CALLS - 5)

/* ---- what a lookup has to do: nothing, or to find its table first ---- */

static void nothing(void)
{
}

static void look_up(void)
{
        struct call c = calls[0];

        call_run(&c);
        if (c.status != NSS_STATUS_SUCCESS)
                die("status %d", c.status);
}

/* Hardly any room for another map. */
static void limit_memory(void)
{
        struct rlimit limit = { 1 << 20, RLIM_INFINITY };
        unsigned long pages = 0;
        FILE *file = fopen("/proc/self/statm", "re");

        if (!file || fscanf(file, "%lu", &pages) != 1)
                die("statm");
        (void)fclose(file);
        limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64 << 10);
        if (setrlimit(RLIMIT_AS, &limit) < 0)
                die("rlimit");
}

static void look_up_then_silence(void)
{
        look_up();
        table_tell("silent 20");
        (void)usleep(1100000);
}

static void look_up_then_death(void)
{
        look_up();
        table_tell("silent 1200");
        (void)usleep(1100000);
}

static void look_up_then_newer_file(void)
{
        look_up();
        table_tell("renew");
        (void)usleep(1100000);
}

static void hide_table(void)
{
        if (rename(K8SHSVC_RUNDIR "/" KHS_TABLE_NAME, K8SHSVC_RUNDIR "/hidden") < 0)
                die("rename");
}

static void show_table(void)
{
        if (rename(K8SHSVC_RUNDIR "/hidden", K8SHSVC_RUNDIR "/" KHS_TABLE_NAME) < 0)
                die("rename");
}

static void spoil_table(void)
{
        hide_table();
        if (mkfifo(K8SHSVC_RUNDIR "/" KHS_TABLE_NAME, 0644) < 0)
                die("mkfifo");
}

static void make_alive(void)
{
        table_tell("alive");
}

static const struct way {
        const char *title;
        void (*before)(void); /* in the process that looks up */
        void (*after)(void);
        bool answers;
        bool slow; /* takes a second: not for every call */
} ways[] = {
        { "the first lookup of a process, which maps the table", nothing, nothing, true, false },
        { "a lookup in the mapped table", look_up, nothing, true, false },
        { "a table that can't be mapped", limit_memory, nothing, true, false },
        { "no table", hide_table, show_table, false, false },
        { "a pipe for a table", spoil_table, show_table, false, false },
        { "a silent daemon", look_up_then_silence, make_alive, true, true },
        { "a dead daemon", look_up_then_death, make_alive, false, true },
        { "a newer file in place of the mapped one", look_up_then_newer_file, nothing, true, true },
};

struct result {
        size_t most, call;
        bool answered;
};

/* The n-th call as the first after `before`, in a process of its own. */
static void measure_one(const struct way *way, size_t i, struct result *ret)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct call c = calls[i];
                size_t depth, floor = floor_of(&c);

                way->before();
                depth = depth_of(&c);
                if (c.status == NSS_STATUS_SUCCESS)
                        ret->answered = true;
                if (depth - floor > ret->most)
                        *ret = (struct result){ depth - floor, i, ret->answered };
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                die("a lookup ended with status %x", (unsigned int)status);
        way->after();
}

/* Those of the calls from `first` on, before `end`. */
static void measure(const struct way *way, size_t first, size_t end, struct result *result)
{
        const struct call *c;

        memset(result, 0, sizeof(*result));
        for (size_t i = first; i < end; i++) {
                if (!way->slow || i == first || calls[i].entry == BY_NAME || calls[i].entry == BY_ADDR)
                        measure_one(way, i, result);
        }
        c = &calls[result->call];
        tap_ok(result->most > 0 && result->most <= LIMIT && result->answered == way->answers,
               "%s, %s: %zu bytes of stack, at most (%s of %.40s)%s", way->title,
               first == 0 ? "services" : "pods and addresses", result->most, entry_names[c->entry],
               c->name ? c->name : "an address",
               result->answered == way->answers ? "" : ": another answer than expected");
}

int main(int argc, char **argv)
{
        struct result *result;

        if (argc != 3) {
                (void)fputs("contract-stack MODULE TABLE-PROGRAM\n", stderr);
                return 2;
        }
        if (!AS_SHIPPED)
                tap_skip_all("not with a sanitizer or without optimisation");
        stage_enter();
        module_load(argv[1]);
        stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED || result == MAP_FAILED)
                die("no memory");
        table_start(argv[2]);
        table_tell("reverse");
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                measure(&ways[i], 0, N_COMMON, result);
                measure(&ways[i], N_COMMON, N_CALLS, result);
        }
        return tap_done();
}
