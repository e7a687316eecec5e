/*
 * What may befall a process that looks up through glibc: getaddrinfo() and gethostbyname_r() must give the
 * service's addresses or none, at once, and the process must live on.
 *
 *     contract-faults TABLE-PROGRAM
 *
 * Runs where nsswitch.conf says "hosts: k8shsvc" and the module is installed (test-contract-faults.py).
 * tests/torture has the same faults for the reader below the module, and many others; here it is glibc
 * that loads the module, with its own locks, stacks and cancellation points. Each test is a process of
 * its own, in which nothing was looked up before.
 */

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <resolv.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "call.h"
#include "services.h"

#define NOBODY 65534
#define OTHER  1234
#define HANGS  60 /* seconds after which a process counts as one that never ends */
#define TABLE  K8SHSVC_RUNDIR "/" KHS_TABLE_NAME

static struct result {
        bool failed, skipped;
        char why[240];
} * result;

static const char *self, *table_program;

__attribute__((format(printf, 2, 3))) static bool expect(bool ok, const char *format, ...)
{
        va_list args;

        if (ok || result->failed)
                return ok;
        va_start(args, format);
        (void)vsnprintf(result->why, sizeof(result->why), format, args);
        va_end(args);
        result->failed = true;
        return false;
}

__attribute__((format(printf, 1, 2), noreturn)) static void skip(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        (void)vsnprintf(result->why, sizeof(result->why), format, args);
        va_end(args);
        result->skipped = true;
        _exit(0);
}

static void must(int r, const char *what)
{
        if (r >= 0)
                return;
        expect(false, "%s: %s", what, strerror(errno));
        _exit(0);
}

/* ---- lookups ---- */

static struct service service_named(const char *key)
{
        for (uint32_t i = 0; i < N_SERVICES; i++) {
                struct service s = service_of(i);

                if (strcmp(s.key, key) == 0)
                        return s;
        }
        die("no service %s", key);
}

/* 0; the error of getaddrinfo(); or 1: an answer that is not the service's. */
static int look_up(const char *key, int family)
{
        struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *list = NULL;
        struct service s = service_named(key);
        int r = getaddrinfo(key, NULL, &hints, &list);
        bool right = r == 0 && list;

        if (r != 0)
                return r;
        for (const struct addrinfo *i = list; i; i = i->ai_next) {
                const void *address = i->ai_family == AF_INET
                                              ? (const void *)&((struct sockaddr_in *)(void *)i->ai_addr)->sin_addr
                                              : (const void *)&((struct sockaddr_in6 *)(void *)i->ai_addr)->sin6_addr;

                right = right && number_of(&s, i->ai_family == AF_INET, address) >= 0;
        }
        freeaddrinfo(list);
        return right ? 0 : 1;
}

/* Whatever its addresses. */
static int look_up_any(const char *name)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
        int r = getaddrinfo(name, NULL, &hints, &list);

        if (r == 0)
                freeaddrinfo(list);
        return r;
}

/* The older way, which restarts the whole chain when its buffer is too small. */
static int look_up_old(const char *key)
{
        struct hostent host, *found = NULL;
        struct service s = service_named(key);
        char buffer[2048];
        int h_error;

        if (gethostbyname_r(key, &host, buffer, sizeof(buffer), &found, &h_error) != 0 || !found)
                return -h_error;
        for (char **address = found->h_addr_list; *address; address++) {
                if (number_of(&s, true, *address) < 0)
                        return 1;
        }
        return found->h_addr_list[0] ? 0 : 1;
}

static void expect_answers(const char *when)
{
        static const char *const keys[] = { "single.sweep", "all-2-2.sweep", "auto.sweep", "all-100-100.sweep" };
        static const int families[] = { AF_INET, AF_INET6, AF_UNSPEC };
        int r;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                for (size_t k = 0; k < 3; k++) {
                        r = look_up(keys[i], families[k]);
                        expect(r == 0, "%s: %s, family %d: %s", when, keys[i], families[k],
                               r == 1 ? "a wrong answer" : gai_strerror(r));
                }
        }
        r = look_up_old("single.sweep");
        expect(r == 0, "%s: gethostbyname_r: %d", when, r);
}

static void expect_none(const char *when)
{
        int r = look_up("all-2-2.sweep", AF_UNSPEC);

        expect(r == EAI_NONAME, "%s: %s", when, r == 0 ? "an answer" : r == 1 ? "a wrong answer" : gai_strerror(r));
        r = look_up_old("single.sweep");
        expect(r < 0, "%s: gethostbyname_r: %d", when, r);
}

