/*
 * The C API, through the library's own reader of the process: forms of names, statuses, targets,
 * replaced files, silent daemons. Touches every exported symbol.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "k8shsvc.h"
#include "rundir-fixture.h"

static void put(struct fixture *f, const char *key, uint32_t n4, uint32_t n6, uint32_t flags)
{
        struct khs_row row = fixture_row(key, 0, n4, n6);

        row.flags = flags;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

static k8shsvc *handle(void)
{
        k8shsvc *h;

        cr_assert_eq(k8shsvc_open(&h), 0);
        return h;
}

static int lookup(k8shsvc *h, const char *name, int family, size_t *ret_n)
{
        static struct k8shsvc_addr addrs[KHS_MAX_ADDRS];

        return k8shsvc_lookup(h, name, family, addrs, KHS_MAX_ADDRS, ret_n);
}

Test(k8shsvc, has_no_table_at_first_and_finds_it_when_it_comes)
{
        k8shsvc *h = handle();
        struct fixture f;
        size_t n = 77;
        int r;

        rundir_init(&f);
        put(&f, "a.b", 3, 0, 0);
        errno = 4711;
        cr_expect_eq(lookup(h, "a.b", AF_UNSPEC, &n), -ENOTCONN);
        cr_expect_eq(errno, 4711);
        cr_expect_eq(n, 77);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 30; i++) {
                r = lookup(h, "a.b", AF_UNSPEC, &n);
                if (r == 0)
                        break;
                (void)usleep(100000);
        }
        cr_expect_eq(r, 0);
        cr_expect_eq(n, 3);
        k8shsvc_close(h);
        k8shsvc_close(NULL);
}

Test(k8shsvc, says_what_is_wrong)
{
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "a.b", .n_target = 3 };
        struct k8shsvc_addr one[1] = { { .family = 99 } };
        k8shsvc *h = handle();
        struct khs_row row;
        struct fixture f;
        size_t n = 77;

        rundir_init(&f);
        put(&f, "a.b", 3, 2, 0);
        put(&f, "v4.b", 3, 0, 0);
        put(&f, "empty.b", 0, 0, 0);
        put(&f, "pending.b", 0, 0, KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN);
        put(&f, "half.b", 3, 0, KHS_REC_V6_UNKNOWN);
        put(&f, "none4.b", 0, 0, KHS_REC_V6_UNKNOWN);
        row = fixture_row("old.b", 0, 3, 0);
        row.stale_until_ds = fixture_now() - 20;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);

        cr_expect_eq(lookup(h, "nobody.b", AF_UNSPEC, &n), -ENOENT);
        cr_expect_eq(lookup(h, "localhost", AF_UNSPEC, &n), -ENOENT);
        cr_expect_eq(lookup(h, "pod.a.b", AF_UNSPEC, &n), -ENOENT, "its hosts are not known");
        cr_expect_eq(lookup(h, "empty.b", AF_UNSPEC, &n), -ENODATA);
        cr_expect_eq(lookup(h, "v4.b", AF_INET6, &n), -ENODATA);
        cr_expect_eq(lookup(h, "pending.b", AF_UNSPEC, &n), -ESTALE);
        cr_expect_eq(lookup(h, "half.b", AF_INET6, &n), -ESTALE);
        cr_expect_eq(lookup(h, "none4.b", AF_UNSPEC, &n), -ESTALE, "one unknown, the other without address");
        cr_expect_eq(lookup(h, "none4.b", AF_INET, &n), -ENODATA);
        cr_expect_eq(lookup(h, "old.b", AF_UNSPEC, &n), -ESTALE);
        cr_expect_eq(n, 77, "untouched by all of these");

        cr_expect_eq(lookup(h, "half.b", AF_UNSPEC, &n), 0);
        cr_expect_eq(n, 3);
        cr_expect_eq(lookup(h, "USERS.internal", AF_UNSPEC, &n), 0);
        cr_expect_eq(n, 5);
        cr_expect_eq(lookup(h, "users.internal.svc", AF_UNSPEC, &n), -ENOENT, "an alias has no cluster name");
        cr_expect_eq(lookup(h, "users.internal.", AF_UNSPEC, &n), -ENOENT);

        cr_expect_eq(k8shsvc_lookup(h, "a.b", AF_UNSPEC, one, 1, &n), -ENOBUFS);
        cr_expect_eq(n, 5, "the number needed");
        cr_expect_eq(one[0].family, 99);
        cr_expect_eq(k8shsvc_lookup(h, "a.b", AF_UNSPEC, NULL, 0, &n), -ENOBUFS);

        cr_expect_eq(k8shsvc_lookup(NULL, "a.b", AF_UNSPEC, one, 1, &n), -EINVAL);
        cr_expect_eq(k8shsvc_lookup(h, NULL, AF_UNSPEC, one, 1, &n), -EINVAL);
        cr_expect_eq(k8shsvc_lookup(h, "a.b", AF_UNIX, one, 1, &n), -EINVAL);
        cr_expect_eq(k8shsvc_lookup(h, "a.b", AF_UNSPEC, NULL, 1, &n), -EINVAL);
        cr_expect_eq(k8shsvc_lookup(h, "a.b", AF_UNSPEC, one, 1, NULL), -EINVAL);
        cr_expect_eq(k8shsvc_lookup(h, "a.b:99999", AF_UNSPEC, one, 1, &n), -EINVAL);
        cr_expect_eq(k8shsvc_open(NULL), -EINVAL);
        k8shsvc_close(h);
}

Test(k8shsvc, gives_all_addresses_in_rotation_with_the_port)
{
        static const struct {
                const char *target;
                uint16_t port;
        } targets[] = {
                { "a.b", 8080 }, { "a.b:9", 9 }, { "a.b.svc.cluster.local:443", 443 }, { "kubernetes://b/a:7", 7 },
                { "kubernetes:///a.b", 8080 }, { "a.b:grpc", 0 }, { "a.b:3000+", 0 },
        };
        struct k8shsvc_addr addrs[8];
        unsigned int first4[3] = { 0 }, first6[2] = { 0 };
        k8shsvc *h = handle();
        struct fixture f;
        size_t n;

        rundir_init(&f);
        put(&f, "a.b", 3, 2, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
                cr_assert_eq(k8shsvc_lookup(h, targets[i].target, AF_UNSPEC, addrs, 8, &n), 0, "%s", targets[i].target);
                cr_expect_eq(n, 5);
                cr_expect_eq(addrs[0].port, targets[i].port, "%s: %u", targets[i].target, addrs[0].port);
                cr_expect_eq(addrs[4].port, targets[i].port);
        }
        for (int i = 0; i < 600; i++) {
                cr_assert_eq(k8shsvc_lookup(h, "a.b", AF_UNSPEC, addrs, 8, &n), 0);
                cr_expect_eq(addrs[0].family, AF_INET6);
                cr_expect_eq(addrs[2].family, AF_INET);
                cr_expect_eq(addrs[3].addr[3], (addrs[2].addr[3] + 1) % 3, "cyclic");
                cr_expect_eq(addrs[3].addr[4], 0);
                first6[addrs[0].addr[15]]++;
                first4[addrs[2].addr[3]]++;
        }
        for (int i = 0; i < 3; i++)
                cr_expect(first4[i] > 190 && first4[i] < 210, "%u", first4[i]);
        for (int i = 0; i < 2; i++)
                cr_expect(first6[i] > 290 && first6[i] < 310, "%u", first6[i]);
        k8shsvc_close(h);
}

/* Lookups go on over a replaced file without a failure, and reach the new one. */
Test(k8shsvc, moves_on_to_a_newer_file)
{
        k8shsvc *h = handle();
        struct fixture f;
        size_t n = 0;

        rundir_init(&f);
        put(&f, "a.b", 3, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(lookup(h, "a.b", AF_INET, &n), 0);
        cr_assert_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0);
        put(&f, "a.b", 4, 0, 0);
        for (int i = 0; i < 30 && n != 4; i++) {
                cr_expect_eq(lookup(h, "a.b", AF_INET, &n), 0);
                (void)usleep(100000);
        }
        cr_expect_eq(n, 4);
        k8shsvc_close(h);
}

