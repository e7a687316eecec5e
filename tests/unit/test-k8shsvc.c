/*
 * The C API, through the library's own reader of the process: forms of names, statuses, targets,
 * replaced files, silent daemons. Touches every exported symbol.
 */

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
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

/* One with this search list. */
static k8shsvc *handle_with(const char *search)
{
        FILE *file = fopen("/run/resolv.conf", "we");

        cr_assert_not_null(file);
        (void)fprintf(file, "search %s\n", search);
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(mount("/run/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
        return handle();
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

/* glibc shows modules six entries; the C library reads the file by itself. */
Test(k8shsvc, knows_the_whole_search_list)
{
        char search[2048];
        struct fixture f;
        size_t n = 0;
        k8shsvc *h;

        rundir_init(&f);
        put(&f, "a.far", 3, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 31; i++)
                n += (size_t)sprintf(search + n, "a-long-domain-of-many-words-%d.example.com ", i);
        (void)sprintf(search + n, "far.svc.cluster.local");
        h = handle_with(search);
        cr_expect_eq(lookup(h, "a", AF_UNSPEC, &n), 0);
        k8shsvc_close(h);
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

static struct khs_row_endpoint endpoint(const char *host, int32_t ordinal, const struct khs_row_port *ports, uint32_t n)
{
        return (struct khs_row_endpoint){ .host = host, .ordinal = ordinal, .ports = ports, .n_ports = n };
}

static uint32_t stale_ds; /* for so long what is put next is too old */

/* web.default: web-0 (dual stack), web-1, web-2 (IPv6 only) and a pod of which nothing is known. */
static void put_web(struct fixture *f, uint32_t flags, uint16_t port_base)
{
        static const struct khs_row_port even[] = { { "grpc", 50050, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
        static const struct khs_row_port odd[] = { { "grpc", 50051, IPPROTO_TCP } };
        const struct khs_row_endpoint endpoints[] = {
                endpoint("web-1", 1, odd, 1),  endpoint("web-0", 0, even, 2), endpoint(NULL, -1, NULL, 0),
                endpoint("web-2", 2, even, 2), endpoint("web-0", 0, even, 2),
        };
        struct khs_row row = fixture_row("web.default", 0, 3, 2);

        row.flags = flags;
        row.endpoints = endpoints;
        row.port = 0;
        row.port_base = port_base;
        row.version = port_base + 1 + flags;
        if (stale_ds > 0)
                row.stale_until_ds = fixture_now() - stale_ds;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

static int compare_addrs(const void *a, const void *b)
{
        const struct k8shsvc_addr *x = a, *y = b;
        int order = x->family != y->family ? (x->family > y->family) - (x->family < y->family)
                                           : memcmp(x->addr, y->addr, sizeof(x->addr));

        return order ? order : x->port - y->port;
}

/* The name's addresses by their last byte and port, sorted: "4/1:80 6/0:80". */
static const char *answer(k8shsvc *h, const char *name, int family)
{
        struct k8shsvc_addr addrs[16];
        static char text[256];
        char *end = text;
        size_t n = 0;
        int r = k8shsvc_lookup(h, name, family, addrs, 16, &n);

        *end = '\0';
        if (r < 0) {
                (void)snprintf(text, sizeof(text), "%s", strerrorname_np(-r));
                return text;
        }
        qsort(addrs, n, sizeof(addrs[0]), compare_addrs);
        for (size_t i = 0; i < n; i++) {
                bool v4 = addrs[i].family == AF_INET;

                end += sprintf(end, "%s%c/%u:%u", end == text ? "" : " ", v4 ? '4' : '6', addrs[i].addr[v4 ? 3 : 15],
                               addrs[i].port);
        }
        return text;
}

Test(k8shsvc, finds_pods_by_their_names)
{
        static const struct {
                const char *name;
                int family;
                const char *answer;
        } cases[] = {
                { "web-0.web.default", AF_UNSPEC, "4/1:50050 6/1:50050" },
                { "WEB-0.web.default.svc", AF_UNSPEC, "4/1:50050 6/1:50050" },
                { "web-0.web.default.svc.cluster.local.", AF_INET, "4/1:50050" },
                { "web-1.web.default.svc.cluster.local", AF_UNSPEC, "4/0:50051" },
                { "web-1.web.default.svc.cluster.local", AF_INET6, "ENOENT" },
                { "web-2.web.default", AF_INET6, "6/0:50050" },
                { "web-2.web.default", AF_INET, "ENOENT" },
                { "web-3.web.default", AF_UNSPEC, "ENOENT" },
                { "web-0.web.other", AF_UNSPEC, "ENOENT" },
                { "web-0.users.internal", AF_UNSPEC, "ENOENT" },
                { "web-0.web", AF_UNSPEC, "ENOENT" },
                { "x.web-0.web.default", AF_UNSPEC, "ENOENT" },
        };
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "web.default", .n_target = 11 };
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        put_web(&f, 0, 0);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                cr_expect_str_eq(answer(h, cases[i].name, cases[i].family), cases[i].answer, "%s: %s", cases[i].name,
                                 answer(h, cases[i].name, cases[i].family));

        put_web(&f, KHS_REC_HOSTS_COMPLETE, 0);
        cr_expect_str_eq(answer(h, "web-3.web.default", AF_UNSPEC), "ENODATA", "all hosts are known");
        cr_expect_str_eq(answer(h, "web-0.web.default", AF_INET), "4/1:50050");
        stale_ds = 20;
        put_web(&f, KHS_REC_HOSTS_COMPLETE, 1);
        cr_expect_str_eq(answer(h, "web-3.web.default", AF_UNSPEC), "ENOENT", "what is too old denies nothing");
        cr_expect_str_eq(answer(h, "web-0.web.default", AF_INET), "ESTALE");
        stale_ds = 0;
        k8shsvc_close(h);
}

/* Where a namespace is given, no pod of the caller's and no alias is meant. */
Test(k8shsvc, takes_a_given_namespace_at_its_word)
{
        struct khs_row alias = { .key = "x.web", .n_key = 5, .target = "other.b", .n_target = 7 };
        char endpoints[4][K8SHSVC_HOSTPORT_MAX];
        size_t n, n_left_out;
        struct fixture f;
        k8shsvc *h;

        rundir_init(&f);
        put_web(&f, 0, 0); /* in the namespace "default": has a pod web-0 */
        put(&f, "web-0.web", 2, 0, 0);
        put(&f, "other.b", 3, 0, 0);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        h = handle_with("default.svc.cluster.local");
        cr_assert_eq(lookup(h, "web-0.web", AF_INET, &n), 0);
        cr_expect_eq(n, 1, "the pod");
        cr_assert_eq(lookup(h, "kubernetes://web/web-0:80", AF_INET, &n), 0);
        cr_expect_eq(n, 2, "the service");
        cr_expect_eq(k8shsvc_get_endpoints(h, "web", "web-0", 80, endpoints, 4, &n, &n_left_out), 0);
        cr_expect_eq(n + n_left_out, 2);
        cr_expect_eq(lookup(h, "kubernetes://web/x", AF_INET, &n), -ENOENT, "an alias is no service of web");
        k8shsvc_close(h);
}

/*
 * set.default: set-0 and set-1 in the network of one node, of both families, set-2 in that of another
 * one, of IPv4, set-3 and set-4 of one more.
 */
static void put_set(struct fixture *f, uint32_t flags, uint16_t port, uint16_t port_base)
{
        static const struct khs_row_port ports[][1] = {
                { { "grpc", 7000, IPPROTO_TCP } }, { { "grpc", 7001, IPPROTO_TCP } }, { { "grpc", 7002, IPPROTO_TCP } },
                { { "grpc", 7003, IPPROTO_TCP } }, { { "grpc", 7004, IPPROTO_TCP } },
        };
        static const uint16_t shared[] = { 0, 2, 3 };
        static const char *const hosts[] = { "set-0", "set-2", "set-3", "set-0", "set-1", "set-4", "set-1" };
        struct khs_row_endpoint endpoints[7];
        struct khs_row row = fixture_row("set.default", 0, 3, 1);

        for (int i = 0; i < 7; i++)
                endpoints[i] = endpoint(hosts[i], hosts[i][4] - '0', ports[hosts[i][4] - '0'], 1);
        row.flags = flags;
        row.port = port;
        row.port_base = port_base;
        row.endpoints = endpoints;
        row.n_shared = 3;
        row.shared = shared;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

Test(k8shsvc, gives_each_endpoint_of_one_address_where_ports_tell_them_apart)
{
        static const struct {
                const char *target;
                int family;
                const char *answer;
        } cases[] = {
                { "set.default:3000+", AF_INET, "4/0:3000 4/0:3001 4/1:3002 4/2:3003 4/2:3004" },
                { "set.default:3000+", AF_INET6, "6/0:3000 6/0:3001" },
                { "set.default:3000+", AF_UNSPEC, "4/0:3000 4/0:3001 4/1:3002 4/2:3003 4/2:3004 6/0:3000 6/0:3001" },
                { "set.default:grpc", AF_INET, "4/0:7000 4/0:7001 4/1:7002 4/2:7003 4/2:7004" },
                { "set.default:80", AF_UNSPEC, "4/0:80 4/1:80 4/2:80 6/0:80" },
                { "set-0.set.default:3000+", AF_UNSPEC, "4/0:3000 6/0:3000" },
                { "set-1.set.default:3000+", AF_UNSPEC, "4/0:3001 6/0:3001" },
                { "set-2.set.default:3000+", AF_UNSPEC, "4/1:3002" },
                { "set-3.set.default:grpc", AF_INET, "4/2:7003" },
                { "set-4.set.default:80", AF_UNSPEC, "4/2:80" },
                { "set-4.set.default", AF_INET6, "ENODATA" },
                { "set-5.set.default", AF_UNSPEC, "ENODATA" },
        };
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        put_set(&f, KHS_REC_HOSTS_COMPLETE, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int turn = 0; turn < 7; turn++) {
                for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                        cr_expect_str_eq(answer(h, cases[i].target, cases[i].family), cases[i].answer, "%s: %s",
                                         cases[i].target, answer(h, cases[i].target, cases[i].family));
        }

        /* The same by the default port: of the base, the first of the endpoint's own, one for all. */
        put_set(&f, 0, 0, 4000);
        cr_expect_str_eq(answer(h, "set.default", AF_INET), "4/0:4000 4/0:4001 4/1:4002 4/2:4003 4/2:4004");
        put_set(&f, 0, 0, 0);
        cr_expect_str_eq(answer(h, "set.default", AF_INET), "4/0:7000 4/0:7001 4/1:7002 4/2:7003 4/2:7004");
        put_set(&f, 0, 8080, 0);
        cr_expect_str_eq(answer(h, "set.default", AF_INET), "4/0:8080 4/1:8080 4/2:8080");
        k8shsvc_close(h);
}

/* Where no endpoint can have a port, there is nothing to tell those of one address apart by. */
Test(k8shsvc, gives_an_address_once_where_no_port_is_known)
{
        static const uint16_t shared[] = { 0 };
        const struct khs_row_endpoint endpoints[] = { { .host = "x", .ordinal = -1 },
                                                      { .host = "y", .ordinal = -1 },
                                                      { .host = "z", .ordinal = -1 } };
        struct khs_row row = fixture_row("plain.default", 0, 2, 0);
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        row.port = 0;
        row.endpoints = endpoints;
        row.n_shared = 1;
        row.shared = shared;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_str_eq(answer(h, "plain.default", AF_INET), "4/0:0 4/1:0");
        cr_expect_str_eq(answer(h, "plain.default:grpc", AF_INET), "4/0:0 4/1:0");
        cr_expect_str_eq(answer(h, "z.plain.default", AF_INET), "4/0:0");
        k8shsvc_close(h);
}

/* A turn for each endpoint, not for each address. */
Test(k8shsvc, rotates_over_the_endpoints_of_all_addresses)
{
        unsigned int first[5] = { 0 }, first6[2] = { 0 };
        struct k8shsvc_addr addrs[7];
        k8shsvc *h = handle();
        struct fixture f;
        size_t n;

        rundir_init(&f);
        put_set(&f, 0, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(k8shsvc_lookup(h, "set.default:3000+", AF_UNSPEC, addrs, 6, &n), -ENOBUFS);
        cr_expect_eq(n, 7);
        for (int i = 0; i < 1000; i++) {
                cr_assert_eq(k8shsvc_lookup(h, "set.default:3000+", AF_UNSPEC, addrs, 7, &n), 0);
                cr_assert_eq(n, 7);
                cr_assert_eq(addrs[0].family, AF_INET6);
                cr_assert_eq(addrs[2].family, AF_INET);
                first6[addrs[0].port - 3000]++;
                first[addrs[2].port - 3000]++;
        }
        for (int i = 0; i < 5; i++)
                cr_expect(first[i] > 190 && first[i] < 210, "%d: %u", i, first[i]);
        for (int i = 0; i < 2; i++)
                cr_expect(first6[i] > 490 && first6[i] < 510, "%d: %u", i, first6[i]);
        k8shsvc_close(h);
}

/* It has an IPv4 address; whether it has an IPv6 one is not known as long as not all hosts are. */
Test(k8shsvc, does_not_know_a_pod_of_which_it_knows_the_other_family)
{
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        put_web(&f, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_str_eq(answer(h, "web-1.web.default", AF_INET), "4/0:50051");
        cr_expect_str_eq(answer(h, "web-1.web.default", AF_INET6), "ENOENT");
        put_web(&f, KHS_REC_HOSTS_COMPLETE, 0);
        cr_expect_str_eq(answer(h, "web-1.web.default", AF_INET6), "ENODATA");
        put_web(&f, KHS_REC_V6_UNKNOWN, 0);
        cr_expect_str_eq(answer(h, "web-1.web.default", AF_INET6), "ESTALE");
        k8shsvc_close(h);
}

/* In namespace "default": "web-0.web" is a pod where there is one, else a service of namespace "web". */
Test(k8shsvc, finds_pods_of_the_callers_namespace)
{
        struct khs_table_params params = fixture_params();
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        params.namespace = "default";
        cr_assert_eq(khs_writer_renew(f.writer, &params, fixture_now()), 0);
        put_web(&f, KHS_REC_HOSTS_COMPLETE, 0);
        put(&f, "web-0.web", 1, 0, 0);
        put(&f, "web-9.web", 2, 0, 0);
        put(&f, "web.web", 1, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_str_eq(answer(h, "web-0.web", AF_UNSPEC), "4/1:50050 6/1:50050", "the pod");
        cr_expect_str_eq(answer(h, "web-0.web.svc", AF_UNSPEC), "4/0:8080", "the service");
        cr_expect_str_eq(answer(h, "web-9.web", AF_UNSPEC), "4/0:8080 4/1:8080", "no such pod, but a service");
        cr_expect_str_eq(answer(h, "web-8.web", AF_UNSPEC), "ENOENT");
        cr_expect_str_eq(answer(h, "web.web", AF_UNSPEC), "4/0:8080");
        k8shsvc_close(h);
}

Test(k8shsvc, gives_each_endpoint_its_port)
{
        static const struct {
                const char *target, *answer;
        } cases[] = {
                { "web.default", "4/0:50051 4/1:50050 4/2:0 6/0:50050 6/1:50050" },
                { "web.default:grpc", "4/0:50051 4/1:50050 4/2:0 6/0:50050 6/1:50050" },
                { "web.default:dns", "4/0:0 4/1:0 4/2:0 6/0:0 6/1:0" },
                { "web.default:dns/udp", "4/0:0 4/1:53 4/2:0 6/0:53 6/1:53" },
                { "web.default:3000+", "4/0:3001 4/1:3000 4/2:0 6/0:3002 6/1:3000" },
                { "web.default:65534+", "4/0:65535 4/1:65534 4/2:0 6/0:0 6/1:65534" },
                { "web.default:65535+", "4/0:0 4/1:65535 4/2:0 6/0:0 6/1:65535" },
                { "web.default:7", "4/0:7 4/1:7 4/2:7 6/0:7 6/1:7" },
                { "web-0.web.default:3000+", "4/1:3000 6/1:3000" },
        };
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        put_web(&f, 0, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int turn = 0; turn < 5; turn++) {
                for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                        cr_expect_str_eq(answer(h, cases[i].target, AF_UNSPEC), cases[i].answer, "%s: %s",
                                         cases[i].target, answer(h, cases[i].target, AF_UNSPEC));
        }
        put_web(&f, 0, 4000);
        cr_expect_str_eq(answer(h, "web.default", AF_UNSPEC), "4/0:4001 4/1:4000 4/2:0 6/0:4002 6/1:4000");
        k8shsvc_close(h);
}

Test(k8shsvc, gives_all_addresses_in_rotation_with_the_port)
{
        static const struct {
                const char *target;
                uint16_t port;
        } targets[] = {
                { "a.b", 8080 },
                { "a.b:9", 9 },
                { "a.b.svc.cluster.local:443", 443 },
                { "kubernetes://b/a:7", 7 },
                { "kubernetes:///a.b", 8080 },
                { "a.b:grpc", 0 },
                { "a.b:3000+", 0 },
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
                { 0, 0, 0 },
                { -99, -99, 0 },
                { -150, -150, 0 },
                { -295, -295, 0 },
                { -305, -305, -ENOTCONN },
                { 0, -36000, 0 },
                { 0, 36000, 0 },
                { -36000, 0, 0 },
                { 35000, 0, 0 },
                { 36000, 36000, -ENOTCONN },
                { -36000, 36000, -ENOTCONN },
                { -36000, -36000, -ENOTCONN },
                { 0, INT32_MIN, 0 },
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

/* ---- waiting ---- */

struct sleeper {
        k8shsvc *h;
        const char *name;
        uint64_t token;
        int timeout_ms, result;
};

static void *sleep_once(void *userdata)
{
        struct sleeper *s = userdata;

        s->result = k8shsvc_wait(s->h, s->name, &s->token, s->timeout_ms);
        return NULL;
}

static void publish_version(struct fixture *f, const char *key, uint32_t version)
{
        struct khs_row row = fixture_row(key, version, 2, 0);

        row.version = version;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
        khs_writer_commit(f->writer);
        khs_writer_wake(f->writer);
}

Test(k8shsvc, waits_for_a_change_of_one_service_or_of_any)
{
        struct sleeper one = { .name = "a.b", .timeout_ms = -1 }, any = { .timeout_ms = -1 };
        uint64_t token = 0, before;
        pthread_t threads[2];
        struct fixture f;

        one.h = handle();
        any.h = handle();
        rundir_init(&f);
        publish_version(&f, "a.b", 1);
        publish_version(&f, "c.d", 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);

        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 0), 0, "the first call tells what is");
        before = token;
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 0), -ETIMEDOUT);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 50), -ETIMEDOUT);
        publish_version(&f, "c.d", 2);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 0), -ETIMEDOUT, "another service");
        cr_expect_eq(token, before);
        publish_version(&f, "a.b", 2);
        publish_version(&f, "a.b", 3);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 0), 0);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &token, 0), -ETIMEDOUT, "two changes were told as one");

        one.token = token;
        cr_assert_eq(k8shsvc_wait(any.h, NULL, &any.token, 0), 0);
        cr_assert_eq(pthread_create(&threads[0], NULL, sleep_once, &one), 0);
        cr_assert_eq(pthread_create(&threads[1], NULL, sleep_once, &any), 0);
        (void)usleep(200000);
        publish_version(&f, "a.b", 4);
        for (int i = 0; i < 2; i++)
                cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_expect_eq(one.result, 0);
        cr_expect_eq(any.result, 0);

        cr_expect_eq(khs_writer_delete(f.writer, "a.b", 3, fixture_now()), 0);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", &one.token, 0), 0, "taken out");
        cr_expect_eq(k8shsvc_wait(one.h, "localhost", &one.token, 0), -ENOENT);
        cr_expect_eq(k8shsvc_wait(one.h, "a.b", NULL, 0), -EINVAL);
        k8shsvc_close(one.h);
        k8shsvc_close(any.h);
}