static double seconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A process looks for a table once a second. */
static void wait_for_answers(const char *when)
{
        double start = seconds();

        while (look_up("single.sweep", AF_INET) != 0 && seconds() - start < HANGS)
                (void)usleep(20000);
        expect_answers(when);
}

/* Lines of /proc/self/maps, read without memory or a new descriptor of stdio's. */
static unsigned int n_maps_of(const char *what)
{
        static char text[1 << 20];
        unsigned int n = 0;
        size_t size = 0;
        ssize_t r;
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

        while (fd >= 0 && (r = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
                size += (size_t)r;
        (void)close(fd);
        text[size] = '\0';
        for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
                n++;
        return n;
}

/* Descriptors but those that glibc loses when it is cancelled: sockets to nscd. */
static unsigned int n_descriptors(void)
{
        unsigned int n = 0;

        for (int fd = 0; fd < 4096; fd++) {
                int domain = 0;
                socklen_t size = sizeof(domain);

                (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
                n += fcntl(fd, F_GETFD) >= 0 && domain != AF_UNIX;
        }
        return n;
}

/* n: this many; 0: as many as there may be. */
static void limit_descriptors(rlim_t n)
{
        struct rlimit limit;

        must(getrlimit(RLIMIT_NOFILE, &limit), "rlimit");
        limit.rlim_cur = n ? n : limit.rlim_max;
        must(setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
}

static void in_child(void (*function)(void))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                (void)alarm(HANGS);
                function();
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        expect(status == 0, "a child ended with status %x", (unsigned int)status);
}

static void hide_table(void)
{
        must(rename(TABLE, K8SHSVC_RUNDIR "/hidden"), "rename");
}

static void show_table(void)
{
        must(rename(K8SHSVC_RUNDIR "/hidden", TABLE), "rename");
}

/* glibc has loaded the module, the module has found no table; a second later it may look again. */
static void load_without_table(void)
{
        hide_table();
        expect_none("without a table");
        show_table();
        (void)usleep(1200000);
}

/* ---- forks and threads ---- */

/*
 * A forked child of a threaded process may find a lock of glibc's taken for good, by a thread that it has
 * not got (that of resolv.conf, that of the dump of interface addresses). So either the threads go past
 * glibc, or the children do; the module must not care.
 */

static void call_module(const char *when)
{
        static const struct {
                enum entry entry;
                int family;
                const char *name;
        } calls[] = {
                { BY_NAME4, AF_UNSPEC, "auto.sweep" },       { BY_NAME4, AF_UNSPEC, "all-24-24.sweep" },
                { BY_NAME3, AF_INET6, "sticky.sweep" },      { BY_NAME2, AF_INET, "single.sweep" },
                { BY_NAME2, AF_INET6, "all-100-100.sweep" }, { BY_NAME, AF_INET, ALIAS },
        };
        char buffer[8192];

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                struct call c = { .entry = calls[i].entry,
                                  .family = calls[i].family,
                                  .name = calls[i].name,
                                  .buffer = buffer,
                                  .n_buffer = sizeof(buffer) };

                call_run(&c);
                expect(c.status == NSS_STATUS_SUCCESS, "%s: %s of %s: status %d", when, entry_names[c.entry], c.name,
                       c.status);
        }
}

static void look_up_or_call(bool by_glibc, const char *when)
{
        if (by_glibc)
                expect_answers(when);
        else
                call_module(when);
}

static bool stop, threads_by_glibc;

static void *look_up_all_the_time(void *unused)
{
        (void)unused;
        while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) && !result->failed)
                look_up_or_call(threads_by_glibc, "in a thread");
        return NULL;
}

static void look_up_in_child(void)
{
        for (int i = 0; i < 3; i++)
                look_up_or_call(!threads_by_glibc, "in a forked child");
}

static void *fork_all_the_time(void *unused)
{
        (void)unused;
        for (int i = 0; i < 120 && !result->failed; i++)
                in_child(look_up_in_child);
        return NULL;
}

