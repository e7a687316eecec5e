/*
 * Plugins come and go with what they link: the library's maps, and its sleeping threads, outlive dlclose().
 */

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "k8shsvc.h"
#include "rundir-fixture.h"

/* As a plugin finds them. */
struct library {
        void *handle;
        int (*open)(k8shsvc **);
        void (*close)(k8shsvc *);
        int (*lookup)(k8shsvc *, const char *, int, struct k8shsvc_addr *, size_t, size_t *);
        int (*wait)(k8shsvc *, const char *, uint64_t *, int);
};

static void *library_symbol(const struct library *library, const char *name)
{
        void *ret = dlsym(library->handle, name);

        cr_assert(ret, "%s", name);
        return ret;
}

static struct library library_load(void)
{
        struct library ret = { .handle = dlopen(TEST_LIBRARY, RTLD_NOW | RTLD_LOCAL) };

        cr_assert(ret.handle, "%s", dlerror());
        ret.open = (int (*)(k8shsvc **))library_symbol(&ret, "k8shsvc_open");
        ret.close = (void (*)(k8shsvc *))library_symbol(&ret, "k8shsvc_close");
        ret.lookup = (int (*)(k8shsvc *, const char *, int, struct k8shsvc_addr *, size_t, size_t *))library_symbol(
                &ret, "k8shsvc_lookup");
        ret.wait = (int (*)(k8shsvc *, const char *, uint64_t *, int))library_symbol(&ret, "k8shsvc_wait");
        return ret;
}

static void publish_service(struct fixture *f)
{
        struct khs_row row = fixture_row("a.b", 0, 3, 0);

        rundir_init(f);
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
}

/* The writer's own map is shared and writable. */
static unsigned int count_read_only_maps(void)
{
        FILE *file = fopen("/proc/self/maps", "re");
        char line[512], permissions[5];
        unsigned int n = 0;

        cr_assert(file);
        while (fgets(line, sizeof(line), file))
                n += strstr(line, KHS_TABLE_NAME) && sscanf(line, "%*s %4s", permissions) == 1 && permissions[1] == '-';
        (void)fclose(file);
        return n;
}

Test(unload, leaves_one_map_however_often_it_is_loaded)
{
        struct k8shsvc_addr addrs[4];
        struct fixture f;
        size_t n = 0;

        publish_service(&f);
        for (int i = 0; i < 300; i++) {
                struct library library = library_load();
                k8shsvc *h;

                cr_assert_eq(library.open(&h), 0);
                cr_assert_eq(library.lookup(h, "a.b", AF_INET, addrs, 4, &n), 0);
                library.close(h);
                cr_assert_eq(dlclose(library.handle), 0);
        }
        cr_expect_eq(n, 3);
        cr_expect_eq(count_read_only_maps(), 1, "%u", count_read_only_maps());
}

struct sleeper {
        struct library library;
        k8shsvc *h;
        uint64_t token;
        int result;
};

static void *sleep_a_while(void *userdata)
{
        struct sleeper *s = userdata;

        s->result = s->library.wait(s->h, "a.b", &s->token, 1000);
        return NULL;
}

Test(unload, leaves_a_thread_asleep)
{
        struct sleeper s = { .library = library_load() };
        pthread_t thread;
        struct fixture f;

        publish_service(&f);
        cr_assert_eq(s.library.open(&s.h), 0);
        cr_assert_eq(s.library.wait(s.h, "a.b", &s.token, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, sleep_a_while, &s), 0);
        (void)usleep(100000);
        cr_assert_eq(dlclose(s.library.handle), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(s.result, -ETIMEDOUT);
}
