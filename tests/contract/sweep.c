/*
 * The contract between glibc and a hosts module, call by call: every entry point, with every length of
 * buffer up to 2,000 bytes and around what larger answers need, at every alignment, between pages that
 * can't be touched, with *pat of either kind, for services of 0 to 5,000 addresses of either family.
 *
 *     contract-sweep MODULE TABLE-PROGRAM
 *
 * glibc goes by these rules and says so nowhere in one place (nss.texi, nss/getXXbyYY_r.c,
 * sysdeps/posix/getaddrinfo.c); each has been broken by some module, and cost a crash or a lookup.
 */

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "call.h"
#include "services.h"

#define N_EVERY      2000 /* every length of buffer up to here */
#define N_ALIGNMENTS 16
#define MARGIN       64 /* bytes around a buffer that are looked at */
#define REGION       (1024U * 1024)

struct region {
        char *start, *end; /* a page that can't be touched lies before and after */
};

static struct region make_region(void)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *map = mmap(NULL, REGION + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (map == MAP_FAILED || mprotect(map + page, REGION, PROT_READ | PROT_WRITE) < 0)
                die("no memory");
        return (struct region){ map + page, map + page + REGION };
}

/* ---- what was found wrong ---- */

static __thread struct call *running;
static __thread char why[400];

static void describe(const struct call *c, char *ret, size_t n)
{
        (void)snprintf(ret, n, "%s(%.40s, family %d), %zu bytes at %p%s%s", entry_names[c->entry],
                       c->name ? c->name : "an address", c->family, c->n_buffer, (void *)c->buffer,
                       c->preset ? ", *pat preset" : "", c->bare ? ", no ttl" : "");
}

/* Notes the first fault of a test. */
__attribute__((format(printf, 2, 3))) static bool expect(bool ok, const char *format, ...)
{
        char call[160] = "", text[200];
        va_list args;

        if (ok || why[0])
                return ok;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (running)
                describe(running, call, sizeof(call));
        (void)snprintf(why, sizeof(why), "%s: %s", call, text);
        return false;
}

/* Ends a test: one line, with what was wrong. */
__attribute__((format(printf, 1, 2))) static void conclude(const char *format, ...)
{
        char title[160];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(title, sizeof(title), format, args);
        va_end(args);
        tap_ok(!why[0], "%s", title);
        if (why[0])
                printf("# %s\n", why);
        why[0] = '\0';
        running = NULL;
}

/* A page that can't be touched was. */
static void on_fault(int signal)
{
        char call[200] = "", text[300];
        int n;

        if (running)
                describe(running, call, sizeof(call));
        n = snprintf(text, sizeof(text), "Bail out! signal %d in %s\n", signal, call);
        (void)!write(STDOUT_FILENO, text, (size_t)n);
        _exit(EXIT_FAILURE);
}

static void catch_faults(void)
{
        struct sigaction action = { .sa_handler = on_fault };

        if (sigaction(SIGSEGV, &action, NULL) < 0 || sigaction(SIGBUS, &action, NULL) < 0)
                die("sigaction");
}

/* ---- what is right ---- */

struct range {
        uint32_t least, most;
};

struct wanted {
        enum nss_status status;
        int h_error;
        struct range n4, n6;
};

/* N and auto: the first and as many others as glibc leaves in its place. */
static struct range n_answers(uint32_t answers, uint32_t n)
{
        uint32_t most = answers == KHS_ANSWERS_AUTO ? 4 : answers;

        if (answers == KHS_ANSWERS_ALL || n == 0)
                return (struct range){ n, n };
        return (struct range){ 1, most < n ? most : n };
}

static bool unknown(const struct service *s, int family)
{
        return s->knowledge == PENDING || s->knowledge == EXPIRED || (s->knowledge == HALF && family == AF_INET6);
}

static struct wanted want(const struct service *s, int family)
{
        struct wanted w = { .status = NSS_STATUS_SUCCESS, .h_error = NETDB_SUCCESS };
        uint32_t n4 = s->pod ? 1 : s->n4, n6 = s->pod ? 1 : s->n6;
        bool no4 = family == AF_INET6 || s->n4 == 0, no6 = family == AF_INET || s->n6 == 0;