static void fork_storm(void)
{
        pthread_t lookers[4], forkers[2];
        double start;

        expect_answers("first");
        module_load("libnss_k8shsvc.so.2");
        for (int i = 0; i < 4; i++)
                must(-pthread_create(&lookers[i], NULL, look_up_all_the_time, NULL), "thread");
        for (int i = 0; i < 2; i++)
                must(-pthread_create(&forkers[i], NULL, fork_all_the_time, NULL), "thread");
        /* and the table changes hands meanwhile */
        for (start = seconds(); seconds() - start < 2;)
                table_tell("renew");
        for (int i = 0; i < 2; i++)
                (void)pthread_join(forkers[i], NULL);
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        for (int i = 0; i < 4; i++)
                (void)pthread_join(lookers[i], NULL);
        expect(n_maps_of("/" KHS_TABLE_NAME) <= 3, "%u maps", n_maps_of("/" KHS_TABLE_NAME));
}

static void fork_storm_of_modules(void)
{
        threads_by_glibc = true;
        fork_storm();
}

static void fork_storm_of_glibcs(void)
{
        threads_by_glibc = false;
        fork_storm();
}

static void *look_up_until_cancelled(void *sorted)
{
        for (;;) {
                if (sorted)
                        (void)look_up("all-2-2.sweep", AF_UNSPEC);
                (void)look_up("single.sweep", AF_INET);
                (void)look_up_old("all-24-0.sweep");
                pthread_testcancel();
        }
        return NULL;
}

static unsigned int cancel_threads(int n_threads, void *sorted)
{
        unsigned int n;

        limit_descriptors(0);
        n = n_descriptors();
        expect_answers("first");
        for (int i = 0; i < n_threads && !result->failed; i++) {
                pthread_t thread;

                if (i % 50 == 0)
                        table_tell("renew");
                must(-pthread_create(&thread, NULL, look_up_until_cancelled, sorted), "thread");
                (void)usleep((useconds_t)(random() % 400));
                (void)pthread_cancel(thread);
                (void)pthread_join(thread, NULL);
                if (i % 50 == 0)
                        expect_answers("after threads that were cancelled");
        }
        expect_answers("at the end");
        expect(n_maps_of("/" KHS_TABLE_NAME) <= 3, "%u maps are left", n_maps_of("/" KHS_TABLE_NAME));
        return n_descriptors() - n;
}

static void cancelled_threads(void)
{
        unsigned int n = cancel_threads(1000, NULL);

        expect(n == 0, "%u descriptors are left", n);
}

/* glibc has other sockets then, and loses them, too. */
static void cancelled_threads_sorting(void)
{
        static bool sorted;

        tap_comment("sockets that glibc has lost in sorting, in 300 threads: %u", cancel_threads(300, &sorted));
}

static uint32_t n_completed;

