/*
 * Which address comes first? Looks names up as programs of different kinds do and prints, for each
 * first address of a family, how often it came and how many addresses those answers had in all:
 *
 *     NAME ADDRESS COUNT GIVEN
 *
 *     spread [-m MODE] [-f 0|4|6] [-n LOOKUPS] [-s MSEC] NAME...
 *
 * Each name is looked up so many times, in turn with the others. The modes:
 *     process   one process
 *     threads   its 8 threads, a share each
 *     workers   workers that look up 20 times each, forked after a first lookup
 *     hostent   as Python's gethostbyname_ex(): getaddrinfo(), then gethostbyname_r(), whose answer counts
 *     fresh     a program for each lookup
 * With -s one sleeps so long between two lookups. The caller adds up lines of the same address.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_THREADS   8
#define WORKER_LIFE 20
#define MAX_NAMES   32
#define MAX_FIRST   64

extern char **environ;

struct options {
        const char *mode;
        int family;
        unsigned long n_lookups;
        long pause_msec;
        char **names;
        int n_names;
};

struct first {
        int family;
        uint8_t address[16];
        unsigned long count, given;
};

/* What one thread or process has seen; as large as it is, not on a stack. */
struct tally {
        const struct options *options;
        unsigned long n_lookups;
        struct first first[MAX_NAMES][MAX_FIRST];
};

static void fail(const char *name, const char *what)
{
        fprintf(stderr, "%s: %s\n", name, what);
        exit(1);
}

static void count(struct tally *t, int name, int family, const void *address, unsigned long given)
{
        size_t size = family == AF_INET ? 4 : 16;

        for (struct first *f = t->first[name]; f < t->first[name] + MAX_FIRST; f++) {
                if (f->count == 0) {
                        f->family = family;
                        memcpy(f->address, address, size);
                }
                if (f->family == family && memcmp(f->address, address, size) == 0) {
                        f->count++;
                        f->given += given;
                        return;
                }
        }
        fail(t->options->names[name], "more different addresses than can be");
}

static struct addrinfo *by_getaddrinfo(const char *name, int family)
{
        const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
        struct addrinfo *list;
        int r = getaddrinfo(name, NULL, &hints, &list);