        if (s->knowledge == PENDING || s->knowledge == EXPIRED ||
            (no4 && no6 &&
             ((family != AF_INET6 && unknown(s, AF_INET)) || (family != AF_INET && unknown(s, AF_INET6)))))
                return (struct wanted){ .status = NSS_STATUS_UNAVAIL, .h_error = NO_RECOVERY };
        if (no4 && no6 && s->pod && s->hosts != ALL_HOSTS) /* it may have one all the same */
                return (struct wanted){ .status = NSS_STATUS_UNAVAIL, .h_error = HOST_NOT_FOUND };
        if (no4 && no6)
                return (struct wanted){ .status = NSS_STATUS_NOTFOUND,
                                        .h_error = s->n4 || s->n6 ? NO_DATA : HOST_NOT_FOUND };
        if (!no4)
                w.n4 = n_answers(s->answers, n4);
        if (!no6)
                w.n6 = n_answers(s->answers, n6);
        return w;
}

/* Bytes of what an answer is made of, without any padding. */
static size_t content(enum entry entry, int family, size_t n4, size_t n6, size_t n_name)
{
        if (entry == BY_NAME4)
                return (n4 + n6) * sizeof(struct gaih_addrtuple) + n_name + 1;
        return (2 + n4 + n6) * sizeof(char *) + n4 * 4 + n6 * 16 + n_name + 1 + (family == AF_UNSPEC);
}

static void canonical_of(const struct service *s, char ret[static 512])
{
        (void)snprintf(ret, 512, "%s.svc." ZONE, s->key);
}

static bool painted(const void *bytes, size_t n)
{
        const char *b = bytes;

        return n == 0 || ((unsigned char)b[0] == PAINT && memcmp(b, b + 1, n - 1) == 0);
}

static bool inside(const struct call *c, const void *p, size_t n, size_t alignment)
{
        return (const char *)p >= c->buffer && (const char *)p + n <= c->buffer + c->n_buffer &&
               (uintptr_t)p % alignment == 0;
}

static bool in_range(uint32_t n, const struct range *r)
{
        return n >= r->least && n <= r->most;
}

/* ---- checks of one call ---- */

/* Address after address of one family: the service's own, none twice, all of them cyclic. */
struct addresses {
        const struct service *s;
        bool is_v4;
        uint32_t n, first;
        int32_t last;
        uint8_t seen[KHS_MAX_ADDRS];
};

static bool address_next(struct addresses *a, const void *address)
{
        int32_t number = number_of(a->s, a->is_v4, address);
        uint32_t n = a->is_v4 ? a->s->n4 : a->s->n6;

        if (!expect(number >= 0, "a foreign address"))
                return false;
        if (a->n == 0)
                a->first = (uint32_t)number;
        else if (a->s->answers == KHS_ANSWERS_ALL &&
                 !expect((uint32_t)number == ((uint32_t)a->last + 1) % n, "%d after %d", number, a->last))
                return false;
        if (!expect(!a->seen[number], "address %d twice", number))
                return false;
        a->seen[number] = 1;
        a->last = number;
        a->n++;
        return true;
}

static void check_name(const struct call *c, const char *name, const char *wanted)
{
        expect(inside(c, name, strlen(wanted) + 1, 1) && strcmp(name, wanted) == 0, "the name is not %.100s", wanted);
}

static void check_tuples(const struct call *c, const struct service *s, const struct wanted *w, const char *canonical)
{
        static __thread struct addresses v4, v6;
        const struct gaih_addrtuple *tuple = c->pat;

        memset(&v4, 0, sizeof(v4));
        memset(&v6, 0, sizeof(v6));
        v4.s = v6.s = s;
        v4.is_v4 = true;
        if (!expect(c->preset ? tuple == &c->own : inside(c, tuple, sizeof(*tuple), _Alignof(struct gaih_addrtuple)),
                    "*pat is %p", (const void *)tuple))
                return;
        for (; tuple; tuple = tuple->next) {
                if (tuple != &c->own && !expect(inside(c, tuple, sizeof(*tuple), _Alignof(struct gaih_addrtuple)),
                                                "tuple %u at %p", v4.n + v6.n, (const void *)tuple))
                        return;
                check_name(c, tuple->name, canonical);
                if (!expect(tuple->family == AF_INET || tuple->family == AF_INET6, "family %d", tuple->family) ||
                    !expect(tuple->scopeid == 0, "scope %u", tuple->scopeid) ||
                    !address_next(tuple->family == AF_INET ? &v4 : &v6, tuple->addr))
                        return;
        }
        expect(in_range(v4.n, &w->n4) && in_range(v6.n, &w->n6), "%u + %u addresses", v4.n, v6.n);
}

