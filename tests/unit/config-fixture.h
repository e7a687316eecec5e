#pragma once

/*
 * A directory with all that the daemon's configuration is read from, and a listener that keeps
 * what was said about it.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "config/loader.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define SEC      UINT64_C(1000000)
/* What is expected of a name. */
#define NAMES "expected NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local\n"
#define L63   "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

/* A directory with all that the daemon reads, and what it said. */
struct fixture {
        char dir[64];
        char main_file[128], conf_dir[128], run_dir[128], resolv_conf[128], account[128];
        struct config_origin origin;
        struct config_loader *loader;
        struct config *config;
        size_t n_errors;
        int r;
        char *said; /* one line for each finding; the directory is written as "@", warnings begin with "W "
                     */
        size_t n_said;
};

static struct fixture f;

__attribute__((format(printf, 2, 3))) static inline void put(const char *path, const char *format, ...)
{
        char full[256];
        FILE *file;
        va_list args;

        snprintf(full, sizeof(full), "%s/%s", f.dir, path);
        file = fopen(full, "w");
        cr_assert_not_null(file, "%s", full);
        va_start(args, format);
        vfprintf(file, format, args);
        va_end(args);
        fclose(file);
}

static inline void put_bytes(const char *path, const void *bytes, size_t n_bytes)
{
        char full[256];
        FILE *file;

        snprintf(full, sizeof(full), "%s/%s", f.dir, path);
        file = fopen(full, "w");
        cr_assert_not_null(file);
        cr_assert_eq(fwrite(bytes, 1, n_bytes, file), n_bytes);
        fclose(file);
}

static inline void drop(const char *path)
{
        char full[256];

        snprintf(full, sizeof(full), "%s/%s", f.dir, path);
        cr_assert_eq(unlink(full), 0);
}

static inline void hear(void *userdata, int priority, const char *message)
{
        size_t n = strlen(message) + 4;
        char *end, *dir;

        (void)userdata;
        f.said = realloc(f.said, f.n_said + n + 1);
        end = f.said + f.n_said;
        sprintf(end, "%s%s\n", priority == LOG_WARNING ? "W " : "", message);
        while ((dir = strstr(end, f.dir))) {
                *dir = '@';
                memmove(dir + 1, dir + strlen(f.dir), strlen(dir + strlen(f.dir)) + 1);
        }
        f.n_said += strlen(end);
}

static inline void setup(void)
{
        char sub[128];

        strcpy(f.dir, "/tmp/test-config-XXXXXX");
        cr_assert_not_null(mkdtemp(f.dir));
        snprintf(sub, sizeof(sub), "%s/etc", f.dir);
        cr_assert_eq(mkdir(sub, 0755), 0);
        snprintf(sub, sizeof(sub), "%s/run", f.dir);
        cr_assert_eq(mkdir(sub, 0755), 0);
        snprintf(f.main_file, sizeof(f.main_file), "%s/main", f.dir);
        snprintf(f.conf_dir, sizeof(f.conf_dir), "%s/etc", f.dir);
        snprintf(f.run_dir, sizeof(f.run_dir), "%s/run", f.dir);
        snprintf(f.resolv_conf, sizeof(f.resolv_conf), "%s/resolv.conf", f.dir);
        snprintf(f.account, sizeof(f.account), "%s/namespace", f.dir);
        f.origin = (struct config_origin){
                .main_file = f.main_file,
                .conf_dir = f.conf_dir,
                .run_dir = f.run_dir,
                .resolv_conf = f.resolv_conf,
                .service_account_namespace = f.account,
        };
        cr_assert_eq(config_loader_new(&f.loader, &f.origin, hear, NULL), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st, (void)type, (void)ftw;
        return remove(path);
}

static inline void teardown(void)
{
        config_free(f.config);
        config_loader_free(f.loader);
        free(f.said);
        nftw(f.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void load(void)
{
        free(f.said);
        f.said = strdup("");
        f.n_said = 0;
        f.config = config_free(f.config);
        f.n_errors = 4711;
        f.r = config_load(f.loader, &f.config, &f.n_errors);
}

/* Loads and compares all that was said. */
#define expect_said(expected)                                                                                          \
        do {                                                                                                           \
                load();                                                                                                \
                cr_assert_eq(f.r, 0, "%d: %s", f.r, f.said);                                                           \
                cr_expect_str_eq(f.said, expected, "said:\n%s\nexpected:\n%s", f.said, expected);                      \
                cr_expect_eq(f.n_errors, count_errors(expected), "%zu: %s", f.n_errors, f.said);                       \
        } while (0)

static inline size_t count_errors(const char *said)
{
        size_t n = 0;

        for (const char *line = said; *line; line = strchr(line, '\n') + 1)
                n += strncmp(line, "W ", 2) != 0;
        return n;
}

static inline const struct config_service *service(const char *key)
{
        const struct config_service *found = config_find(f.config, key);

        cr_assert_not_null(found, "%s is not registered", key);
        return found;
}