/* Every entry point, the first lookup of the process being one of them: no cancellation point in it. */
static void *call_with_cancellation_pending(void *calls)
{
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        (void)pthread_cancel(pthread_self());
        (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        for (struct call *c = calls; c->buffer; c++) {
                call_run(c);
                expect(c->status == NSS_STATUS_SUCCESS, "%s: status %d", entry_names[c->entry], c->status);
                n_completed++;
        }
        pthread_testcancel();
        expect(false, "the cancellation was lost");
        return NULL;
}

static void cancellation_pending(void)
{
        static char buffer[4096];
        static struct call calls[] = {
                { BY_NAME4, AF_UNSPEC, "auto.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
                { BY_NAME3, AF_INET, "sticky.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
                { BY_NAME2, AF_INET6, "auto.sweep", .buffer = buffer, .n_buffer = sizeof(buffer) },
                { BY_NAME, AF_INET, ALIAS, .buffer = buffer, .n_buffer = sizeof(buffer) },
                { .buffer = NULL },
        };
        pthread_t thread;

        module_load("libnss_k8shsvc.so.2");
        must(-pthread_create(&thread, NULL, call_with_cancellation_pending, calls), "thread");
        (void)pthread_join(thread, NULL);
        expect(n_completed == 4, "%u of 4 calls came to their end", n_completed);
}

static void *look_up_once(void *first)
{
        if (first)
                expect_answers("the first lookup of the process, on a small stack");
        for (int i = 0; i < 100; i++)
                expect_answers("on a small stack");
        return NULL;
}

/* The smallest that threads may have. What is missing is not the module's fault, but it must not be what breaks it. */
static void small_stacks(void)
{
        pthread_attr_t attributes;
        pthread_t threads[8];

        must(-pthread_attr_init(&attributes), "attributes");
        must(-pthread_attr_setstacksize(&attributes, 16384), "16 KiB");
        must(-pthread_create(&threads[0], &attributes, look_up_once, threads), "thread");
        (void)pthread_join(threads[0], NULL);
        for (int i = 0; i < 8; i++)
                must(-pthread_create(&threads[i], &attributes, look_up_once, NULL), "thread");
        for (int i = 0; i < 8; i++)
                (void)pthread_join(threads[i], NULL);
}

/* ---- a program's own buffer: any length, any alignment ---- */

static void own_buffers(void)
{
        static char memory[1024];
        struct service s = service_named("all-2-2.sweep");

        for (size_t n = 0; n < 600; n++) {
                for (size_t offset = 0; offset < 8; offset++) {
                        struct hostent host, *found = NULL;
                        char *buffer = memory + offset;
                        int h_error = 0, r;

                        r = gethostbyname_r(s.key, &host, buffer, n, &found, &h_error);
                        if (r == ERANGE && n < 300)
                                continue;
                        if (!expect(r == 0 && found, "%zu bytes: %d, h_errno %d", n, r, h_error))
                                return;
                        expect(found->h_name >= buffer && found->h_name < buffer + n, "the name lies outside");
                        expect((uintptr_t)found->h_addr_list % _Alignof(char *) == 0, "not aligned");
                        expect(number_of(&s, true, found->h_addr_list[0]) >= 0 &&
                                       number_of(&s, true, found->h_addr_list[1]) >= 0 && !found->h_addr_list[2],
                               "wrong addresses");
                }
        }
}

/* ---- a program's own search list: as long as it likes ---- */

/* All places of _res.dnsrch are taken, so that what lies behind it (defdname) seems to go on with it. */
static void set_search(const char *first, const char *others)
{
        struct __res_state *state = __res_state();

        for (size_t i = 0; i < sizeof(state->dnsrch) / sizeof(state->dnsrch[0]); i++)
                state->dnsrch[i] = (char *)(i == 0 ? first : others);
        memset(state->defdname, 'x', sizeof(state->defdname));
}

static void own_search_lists(void)
{
        static char page_end[8192] __attribute__((aligned(4096)));
        char *unterminated = page_end + 4096 - 254;

        expect_answers("first");
        set_search("example.com", "example.org");
        expect_answers("a search list without an end");
        expect(look_up_any("example.com") == EAI_NONAME && look_up_any("single") == EAI_NONAME, "found");

        set_search("example.com", "sweep.svc." ZONE ".");
        expect(look_up_any("single") == 0, "the second entry is not seen");
        set_search("", "Sweep.SVC." ZONE);
        expect(look_up_any("single") == 0, "an empty entry ends the list");

        /* as long as a domain may be, and not a byte behind it is looked at */
        memset(page_end, 'x', sizeof(page_end));
        must(mprotect(page_end + 4096, 4096, PROT_NONE), "mprotect");
        set_search(unterminated, "sweep.svc." ZONE);
        expect(look_up_any("single") == 0, "an entry that is too long hides the others");
}

/* ---- a process that may not ---- */

static void no_descriptors_for_the_table(void)
{
        load_without_table();
        limit_descriptors(3);
        expect_none("no descriptor for the table");
        limit_descriptors(0);
        wait_for_answers("descriptors again");
        limit_descriptors(3);
        expect_answers("no descriptors, table mapped");
        table_tell("renew");
        (void)usleep(1200000);
        expect_answers("no descriptors, table replaced");
        limit_descriptors(0);
        expect_answers("descriptors again");
}

/* glibc can't load any module then, and never tries again; nor is there a way to ask dns. */
static void no_descriptors_at_all(void)
{
        int r;

        limit_descriptors(3);
        r = look_up("single.sweep", AF_INET);
        expect(r != 0 && r != 1, "an answer");
        limit_descriptors(0);
        r = look_up("single.sweep", AF_INET);
        tap_comment("after a first lookup without descriptors: %s", r == 0 ? "found" : gai_strerror(r));
}

static void refuse(const int *calls, size_t n_calls)
{
        struct sock_filter filter[40];
        unsigned short n = 0;

        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < n_calls; i++) {
                filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
                filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        }
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ n, filter }), "seccomp");
}

static const int opens[] = {
#ifdef SYS_open
        SYS_open,
#endif
        SYS_openat,
        SYS_openat2,
        SYS_socket,
};
static const int opens_and_maps[] = {
#ifdef SYS_open
        SYS_open,
#endif
#ifdef SYS_mmap
        SYS_mmap,
#endif
#ifdef SYS_mmap2
        SYS_mmap2,
#endif
        SYS_openat, SYS_openat2, SYS_socket, SYS_pread64, SYS_statx, SYS_madvise,
};
#define REFUSE(calls) refuse(calls, sizeof(calls) / sizeof((calls)[0]))