static void check_host(const struct call *c, const struct service *s, const struct wanted *w, const char *canonical)
{
        static __thread struct addresses a;
        const struct hostent *h = &c->host;
        size_t size = c->family == AF_INET ? 4 : 16;

        memset(&a, 0, sizeof(a));
        a.s = s;
        a.is_v4 = c->family == AF_INET;
        check_name(c, h->h_name, canonical);
        if (c->entry == BY_NAME3 && !c->bare)
                check_name(c, c->canonical, canonical);
        if (!expect(h->h_addrtype == c->family && h->h_length == (int)size, "family %d, length %d", h->h_addrtype,
                    h->h_length) ||
            !expect(inside(c, h->h_aliases, sizeof(char *), _Alignof(char *)) && !h->h_aliases[0], "the aliases") ||
            !expect(inside(c, h->h_addr_list, sizeof(char *), _Alignof(char *)), "the list at %p",
                    (void *)h->h_addr_list))
                return;
        for (char **address = h->h_addr_list; *address; address++) {
                if (!expect(inside(c, address + 1, sizeof(char *), 1), "a list without end") ||
                    !expect(inside(c, *address, size, 4), "an address at %p", (void *)*address))
                        return;
                if (s ? !address_next(&a, *address)
                      : !expect(memcmp(*address, c->address, size) == 0, "another address"))
                        return;
        }
        if (s)
                expect(in_range(a.n, a.is_v4 ? &w->n4 : &w->n6), "%u addresses", a.n);
}

static void check_untouched(const struct call *c)
{
        expect(painted(c->buffer, c->n_buffer), "the buffer is touched, without an answer");
        expect(painted(&c->host, sizeof(c->host)), "the hostent is touched, without an answer");
        expect(painted(&c->own, sizeof(c->own)), "**pat is touched, without an answer");
        expect(c->pat == (c->preset ? &c->own : NULL), "*pat is touched, without an answer");
        expect(c->ttl == UNTOUCHED, "ttl is touched, without an answer");
}

/* What holds for every call, whatever it says. */
static void check_status(const struct call *c, enum nss_status status, int h_error)
{
        expect(c->thread_errno == THREAD_ERRNO, "errno is %d", c->thread_errno);
        expect(c->thread_h_errno == UNTOUCHED, "h_errno is %d", c->thread_h_errno);
        if (!expect(c->status == status && c->h_error == h_error, "status %d with h_errno %d, not %d with %d",
                    c->status, c->h_error, status, h_error))
                return;
        expect(c->error != 0, "*errnop is 0");
        if (status == NSS_STATUS_SUCCESS)
                return;
        expect((c->error == ERANGE) == (status == NSS_STATUS_TRYAGAIN), "*errnop is %d", c->error);
        expect(c->error != UNTOUCHED, "*errnop is not set");
        check_untouched(c);
}