Test(k8shsvc, waits_for_a_pod_to_come_and_to_go)
{
        k8shsvc *h = handle();
        uint64_t token = 0;
        struct fixture f;

        rundir_init(&f);
        put_web(&f, KHS_REC_HOSTS_COMPLETE, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(k8shsvc_wait(h, "web-7.web.default", &token, 0), 0, "the first call tells that it is not there");
        cr_expect_eq(k8shsvc_wait(h, "web-7.web.default", &token, 0), -ETIMEDOUT);
        token = 0;
        cr_expect_eq(k8shsvc_wait(h, "web-1.web.default", &token, 0), 0);
        cr_expect_eq(k8shsvc_wait(h, "web-1.web.default", &token, 0), -ETIMEDOUT);
        publish_version(&f, "web.default", KHS_REC_HOSTS_COMPLETE + 10);
        cr_expect_eq(k8shsvc_wait(h, "web-1.web.default", &token, 0), 0, "gone");
        cr_expect_eq(k8shsvc_wait(h, "web-1.web.default", &token, 0), -ETIMEDOUT);
        put_web(&f, KHS_REC_HOSTS_COMPLETE, 20);
        cr_expect_eq(k8shsvc_wait(h, "web-1.web.default", &token, 0), 0, "back");
        k8shsvc_close(h);
}

/* Two services that were registered together have the same version. */
Test(k8shsvc, waits_for_an_alias_that_moves)
{
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "a.b", .n_target = 3 };
        struct fixture f;
        uint64_t token = 0;
        k8shsvc *h;

        rundir_init(&f);
        put(&f, "a.b", 3, 0, 0);
        put(&f, "c.d", 3, 0, 0);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        h = handle();
        cr_expect_eq(k8shsvc_wait(h, "users.internal", &token, 0), 0);
        cr_expect_eq(k8shsvc_wait(h, "users.internal", &token, 0), -ETIMEDOUT);
        cr_expect_eq(k8shsvc_wait(h, "a.b", &token, 0), -ETIMEDOUT, "the same service by its name");
        alias.target = "c.d";
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        khs_writer_commit(f.writer);
        cr_expect_eq(k8shsvc_wait(h, "users.internal", &token, 0), 0, "it leads elsewhere");
        cr_expect_eq(k8shsvc_wait(h, "users.internal", &token, 0), -ETIMEDOUT);
        k8shsvc_close(h);
}