static void forbidden_after_the_first_lookup(void)
{
        expect_answers("first");
        REFUSE(opens_and_maps);
        expect_answers("open and mmap refused, table mapped");
        table_tell("silent 1200");
        expect_none("open and mmap refused, daemon dead");
        table_tell("alive");
        expect_answers("open and mmap refused, daemon alive again");
        table_tell("renew");
        (void)usleep(1200000);
        expect_answers("open and mmap refused, table replaced");
}

static void forbidden_before_the_table(void)
{
        load_without_table();
        REFUSE(opens_and_maps);
        for (int i = 0; i < 100; i++)
                expect_none("open and mmap refused");
}

static void mapping_forbidden(void)
{
        static const int maps[] = {
#ifdef SYS_mmap
                SYS_mmap,
#endif
#ifdef SYS_mmap2
                SYS_mmap2,
#endif
        };

        load_without_table();
        REFUSE(maps);
        expect_answers("mmap refused: by reading the file");
        expect(n_maps_of("/" KHS_TABLE_NAME) == 0, "it is mapped");
}

static void opening_forbidden(void)
{
        load_without_table();
        REFUSE(opens);
        expect_none("open refused");
}

/* The module can't learn what glibc would sort to the front. */
static void sockets_forbidden(void)
{
        static const int sockets[] = { SYS_socket };
        struct gaih_addrtuple *tuple = NULL;
        static char buffer[4096];
        int error, h_error;

        module_load("libnss_k8shsvc.so.2");
        REFUSE(sockets);
        expect_answers("sockets refused");
        expect(module[BY_NAME4].by_name4("auto.sweep", &tuple, buffer, sizeof(buffer), &error, &h_error, NULL) ==
                               NSS_STATUS_SUCCESS &&
                       tuple->family == AF_INET6 && tuple->next && tuple->next->family == AF_INET && !tuple->next->next,
               "not one address of each family");
}

static void forbidden_from_the_start(void)
{
        int r;

        REFUSE(opens_and_maps);
        r = look_up("single.sweep", AF_INET);
        expect(r != 0 && r != 1, "an answer");
        r = look_up_old("single.sweep");
        expect(r < 0, "an answer");
}

/* ---- other roots and name spaces ---- */

static void chroot_after_the_first_lookup(void)
{
        expect_answers("first");
        must(mkdir("/run/empty", 0755), "mkdir");
        must(chroot("/run/empty"), "chroot");
        must(chdir("/"), "chdir");
        for (int i = 0; i < 100; i++)
                expect_answers("in an empty root");
        table_tell("silent 20");
        expect_answers("in an empty root, daemon silent");
        table_tell("renew");
        (void)usleep(1200000);
        expect_answers("in an empty root, table replaced");
        table_tell("silent 1200");
        (void)usleep(1200000);
        /* of the file that it has: the newer one, in which the daemon died, is out of its reach */
        expect(look_up("single.sweep", AF_INET) != 1, "a wrong answer");
}

static void chroot_before_the_first_lookup(void)
{
        int r;

        must(mkdir("/run/void", 0755), "mkdir");
        must(chroot("/run/void"), "chroot");
        r = look_up("single.sweep", AF_INET);
        expect(r != 0 && r != 1, "an answer");
}

/* A process that waits in name spaces of its own, with nothing in /run. */
static int open_namespace(const char *kind)
{
        int ready[2], fd;
        char path[64], byte;
        pid_t pid;

        must(pipe(ready), "pipe");
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0)
                        _exit(1);
                (void)!write(ready[1], "x", 1);
                (void)pause();
                _exit(0);
        }
        (void)close(ready[1]);
        must(read(ready[0], &byte, 1) == 1 ? 0 : -1, "name space");
        (void)close(ready[0]);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        must(fd, path);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return fd;
}

static void another_mount_namespace(void)
{
        int fd;

        expect_answers("first");
        fd = open_namespace("mnt");
        must(setns(fd, CLONE_NEWNS), "setns");
        (void)close(fd);
        expect(access(TABLE, F_OK) < 0, "the table is to be seen");
        for (int i = 0; i < 100; i++)
                expect_answers("elsewhere");
        table_tell("renew");
        (void)usleep(1200000);
        expect_answers("elsewhere, table replaced");
}

static void another_network_namespace(void)
{
        int fd;

        expect_answers("first");
        fd = open_namespace("net");
        must(setns(fd, CLONE_NEWNET), "setns");
        (void)close(fd);
        for (int i = 0; i < 100; i++)
                expect_answers("elsewhere");
}