static void set_beat(struct fixture *f, int32_t boot_ds, int32_t real_ds)
{
        struct khs_table_header *header;
        char path[128];
        int fd;

        (void)snprintf(path, sizeof(path), "%s/" KHS_TABLE_NAME, f->dir);
        fd = open(path, O_RDWR | O_CLOEXEC);
        header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(header, MAP_FAILED);
        header->beat_boot_ds = khs_clock_ds(CLOCK_BOOTTIME) + (uint32_t)boot_ds;
        header->beat_real_ds = khs_clock_ds(CLOCK_REALTIME) + (uint32_t)real_ds;
        (void)munmap(header, 4096);
        (void)close(fd);
}

/* Either clock is enough; both silent for longer than orphan-max (30 s here): nobody is there. */
Test(k8shsvc, judges_the_daemon_by_two_clocks)
{
        static const struct {
                int32_t boot_ds, real_ds;
                int expected;
        } beats[] = {
                { 0, 0, 0 },           { -99, -99, 0 },       { -150, -150, 0 },     { -295, -295, 0 },
                { -305, -305, -ENOTCONN }, { 0, -36000, 0 },  { 0, 36000, 0 },       { -36000, 0, 0 },
                { 36000, 0, 0 },       { 36000, 36000, -ENOTCONN }, { -36000, 36000, -ENOTCONN },
                { -36000, -36000, -ENOTCONN }, { 0, INT32_MIN, 0 },
        };
        k8shsvc *h = handle();
        struct fixture f;
        size_t n;

        rundir_init(&f);
        put(&f, "a.b", 3, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(beats) / sizeof(beats[0]); i++) {
                set_beat(&f, beats[i].boot_ds, beats[i].real_ds);
                cr_expect_eq(lookup(h, "a.b", AF_INET, &n), beats[i].expected, "%d %d", beats[i].boot_ds,
                             beats[i].real_ds);
        }
        k8shsvc_close(h);
}

static _Atomic bool stop;

static void *look_up_all_the_time(void *userdata)
{
        size_t n, n_failed = 0;

        while (!stop)
                n_failed += lookup(userdata, "a.b", AF_INET, &n) != 0;
        return (void *)n_failed; /* NOLINT(performance-no-int-to-ptr) */
}

/* Threads, forks of the busy process and a file that is replaced under all of them. */
Test(k8shsvc, serves_threads_and_forked_children_while_files_change)
{
        k8shsvc *h = handle();
        pthread_t threads[4];
        struct fixture f;

        rundir_init(&f);
        put(&f, "a.b", 3, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, look_up_all_the_time, h), 0);
        for (int i = 0; i < 100; i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0) {
                        size_t n;

                        _exit(lookup(h, "a.b", AF_INET, &n) != 0);
                }
                cr_assert_eq(waitpid(pid, &status, 0), pid);
                cr_expect_eq(status, 0);
                cr_assert_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0);
        }
        stop = true;
        for (int i = 0; i < 4; i++) {
                void *n_failed;

                cr_assert_eq(pthread_join(threads[i], &n_failed), 0);
                cr_expect_eq((uintptr_t)n_failed, 0);
        }
        k8shsvc_close(h);
}