/* The file that it sleeps on is replaced, and the change is in the new one. */
Test(k8shsvc, waits_over_a_replaced_file)
{
        struct sleeper s = { .name = "a.b", .timeout_ms = 20000 };
        pthread_t thread;
        struct fixture f;

        s.h = handle();
        rundir_init(&f);
        publish_version(&f, "a.b", 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(k8shsvc_wait(s.h, "a.b", &s.token, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, sleep_once, &s), 0);
        (void)usleep(200000);
        cr_assert_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0);
        publish_version(&f, "a.b", 2);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(s.result, 0);
        k8shsvc_close(s.h);
}

/* The daemon dies, its directory has no table for a while, and the next one makes a new file. */
Test(k8shsvc, waits_while_the_daemon_is_gone)
{
        struct sleeper s = { .name = "a.b", .timeout_ms = 60000 };
        struct khs_table_params params = fixture_params();
        pthread_t thread;
        struct fixture f;

        s.h = handle();
        rundir_init(&f);
        publish_version(&f, "a.b", 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(k8shsvc_wait(s.h, "a.b", &s.token, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, sleep_once, &s), 0);
        f.writer = khs_writer_free(f.writer);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);
        (void)sleep(1);
        cr_assert_eq(khs_writer_new(&f.writer, f.dir_fd, &params, 7), 0);
        publish_version(&f, "a.b", 9);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(s.result, 0, "found when the silence of the old file was noticed");
        k8shsvc_close(s.h);
}

