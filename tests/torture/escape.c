/*
 * A signal handler that leaves a lookup by longjmp, at each of its system calls and looks at a clock
 * (fault 23). At worst one map may leak: later lookups answer, and go on answering when the daemon
 * replaces its file and the old one's heart stops.
 *
 * read/open.c and read/map.c are compiled into this program, with calls that jump instead of returning.
 */

#include <setjmp.h>
#include <sys/syscall.h>

#include "torture.h"

static sigjmp_buf escape;
static unsigned int n_calls, escape_at;

static void passed(void)
{
        if (escape_at && ++n_calls == escape_at)
                siglongjmp(escape, 1);
}

static long after_call(long r)
{
        passed();
        return r;
}

static void *after_map(void *r)
{
        passed();
        return r;
}

static uint32_t after_clock(clockid_t clock)
{
        passed();
        return khs_clock_ds(clock);
}

#define syscall(...) after_call(syscall(__VA_ARGS__))
#define mmap(...)    after_map(mmap(__VA_ARGS__))
#define munmap(...)  (int)after_call(munmap(__VA_ARGS__))
#define madvise(...) (int)after_call(madvise(__VA_ARGS__))
#define khs_clock_ds after_clock
#include "../../lib/read/map.c"
#include "../../lib/read/open.c"
#undef syscall
#undef mmap
#undef munmap
#undef madvise
#undef khs_clock_ds

enum when { FIRST_LOOKUP, AFTER_REPLACEMENT };

struct outcome {
        unsigned int n_calls; /* fewer than escape_at: there was no escape */
        int at_once, later, after_death;
        uint32_t version;
};

static struct outcome *out;
static struct khs_writer *writer;
static k8shsvc *handle;

static int lookup(uint32_t *ret_version)
{
        static struct k8shsvc_addr addrs[TORTURE_MAX_ALL];
        char key[48];
        size_t n;
        int r;

        (void)torture_key(1, key);
        r = k8shsvc_lookup(handle, key, AF_UNSPEC, addrs, TORTURE_MAX_ALL, &n);
        return r < 0 ? r : torture_addrs(1, addrs, n, ret_version);
}

/* The next file; the hearts of those before stopped a minute ago. */
static void replace_file(uint32_t version)
{
        static struct khs_table_header *olds[2];
        static unsigned int n_olds;
        int fd = open(K8SHSVC_RUNDIR "/" KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);

        olds[n_olds] = mmap(NULL, sizeof(**olds), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (olds[n_olds++] == MAP_FAILED || khs_writer_renew(writer, NULL, torture_now()) < 0 ||
            torture_put(writer, 1, version, torture_now()) < 0)
                die("renew");
        for (unsigned int i = 0; version == 3 && i < n_olds; i++) {
                olds[i]->beat_boot_ds -= 600;
                olds[i]->beat_real_ds -= 600;
        }
}

static void one(enum when when, unsigned int at)
{
        struct khs_table_params params = torture_params();
        int dir_fd = torture_rundir("mode=755");
        uint32_t version;

        if (dir_fd < 0 || k8shsvc_open(&handle) < 0 || khs_writer_new(&writer, dir_fd, &params, 1) < 0 ||
            torture_put(writer, 1, 1, torture_now()) < 0 || khs_writer_publish(writer) < 0)
                die("no table");
        if (when == AFTER_REPLACEMENT) {
                (void)lookup(&version);
                replace_file(2);
                last_try_ds -= TRY_DS + 1;
        }
        escape_at = at;
        if (sigsetjmp(escape, 1) == 0)
                (void)lookup(&version);
        escape_at = 0;
        out->n_calls = n_calls;

        out->at_once = lookup(&version);
        last_try_ds -= TRY_DS + 1; /* a second later */
        out->later = lookup(&version);
        replace_file(3);
        last_try_ds -= TRY_DS + 1;
        out->after_death = lookup(&out->version);
        _exit(0);
}

static void all(enum when when, const char *name)
{
        unsigned int at, n_bad = 0;
        char what[200] = "";

        for (at = 1; at < 100; at++) {
                int status;
                pid_t pid = torture_fork();

                if (pid == 0)
                        one(when, at);
                (void)waitpid(pid, &status, 0);
                if (status == 0 && out->n_calls < at)
                        break;
                if (status == 0 && out->at_once == 0 && out->later == 0 && out->after_death == 0 && out->version == 3)
                        continue;
                if (n_bad++ == 0)
                        (void)snprintf(what, sizeof(what),
                                       ": first at call %u: status %x, at once %d, a second later %d, when "
                                       "the file was replaced %d",
                                       at, (unsigned int)status, out->at_once, out->later, out->after_death);
        }
        tap_ok(n_bad == 0 && at > 2, "%s: %u places, %u bad%s", name, at - 1, n_bad, what);
}

int main(void)
{
        out = torture_shared(sizeof(*out));
        if (geteuid() != 0)
                tap_skip_all("needs root and a mount namespace");
        all(FIRST_LOOKUP, "out of the first lookup");
        all(AFTER_REPLACEMENT, "out of a lookup whose file was replaced");
        return tap_done();
}