/* ---- setuid programs ---- */

/* This program, as another user's: see main(). */
static int secure_child(void)
{
        static struct result own;

        result = &own;
        if (!getauxval(AT_SECURE))
                return 77;
        for (int i = 0; i < 20; i++)
                expect_answers("in a setuid program");
        if (!own.failed && n_maps_of("/" KHS_TABLE_NAME) > 0)
                expect(false, "the table is mapped");
        if (own.failed)
                (void)printf("# %s\n", own.why);
        return own.failed;
}

static void copy_program(const char *to)
{
        static char bytes[1 << 16];
        int in = open(self, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        ssize_t n;

        must(in, self);
        must(out, to);
        while ((n = read(in, bytes, sizeof(bytes))) > 0)
                must(write(out, bytes, (size_t)n) == n ? 0 : -1, "copy");
        (void)close(in);
        (void)close(out);
}

static void setuid_program(void)
{
        static char *const environment[] = { (char *)"LD_LIBRARY_PATH=/nonexistent", NULL };
        static char *const arguments[] = { (char *)"lookup", (char *)"--secure", NULL };
        int status;
        pid_t pid;

        copy_program("/run/lookup");
        must(chown("/run/lookup", OTHER, OTHER), "chown");
        must(chmod("/run/lookup", 04755), "chmod");
        pid = fork();
        if (pid == 0) {
                if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
                        _exit(126);
                (void)execve("/run/lookup", arguments, environment);
                _exit(127);
        }
        (void)waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip("setuid programs have no effect here");
        expect(status == 0, "status %x", (unsigned int)status);
}

/* ---- */

static const struct fault {
        const char *name;
        void (*run)(void);
} faults[] = {
        { "children forked while threads look up: the module answers them", fork_storm_of_modules },
        { "children forked while threads are in the module: glibc answers them", fork_storm_of_glibcs },
        { "threads that are cancelled at any moment", cancelled_threads },
        { "threads that are cancelled at any moment, where glibc sorts", cancelled_threads_sorting },
        { "a cancellation that is pending takes no effect in the module", cancellation_pending },
        { "threads with 16 KiB of stack", small_stacks },
        { "the program's own buffer, of any length and alignment", own_buffers },
        { "the program's own search list, without an end", own_search_lists },
        { "no descriptors, module loaded", no_descriptors_for_the_table },
        { "no descriptors from the start", no_descriptors_at_all },
        { "seccomp without open and mmap, after the first lookup", forbidden_after_the_first_lookup },
        { "seccomp without open and mmap, before the table was found", forbidden_before_the_table },
        { "seccomp without open, before the table was found", opening_forbidden },
        { "seccomp without mmap, before the table was found", mapping_forbidden },
        { "seccomp without open and mmap, from the start", forbidden_from_the_start },
        { "seccomp without sockets: one address of each family", sockets_forbidden },
        { "chroot after the first lookup", chroot_after_the_first_lookup },
        { "chroot before the first lookup", chroot_before_the_first_lookup },
        { "another mount namespace after the first lookup", another_mount_namespace },
        { "another network namespace after the first lookup", another_network_namespace },
        { "a setuid program of another user", setuid_program },
};

static void run(const struct fault *fault)
{
        int status;
        pid_t pid;

        memset(result, 0, sizeof(*result));
        (void)fflush(stdout);
        table_start(table_program);
        pid = fork();
        if (pid == 0) {
                (void)alarm(2 * HANGS);
                fault->run();
                (void)fflush(stdout);
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        table_stop();
        if (status != 0)
                expect(false, "status %x", (unsigned int)status);
        if (result->skipped && !result->failed)
                tap_ok(true, "%s # SKIP %s", fault->name, result->why);
        else if (result->failed)
                tap_ok(false, "%s (%s)", fault->name, result->why);
        else
                tap_ok(true, "%s", fault->name);
}

/* contract-faults TABLE-PROGRAM [WORD]: those with WORD in their name */
int main(int argc, char **argv)
{
        self = argv[0];
        if (argc > 1 && strcmp(argv[1], "--secure") == 0)
                return secure_child();
        if (argc < 2)
                return 2;
        table_program = argv[1];
        result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (result == MAP_FAILED)
                die("no memory");
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                if (argc < 3 || strstr(faults[i].name, argv[2]))
                        run(&faults[i]);
        }
        return tap_done();
}
