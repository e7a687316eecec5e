/*
 * Memory runs out at every single allocation of a load, at the start and at a reload: the load fails as a
 * whole or loses no more than the text of a finding, and the next one finds everything as it was.
 */

#include <search.h>

#include "config-fixture.h"

TestSuite(config_memory, .init = setup, .fini = teardown, .timeout = 120);

static bool counting;
static long n_allocations, fails_at;

static bool fails(void)
{
        return counting && n_allocations++ == fails_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
FILE *__real_open_memstream(char **text, size_t *n);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
FILE *__wrap_open_memstream(char **text, size_t *n);
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
__attribute__((format(printf, 3, 0))) int __wrap___vasprintf_chk(char **ret, int flag, const char *format,
                                                                 va_list args);
__attribute__((format(printf, 2, 0))) int __wrap_vasprintf(char **ret, const char *format, va_list args);
__attribute__((format(printf, 3, 4))) int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **ret, const char *format, ...);

void *__wrap_malloc(size_t n)
{
        return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
        return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
        return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
        return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
        return fails() ? NULL : __real_strndup(s, n);
}

FILE *__wrap_open_memstream(char **text, size_t *n)
{
        return fails() ? NULL : __real_open_memstream(text, n);
}

void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
        return fails() ? NULL : __real_tsearch(key, root, compare);
}

/* The real ones would come back here. */
__attribute__((format(printf, 2, 0))) static int print(char **ret, const char *format, va_list args)
{
        size_t n = 0;
        FILE *stream;

        if (fails())
                return -1;
        stream = __real_open_memstream(ret, &n);
        vfprintf(stream, format, args);
        fclose(stream);
        return (int)n;
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list args)
{
        (void)flag;
        return print(ret, format, args);
}

int __wrap_vasprintf(char **ret, const char *format, va_list args)
{
        return print(ret, format, args);
}

int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...)
{
        va_list args;
        int r;

        (void)flag;
        va_start(args, format);
        r = print(ret, format, args);
        va_end(args);
        return r;
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
        va_list args;
        int r;

        va_start(args, format);
        r = print(ret, format, args);
        va_end(args);
        return r;
}

/* A load whose allocation number @at fails. Return: whether there was one. */
static bool load_failing(long at, int *ret, struct config **ret_config)
{
        size_t n_errors;

        n_allocations = 0;
        fails_at = at;
        counting = true;
        *ret_config = NULL;
        *ret = config_load(f.loader, ret_config, &n_errors);
        counting = false;
        return n_allocations > at;
}

static void write_files(const char *port)
{
        put("main",
            "[daemon]\nnamespace = auto\ncluster-domain = example.test\ndns-servers = 10.0.0.1 10.0.0.2\n"
            "allow-cidr = 10.0.0.0/8\nmetrics-listen = 127.0.0.1:1\nrefresh-min = 9s\n"
            "[service a]\nport = %s grpc\nalias = x y\nalias = z\n[pods p]\ngo-micro = p\n[pods q]\nselector = q\n"
            "[namespace shop]\norder = sticky\n[service 1.2]\n",
            port);
        put("etc/a.conf", "[service b]\nalias = x\nsource = static\nendpoints = 10.0.0.3\n[daemon]\nzone =\n");
        put("etc/b.conf", "[service a]\nordr = x\n[service a.b.c]\n");
        put("run/c.conf", "[service c]\ngarbage\n");
        put("resolv.conf", "search shop.svc.example.test\n");
}

static void check(const struct config *config, uint16_t port)
{
        const struct config_service *a = config_find(config, "a.shop");

        cr_assert(a && config_find(config, "b.shop") && config_find(config, "e.shop") && config_find(config, "g.x"));
        cr_assert_eq(a->n_ports, 2);
        cr_assert_eq(a->ports[0].number, port);
        cr_assert_eq(a->n_aliases, 3);
        cr_assert_eq(config->n_services, 5);
        cr_assert_eq(config->n_pods, 2);
        cr_assert_eq(config->n_namespaces, 1);
}

static const char *const flags[] = { "e", "kubernetes://x/g:3000+" };

Test(config_memory, runs_out_at_the_start)
{
        struct config *config;
        bool failed = true;
        int r;

        f.origin.services = flags;
        f.origin.n_services = N(flags);
        f.origin.env_services = "a e";
        write_files("80");
        for (long at = 0; failed; at++) {
                f.loader = config_loader_free(f.loader);
                cr_assert_eq(config_loader_new(&f.loader, &f.origin, NULL, NULL), 0);
                failed = load_failing(at, &r, &config);
                cr_assert(r == 0 || (failed && r == -ENOMEM), "%ld: %d", at, r);
                if (r < 0)
                        (void)load_failing(-1, &r, &config);
                cr_assert_eq(r, 0);
                check(config, 80);
                config_free(config);
        }
        cr_expect_gt(n_allocations, 100);
}

Test(config_memory, runs_out_at_a_reload_and_nothing_is_forgotten)
{
        struct config *config;
        bool failed = true;
        int r;

        f.origin.services = flags;
        f.origin.n_services = N(flags);
        f.origin.env_services = "a e";
        write_files("80");
        f.loader = config_loader_free(f.loader);
        cr_assert_eq(config_loader_new(&f.loader, &f.origin, NULL, NULL), 0);
        load();
        check(f.config, 80);
        for (long at = 0; failed; at++) {
                write_files(at % 2 ? "81" : "82");
                /* Bad as a whole: its last good version must be found after the failure. */
                put("etc/a.conf", "[service b]\nport = 0\n");
                failed = load_failing(at, &r, &config);
                cr_assert(r == 0 || (failed && r == -ENOMEM), "%ld: %d", at, r);
                if (r < 0)
                        (void)load_failing(-1, &r, &config);
                cr_assert_eq(r, 0);
                check(config, at % 2 ? 81 : 82);
                config_free(config);
        }
}