        if (r != 0)
                fail(name, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
        return list;
}

static const void *address_of(const struct addrinfo *info)
{
        if (info->ai_family == AF_INET)
                return &((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr;
        return &((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr;
}

/* The first of either family: programs that know one family only take that. */
static void look_up(struct tally *t, int name)
{
        static const int families[] = { AF_INET, AF_INET6 };
        struct addrinfo *list = by_getaddrinfo(t->options->names[name], t->options->family);

        for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
                const struct addrinfo *first = NULL;
                unsigned long given = 0;

                for (const struct addrinfo *info = list; info; info = info->ai_next) {
                        if (info->ai_family != families[i])
                                continue;
                        if (!first)
                                first = info;
                        given++;
                }
                if (first)
                        count(t, name, families[i], address_of(first), given);
        }
        freeaddrinfo(list);
}

static void look_up_twice(struct tally *t, int name)
{
        const char *text = t->options->names[name];
        int family = t->options->family == AF_INET6 ? AF_INET6 : AF_INET, error = 0, r;
        struct hostent host, *found = NULL;
        unsigned long given = 0;
        char buffer[4096];

        freeaddrinfo(by_getaddrinfo(text, family));
        if (family == AF_INET)
                r = gethostbyname_r(text, &host, buffer, sizeof(buffer), &found, &error);
        else
                r = gethostbyname2_r(text, family, &host, buffer, sizeof(buffer), &found, &error);
        if (r != 0 || !found)
                fail(text, hstrerror(error));
        while (host.h_addr_list[given])
                given++;
        count(t, name, family, host.h_addr_list[0], given);
}

static void pause_between(const struct options *o)
{
        const struct timespec t = { o->pause_msec / 1000, o->pause_msec % 1000 * 1000000 };

        if (o->pause_msec > 0)
                nanosleep(&t, NULL);
}

static void *run(void *userdata)
{
        struct tally *t = userdata;
        const struct options *o = t->options;

        for (unsigned long i = 0; i < t->n_lookups; i++) {
                for (int name = 0; name < o->n_names; name++) {
                        if (strcmp(o->mode, "hostent") == 0)
                                look_up_twice(t, name);
                        else
                                look_up(t, name);
                        pause_between(o);
                }
        }
        return NULL;
}

static struct tally *tally_new(const struct options *o, unsigned long n_lookups)
{
        struct tally *t = calloc(1, sizeof(*t));

        if (!t)
                fail("spread", "no memory");
        t->options = o;
        t->n_lookups = n_lookups;
        return t;
}

/* A line is one write: other workers print, too. */
static void tally_print(const struct tally *t)
{
        char text[INET6_ADDRSTRLEN], line[512];

        for (int name = 0; name < t->options->n_names; name++) {
                for (const struct first *f = t->first[name]; f < t->first[name] + MAX_FIRST && f->count; f++) {
                        int n = snprintf(line, sizeof(line), "%s %s %lu %lu\n", t->options->names[name],
                                         inet_ntop(f->family, f->address, text, sizeof(text)), f->count, f->given);

                        if (n < 0 || (size_t)n >= sizeof(line) || write(STDOUT_FILENO, line, (size_t)n) != n)
                                fail("spread", "can't print");
                }
        }
}

static void one_process(const struct options *o)
{
        struct tally *t = tally_new(o, o->n_lookups);

        run(t);
        tally_print(t);
        free(t);
}

static void threads(const struct options *o)
{
        struct tally *tallies[N_THREADS];
        pthread_t ids[N_THREADS];

        for (int i = 0; i < N_THREADS; i++) {
                tallies[i] = tally_new(o, o->n_lookups / N_THREADS);
                if (pthread_create(&ids[i], NULL, run, tallies[i]) != 0)
                        fail("spread", "no thread");
        }
        for (int i = 0; i < N_THREADS; i++) {
                pthread_join(ids[i], NULL);
                tally_print(tallies[i]);
                free(tallies[i]);
        }
}

static void wait_for(pid_t pid)
{
        int status;

        if (waitpid(pid, &status, 0) != pid || status != 0)
                fail("spread", "a process of it failed");
}

/*
 * What a preforking server does: it has looked up, and so has all state, before the workers are made.
 * They are many and do not live long: where they went on from what they inherit, they would all go the
 * same way, which those that look up often would hide.
 */
static void workers(const struct options *o)
{
        struct options share = *o;

        for (int name = 0; name < o->n_names; name++)
                freeaddrinfo(by_getaddrinfo(o->names[name], o->family));
        share.n_lookups = WORKER_LIFE;
        for (unsigned long i = 0; i < o->n_lookups / WORKER_LIFE; i++) {
                pid_t pid = fork();

                if (pid < 0)
                        fail("spread", "no process");
                if (pid == 0) {
                        one_process(&share);
                        _exit(0);
                }
                wait_for(pid);
        }
}

static void fresh(const struct options *o)
{
        char family[] = { (char)(o->family == AF_INET ? '4' : o->family == AF_INET6 ? '6' : '0'), '\0' };

        for (unsigned long i = 0; i < o->n_lookups; i++) {
                for (int name = 0; name < o->n_names; name++) {
                        char *arguments[] = { (char[]){ "spread" }, (char[]){ "-f" }, family, o->names[name], NULL };
                        pid_t pid;

                        if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0)
                                fail("spread", "no process");
                        wait_for(pid);
                }
        }
}

static int usage(void)
{
        fputs("spread [-m process|threads|workers|hostent|fresh] [-f 0|4|6] [-n LOOKUPS] [-s MSEC] NAME...\n", stderr);
        return 2;
}

static int parse(int argc, char **argv, struct options *o)
{
        int c;

        while ((c = getopt(argc, argv, "m:f:n:s:")) != -1) {
                switch (c) {
                case 'm':
                        o->mode = optarg;
                        break;
                case 'f':
                        o->family = *optarg == '4' ? AF_INET : *optarg == '6' ? AF_INET6 : AF_UNSPEC;
                        break;
                case 'n':
                        o->n_lookups = strtoul(optarg, NULL, 10);
                        break;
                case 's':
                        o->pause_msec = strtol(optarg, NULL, 10);
                        break;
                default:
                        return -EINVAL;
                }
        }
        o->names = argv + optind;
        o->n_names = argc - optind;
        return o->n_names > 0 && o->n_names <= MAX_NAMES ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(const struct options *o);
        } modes[] = {
                { "process", one_process }, { "hostent", one_process }, { "threads", threads },
                { "workers", workers },     { "fresh", fresh },
        };
        struct options o = { .mode = "process", .family = AF_UNSPEC, .n_lookups = 1 };

        if (parse(argc, argv, &o) < 0)
                return usage();
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                if (strcmp(o.mode, modes[i].name) == 0) {
                        modes[i].run(&o);
                        return 0;
                }
        }
        return usage();
}