/* ---- ending a wait ---- */

static void ignore_signal(int signal)
{
        (void)signal;
}

/* A thread that waits, once without a table and once with one. */
static void sleeper_start(struct sleeper *s, struct fixture *f, bool table, pthread_t *ret)
{
        *s = (struct sleeper){ .h = handle(), .name = "a.b", .timeout_ms = s->timeout_ms };
        if (table) {
                publish_version(f, "a.b", 1);
                cr_assert_eq(khs_writer_publish(f->writer), 0);
                /* Without one, the file was looked for less than a second ago. */
                (void)usleep(1200000);
                cr_assert_eq(k8shsvc_wait(s->h, s->name, &s->token, 0), 0);
        }
        cr_assert_eq(pthread_create(ret, NULL, sleep_once, s), 0);
        (void)usleep(100000);
}

Test(k8shsvc, stops_waiting_after_a_signal_handler, .timeout = 30)
{
        const struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = SA_RESTART };
        struct sleeper s = { .timeout_ms = -1 };
        struct fixture f;

        rundir_init(&f);
        cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
        for (int table = 0; table < 2; table++) {
                pthread_t thread;

                sleeper_start(&s, &f, table, &thread);
                cr_assert_eq(pthread_kill(thread, SIGUSR1), 0);
                cr_assert_eq(pthread_join(thread, NULL), 0);
                cr_expect_eq(s.result, -EINTR, "%s table", table ? "with a" : "without");
                k8shsvc_close(s.h);
        }
}