/* One call, and all that must hold after it. */
static void try(struct call *c, const struct region *r, const struct service *s, const struct wanted *w,
                const char *canonical)
{
        size_t n_name = strlen(canonical), family_n4 = w->n4.most, family_n6 = w->n6.most;
        char *low = c->buffer - r->start < MARGIN ? r->start : c->buffer - MARGIN;
        char *high = c->buffer + c->n_buffer;
        bool must_fit, may_fit;

        high = r->end - high < MARGIN ? r->end : high + MARGIN;
        memset(low, PAINT, (size_t)(high - low));
        running = c;
        call_run(c);
        expect(painted(low, (size_t)(c->buffer - low)), "bytes before the buffer are touched");
        expect(painted(c->buffer + c->n_buffer, (size_t)(high - c->buffer) - c->n_buffer),
               "bytes after the buffer are touched");
        if (w->status != NSS_STATUS_SUCCESS) {
                check_status(c, w->status, w->h_error);
                return;
        }
        /* Nothing but what pads the first item is to be wasted. */
        must_fit = c->n_buffer >= content(c->entry, c->family, family_n4, family_n6, n_name) + 2 * sizeof(char *) - 1;
        may_fit = c->n_buffer >= content(c->entry, c->family, w->n4.least, w->n6.least, n_name);
        if (!must_fit && c->status == NSS_STATUS_TRYAGAIN) {
                check_status(c, NSS_STATUS_TRYAGAIN, NETDB_INTERNAL);
                return;
        }
        check_status(c, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
        if (c->status != NSS_STATUS_SUCCESS || !expect(may_fit, "more than fits"))
                return;
        if (!c->bare && c->entry != BY_NAME2 && c->entry != BY_NAME && c->entry != BY_ADDR)
                expect(c->ttl == 0, "ttl %d", c->ttl);
        if (c->entry == BY_NAME4)
                check_tuples(c, s, w, canonical);
        else
                check_host(c, s, w, canonical);
}

/* ---- the sweep ---- */

/* One length, at each alignment, as near to either guard page as that allows. */
static void sweep_length(struct call *c, const struct region *r, const struct service *s, const struct wanted *w,
                         const char *canonical, size_t n)
{
        c->n_buffer = n;
        for (size_t a = 0; a < N_ALIGNMENTS && !why[0]; a++) {
                char *last = r->end - n;

                c->bare = (n + a) % 3 == 0;
                c->buffer = r->start + a;
                try(c, r, s, w, canonical);
                c->buffer = last - ((uintptr_t)last - a) % N_ALIGNMENTS;
                try(c, r, s, w, canonical);
        }
}

static void sweep(struct call *c, const struct region *r, const struct service *s, const struct wanted *w,
                  const char *canonical)
{
        size_t n_name = strlen(canonical);
        size_t least = content(c->entry, c->family, w->n4.least, w->n6.least, n_name);
        size_t most = content(c->entry, c->family, w->n4.most, w->n6.most, n_name) + 2 * sizeof(char *);

        for (size_t n = 0; n <= N_EVERY && !why[0]; n++)
                sweep_length(c, r, s, w, canonical, n);
        if (w->status != NSS_STATUS_SUCCESS || most <= N_EVERY)
                return;
        for (size_t n = least > N_EVERY ? least - 2 : N_EVERY; n <= most + 2 && !why[0]; n++)
                sweep_length(c, r, s, w, canonical, n);
        /* as glibc grows its buffer */
        for (size_t n = 2048; n < 2 * most && !why[0]; n *= 2)
                sweep_length(c, r, s, w, canonical, n);
}

static const struct kind {
        enum entry entry;
        int family;
        bool preset;
        const char *title;
} kinds[] = {
        { BY_NAME4, AF_UNSPEC, false, "gethostbyname4_r" },
        { BY_NAME4, AF_UNSPEC, true, "gethostbyname4_r, *pat preset" },
        { BY_NAME3, AF_INET, false, "gethostbyname3_r, IPv4" },
        { BY_NAME3, AF_INET6, false, "gethostbyname3_r, IPv6" },
        { BY_NAME2, AF_INET, false, "gethostbyname2_r, IPv4" },
        { BY_NAME2, AF_INET6, false, "gethostbyname2_r, IPv6" },
        { BY_NAME, AF_INET, false, "gethostbyname_r" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct call call_of(const struct kind *kind, const char *name)
{
        return (struct call){ .entry = kind->entry, .family = kind->family, .preset = kind->preset, .name = name };
}

static void sweep_service(const struct kind *kind, const struct region *r, const struct service *s)
{
        struct wanted w = want(s, kind->family);
        struct call c = call_of(kind, s->key);
        char canonical[512];

        canonical_of(s, canonical);
        sweep(&c, r, s, &w, canonical);
        conclude("%s of %.40s: every buffer", kind->title, s->key);
}

static void sweep_services(const struct kind *kind, const struct region *r)
{
        for (uint32_t i = 0; i < N_SERVICES; i++) {
                struct service s = service_of(i), pod = pod_of(&s, s.hosts == ALL_HOSTS);

                sweep_service(kind, r, &s);
                if (s.hosts != NO_HOSTS)
                        sweep_service(kind, r, &pod);
        }
}

/* The name of an answer is the service's, whatever it was asked by. */
static void sweep_alias(const struct kind *kind, const struct region *r)
{
        struct call c = call_of(kind, ALIAS);
        char canonical[512];

        for (uint32_t i = 0; i < N_SERVICES; i++) {
                struct service s = service_of(i);
                struct wanted w = want(&s, kind->family);

                if (strcmp(s.key, ALIAS_SERVICE) != 0)
                        continue;
                canonical_of(&s, canonical);
                sweep(&c, r, &s, &w, canonical);
        }
        conclude("%s of an alias: every buffer", kind->title);
}

/* ---- answers without addresses ---- */

static void expect_status(const struct region *r, const struct kind *kind, const char *name, enum nss_status status,
                          int h_error)
{
        struct wanted w = { .status = status, .h_error = h_error };
        struct call c = call_of(kind, name);

        for (int bare = 0; bare < 2; bare++) {
                c.bare = bare;
                c.buffer = r->start + 3;
                c.n_buffer = 1024;
                try(&c, r, NULL, &w, name);
                c.n_buffer = 0;
                try(&c, r, NULL, &w, name);
                c.buffer = r->end;
                try(&c, r, NULL, &w, name);
        }
}

static void status_of_names(const struct region *r)
{
        static char endless[65537], many_labels[400], label_64[80];
        static const char *const names[] = {
                "nobody.sweep",
                "nobody",
                "",
                ".",
                "..",
                "localhost",
                "a.localhost",
                "all-1-1.sweep.",
                "all-1-1..sweep",
                "all-1-1.sweep.svc.cluster.local..",
                "10.0.0.1",
                "::1",
                "all-1-1.sweep.svc.example.test",
                "all-1-1.sweep\n",
                "\xff\xfe",
                "all-1-1",
                "host.nobody.sweep",
                "a.b.c.d.e",
                "users.internal.",
                "pod-0.all-1-1.sweep",
                "pod-1.some.sweep",
                "pod-0.pods.sweep.",
                "pod-0." ALIAS,
                endless,
                many_labels,
                label_64,
        };

        memset(endless, 'a', sizeof(endless) - 1);
        for (size_t i = 0; i < sizeof(many_labels) - 1; i++)
                many_labels[i] = i % 2 ? '.' : 'a';
        memset(label_64, 'a', 64);
        strcpy(label_64 + 64, ".sweep");
        for (size_t k = 0; k < N_KINDS; k++) {
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                        expect_status(r, &kinds[k], names[i], NSS_STATUS_UNAVAIL, HOST_NOT_FOUND);
                conclude("%s: names that are not ours are left to the next source", kinds[k].title);
        }
}

/* Where all hosts are known, one that is not among them does not exist. */
static void status_of_no_pod(const struct region *r)
{
        for (size_t k = 0; k < N_KINDS; k++)
                expect_status(r, &kinds[k], "pod-3.pods.sweep", NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
        conclude("a pod that a service has not got is not found");
}

/* With ERANGE for an answer that needs more room than none, since that is all that is missing. */
static void no_buffer_at_all(void)
{
        for (size_t k = 0; k < N_KINDS; k++) {
                struct call c = call_of(&kinds[k], "all-1-1.sweep");

                running = &c;
                call_run(&c);
                expect(c.status == NSS_STATUS_TRYAGAIN && c.error == ERANGE && c.h_error == NETDB_INTERNAL,
                       "status %d, errno %d, h_errno %d", c.status, c.error, c.h_error);
        }
        conclude("a buffer of 0 bytes at NULL is too small");
}

static void unknown_families(const struct region *r)
{
        static const int families[] = { AF_UNSPEC, AF_UNIX, -1, 12345 };

        for (size_t k = 0; k < N_KINDS; k++) {
                if (kinds[k].entry != BY_NAME3 && kinds[k].entry != BY_NAME2)
                        continue;
                for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
                        struct call c = call_of(&kinds[k], "all-1-1.sweep");

                        c.family = families[i];
                        c.buffer = r->start;
                        c.n_buffer = 1024;
                        memset(c.buffer, PAINT, c.n_buffer);
                        running = &c;
                        call_run(&c);
                        expect(c.status == NSS_STATUS_UNAVAIL && c.h_error != NETDB_INTERNAL && c.h_error != UNTOUCHED,
                               "status %d, h_errno %d", c.status, c.h_error);
                        expect(c.error != UNTOUCHED && c.error != ERANGE && c.error != 0, "*errnop is %d", c.error);
                        check_untouched(&c);
                }
        }
        conclude("families that are none are left to the next source");
}

static void expect_all(const struct region *r, enum nss_status status, int h_error, const char *when)
{
        for (size_t k = 0; k < N_KINDS; k++) {
                static const char *const names[] = { "all-1-1.sweep", "nobody.sweep", "localhost", ALIAS };

                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                        expect_status(r, &kinds[k], names[i], status, h_error);
        }
        conclude("%s: everything is left to the next source", when);
}

/* In a child: this process has not looked up anything yet and shall not know that there is nothing. */
static void without_table(const struct region *r)
{
        int status;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                tap_n_failed = 0;
                expect_all(r, NSS_STATUS_UNAVAIL, NO_RECOVERY, "without a table");
                _exit(tap_n_failed ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        tap_n++;
        tap_n_failed += status != 0;
}

/* glibc gives the same pointer to a program's errno: what has an answer leaves it alone. */
static void errno_itself(const struct region *r)
{
        struct call c = call_of(&kinds[0], "all-1-1.sweep");

        c.buffer = r->start;
        c.n_buffer = 1024;
        call_clear(&c);
        errno = THREAD_ERRNO;
        expect(module[BY_NAME4].by_name4(c.name, &c.pat, c.buffer, c.n_buffer, &errno, &h_errno, &c.ttl) ==
                               NSS_STATUS_SUCCESS &&
                       errno == THREAD_ERRNO && h_errno == NETDB_SUCCESS,
               "errno %d, h_errno %d", errno, h_errno);
        conclude("with errno and h_errno of the thread: an answer changes h_errno only");
}

/* ---- rotation ---- */

static struct call big_call(const struct kind *kind, const struct region *r, const char *name)
{
        struct call c = call_of(kind, name);

        c.buffer = r->start;
        c.n_buffer = REGION;
        return c;
}

static uint32_t first_of(const struct kind *kind, const struct region *r, const struct service *s)
{
        struct call c = big_call(kind, r, s->key);
        int32_t number;

        call_run(&c);
        if (!expect(c.status == NSS_STATUS_SUCCESS, "status %d", c.status))
                return 0;
        if (kind->entry == BY_NAME4)
                number = number_of(s, c.pat->family == AF_INET, c.pat->addr);
        else
                number = number_of(s, kind->family == AF_INET, c.host.h_addr_list[0]);
        expect(number >= 0, "a foreign address");
        return (uint32_t)number;
}

/*
 * Turn after turn the first address moves on by the same part of the circle: how far it has moved tells
 * how many turns were taken.
 */
static void expect_one_turn(uint32_t n, uint32_t step, uint32_t before, uint32_t after, const char *when)
{
        uint32_t moved = (after + n - before) % n;

        expect(moved + 1 >= step && moved <= step + 1, "%s: moved by %u of %u, not by %u", when, moved, n, step);
}

static void turns_of(const struct kind *kind, const struct region *r, const struct service *s)
{
        static const char *const others[] = { "nobody.sweep", "all-0-0.sweep", "expired.sweep", "pending.sweep" };
        uint32_t n = kind->family == AF_INET ? s->n4 : s->n6, a, b, step;

        a = first_of(kind, r, s);
        b = first_of(kind, r, s);
        step = (b + n - a) % n;
        for (uint32_t n_calls = 1; n_calls <= 1000; n_calls *= 10) {
                a = first_of(kind, r, s);
                expect_one_turn(n, step, b, a, "at once");
                for (uint32_t i = 0; i < n_calls; i++) {
                        struct call c = big_call(kind, r, s->key);

                        c.n_buffer = i % 40;
                        call_run(&c);
                        expect(c.status == NSS_STATUS_TRYAGAIN, "status %d", c.status);
                }
                b = first_of(kind, r, s);
                expect_one_turn(n, step, a, b, "after buffers that were too small");
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                struct call c = big_call(kind, r, others[i]);

                call_run(&c);
                expect(c.status != NSS_STATUS_SUCCESS, "%s is answered", others[i]);
        }
        a = first_of(kind, r, s);
        expect_one_turn(n, step, b, a, "after lookups without an answer");
        conclude("%s of %s: only an answer takes a turn", kind->title, s->key);
}

static void turns(const struct region *r)
{
        for (uint32_t i = 0; i < N_SERVICES; i++) {
                struct service s = service_of(i);

                if (s.n4 < 5000 || s.n6 < 5000)
                        continue;
                for (size_t k = 0; k < N_KINDS; k++)
                        turns_of(&kinds[k], r, &s);
        }
}

/* ---- threads ---- */

static void *sweep_in_thread(void *result)
{
        static const char *const keys[] = { "all-25-25.sweep", "auto.sweep", "all-2-2.sweep", "all-0-100.sweep" };
        struct region r = make_region();
        time_t end = time(NULL) + 2;

        for (uint32_t round = 0; time(NULL) <= end && !why[0]; round++) {
                const struct kind *kind = &kinds[round % N_KINDS];

                for (uint32_t i = 0; i < N_SERVICES; i++) {
                        struct service s = service_of(i);
                        struct wanted w = want(&s, kind->family);
                        struct call c = call_of(kind, s.key);
                        char canonical[512];

                        if (strcmp(s.key, keys[round / N_KINDS % 4]) != 0)
                                continue;
                        canonical_of(&s, canonical);
                        for (size_t n = round % 7; n < 4 * N_EVERY; n += 97)
                                sweep_length(&c, &r, &s, &w, canonical, n);
                }
        }
        strcpy(result, why);
        return NULL;
}

static void in_threads(void)
{
        static char results[4][sizeof(why)];
        pthread_t threads[4];

        for (int i = 0; i < 4; i++) {
                if (pthread_create(&threads[i], NULL, sweep_in_thread, results[i]) != 0)
                        die("thread");
        }
        for (int i = 0; i < 4; i++)
                (void)pthread_join(threads[i], NULL);
        for (int i = 0; i < 4; i++)
                expect(!results[i][0], "%.150s", results[i]);
        conclude("four threads at once");
}

/* ---- reverse lookups ---- */

static const struct kind reverse_kinds[] = {
        { BY_ADDR2, AF_INET, false, "gethostbyaddr2_r, IPv4" },
        { BY_ADDR2, AF_INET6, false, "gethostbyaddr2_r, IPv6" },
        { BY_ADDR, AF_INET, false, "gethostbyaddr_r, IPv4" },
        { BY_ADDR, AF_INET6, false, "gethostbyaddr_r, IPv6" },
};

static struct call reverse_call(const struct kind *kind, const void *address, socklen_t n)
{
        return (struct call){ .entry = kind->entry, .family = kind->family, .address = address, .n_address = n };
}

/* A pod whose name is not known has its address for one, as in the cluster's DNS. */
static void dashed_of(const struct kind *kind, const void *address, const struct service *s, char ret[static 512])
{
        char text[64];
        size_t n;

        (void)inet_ntop(kind->family, address, text, sizeof(text));
        for (char *p = text; *p; p++)
                *p = *p == '.' || *p == ':' ? '-' : *p;
        n = strlen(text);
        (void)snprintf(ret, 512, "%s%s.%s.svc." ZONE, text, text[n - 1] == '-' ? "0" : "", s->key);
}

static void address_of(const struct kind *kind, const struct service *s, uint8_t ret[static 16])
{
        uint32_t last = (kind->family == AF_INET ? s->n4 : s->n6) - 1, v4 = v4_of(s->i, last);

        if (kind->family == AF_INET)
                memcpy(ret, &v4, sizeof(v4));
        else
                v6_of(s->i, last, ret);
}

/* The answer is the name, and the address as it was given. */
static void sweep_name_of(const struct kind *kind, const struct region *r, const uint8_t *address, const char *name)
{
        struct wanted w = { NSS_STATUS_SUCCESS, NETDB_SUCCESS, { 0, 0 }, { 0, 0 } };
        struct call c = reverse_call(kind, address, kind->family == AF_INET ? 4 : 16);

        *(kind->family == AF_INET ? &w.n4 : &w.n6) = (struct range){ 1, 1 };
        sweep(&c, r, NULL, &w, name);
}

/* An address is looked for among all of its service's: not every buffer where there are thousands. */
static void sweep_address(const struct kind *kind, const struct region *r, uint32_t i)
{
        struct service s = service_of(i);
        uint32_t n = kind->family == AF_INET ? s.n4 : s.n6;
        uint8_t address[16];
        char name[512];

        if (n == 0 || n > 100 || s.knowledge == EXPIRED)
                return;
        address_of(kind, &s, address);
        if (has_host(&s, n - 1)) {
                s = pod_of(&s, n - 1);
                canonical_of(&s, name);
        } else {
                dashed_of(kind, address, &s, name);
        }
        sweep_name_of(kind, r, address, name);
        conclude("%s of an address of %.40s: every buffer", kind->title, s.key);
}

/* Sockets of both families show IPv4 peers so. */
static void sweep_mapped_address(const struct kind *kind, const struct region *r)
{
        static const struct kind ipv4 = { .family = AF_INET };
        uint8_t mapped[16] = { [10] = 0xff, 0xff };
        struct service s = service_of(3);
        uint32_t address = v4_of(s.i, 0);
        char name[512];

        if (kind->family == AF_INET)
                return;
        memcpy(mapped + 12, &address, sizeof(address));
        dashed_of(&ipv4, &address, &s, name);
        sweep_name_of(kind, r, mapped, name);
        conclude("%s of an IPv4 address: every buffer", kind->title);
}

static void expect_no_name(const struct kind *kind, const struct region *r, int family, const void *address,
                           socklen_t n, const char *when)
{
        struct call c = reverse_call(kind, address, n);

        c.family = family;
        c.buffer = r->start;
        c.n_buffer = 1024;
        memset(c.buffer, PAINT, c.n_buffer);
        running = &c;
        call_run(&c);
        expect(c.status == NSS_STATUS_UNAVAIL && c.h_error != NETDB_INTERNAL && c.h_error != UNTOUCHED &&
                       c.error != UNTOUCHED && c.error != ERANGE && c.error != 0,
               "%s: status %d, errno %d, h_errno %d", when, c.status, c.error, c.h_error);
        expect(c.thread_errno == THREAD_ERRNO, "errno is %d", c.thread_errno);
        check_untouched(&c);
}

static void addresses_without_name(const struct region *r, const char *when, bool without_index)
{
        static const uint8_t nobody[16] = { 192, 0, 2, 1 }, zero[16], mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
        struct service s = service_of(3); /* one address of either family */

        for (size_t k = 0; k < 4; k++) {
                const struct kind *kind = &reverse_kinds[k];
                socklen_t n = kind->family == AF_INET ? 4 : 16;
                uint8_t address[16];

                for (uint32_t i = 0; i < N_SERVICES; i++) {
                        struct service expired = service_of(i);

                        if (expired.knowledge != EXPIRED)
                                continue;
                        address_of(kind, &expired, address);
                        expect_no_name(kind, r, kind->family, address, n, "too old");
                }
                address_of(kind, &s, address);
                expect_no_name(kind, r, kind->family, nobody, n, "nobody's");
                expect_no_name(kind, r, kind->family, zero, n, "zero");
                expect_no_name(kind, r, kind->family, mapped, n, "mapped");
                expect_no_name(kind, r, AF_UNIX, address, n, "AF_UNIX");
                expect_no_name(kind, r, kind->family, address, 0, "no bytes");
                expect_no_name(kind, r, kind->family, address, 3, "3 bytes");
                expect_no_name(kind, r, kind->family == AF_INET ? AF_INET6 : AF_INET, address, n,
                               "of the other length");
                if (without_index)
                        expect_no_name(kind, r, kind->family, address, n, "a pod's");
                conclude("%s, %s: left to the next source", kind->title, when);
        }
}

static void reverse(const struct region *r)
{
        if (!module_has_reverse()) {
                tap_ok(true, "reverse lookups # SKIP the module exports none");
                return;
        }
        addresses_without_name(r, "without reverse = yes", true);
        table_tell("reverse");
        (void)usleep(1200000); /* a process looks for a newer table once a second */
        addresses_without_name(r, "addresses that are nobody's", false);
        for (size_t k = 0; k < 4; k++) {
                for (uint32_t i = 0; i < N_SERVICES; i++)
                        sweep_address(&reverse_kinds[k], r, i);
                sweep_mapped_address(&reverse_kinds[k], r);
        }
}

/* ---- */

int main(int argc, char **argv)
{
        struct service living = service_of(3);
        struct region r;

        if (argc != 3) {
                (void)fputs("contract-sweep MODULE TABLE-PROGRAM\n", stderr);
                return 2;
        }
        stage_enter();
        catch_faults();
        module_load(argv[1]);
        r = make_region();
        without_table(&r);
        table_start(argv[2]);
        for (size_t k = 0; k < N_KINDS; k++) {
                sweep_services(&kinds[k], &r);
                sweep_alias(&kinds[k], &r);
        }
        status_of_names(&r);
        status_of_no_pod(&r);
        no_buffer_at_all();
        unknown_families(&r);
        errno_itself(&r);
        turns(&r);
        in_threads();
        table_tell("silent 20");
        sweep_service(&kinds[0], &r, &living);
        table_tell("silent 1200");
        expect_all(&r, NSS_STATUS_UNAVAIL, NO_RECOVERY, "after 20 minutes without a daemon");
        table_tell("alive");
        sweep_service(&kinds[0], &r, &living);
        reverse(&r);
        return tap_done();
}