Test(k8shsvc, is_not_cancelled_while_it_waits, .timeout = 30)
{
        struct sleeper s = { .timeout_ms = 1000 };
        struct fixture f;

        rundir_init(&f);
        for (int table = 0; table < 2; table++) {
                pthread_t thread;

                sleeper_start(&s, &f, table, &thread);
                cr_assert_eq(pthread_cancel(thread), 0);
                cr_assert_eq(pthread_join(thread, NULL), 0);
                cr_expect(s.result == -ETIMEDOUT || s.result == -EINTR, "%s table: %d", table ? "with a" : "without",
                          s.result);
                k8shsvc_close(s.h);
        }
}

Test(k8shsvc, names_the_pod_of_an_address)
{
        static const uint8_t v4[] = { 10, 0, 0, 2 }, v6[16] = { 0xfd, [15] = 1 }, none[] = { 10, 9, 9, 9 };
        struct khs_table_params params = fixture_params();
        char name[600] = "untouched";
        k8shsvc *h = handle();
        struct fixture f;

        rundir_init(&f);
        put(&f, "a.b", 3, 2, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(k8shsvc_reverse(h, AF_INET, v4, name, sizeof(name)), -EOPNOTSUPP);
        params.reverse = true;
        cr_assert_eq(khs_writer_renew(f.writer, &params, fixture_now()), 0);
        (void)usleep(1200000);
        cr_expect_eq(k8shsvc_reverse(h, AF_INET, none, name, sizeof(name)), -ENOENT);
        cr_expect_eq(k8shsvc_reverse(h, AF_INET, v4, name, 28), -ENOBUFS);
        cr_expect_str_eq(name, "untouched");
        cr_expect_eq(k8shsvc_reverse(h, AF_INET, v4, name, 32), 0);
        cr_expect_str_eq(name, "10-0-0-2.a.b.svc.cluster.local");
        cr_expect_eq(k8shsvc_reverse(h, AF_INET6, v6, name, sizeof(name)), 0);
        cr_expect_str_eq(name, "fd00--1.a.b.svc.cluster.local");
        cr_expect_eq(k8shsvc_reverse(h, AF_UNIX, v4, name, sizeof(name)), -EINVAL);
        k8shsvc_close(h);
}
