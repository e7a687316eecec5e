/* k8shsvc_endpoints() and k8shsvc_get_endpoints(): everything that is known of each endpoint. */

#include <pthread.h>
#include <sched.h>

#include "api-fixture.h"

static struct k8shsvc_endpoint buffer[6000];

static const char *text_at(uint32_t offset)
{
        return offset > 0 ? (const char *)buffer + offset : "-";
}

/* "10.0.0.0:50050 web-0 0 node-1 east 11 [grpc 50050/6, dns 53/17]" */
static void describe(const struct k8shsvc_endpoint *e, char *ret)
{
        const struct k8shsvc_port *ports = (const void *)((const char *)buffer + e->ports);
        char address[INET6_ADDRSTRLEN];

        (void)inet_ntop(e->addr.family, e->addr.addr, address, sizeof(address));
        ret += sprintf(ret, "%s:%u %s %d %s %s %u [", address, e->addr.port, text_at(e->host), (int32_t)e->ordinal,
                       text_at(e->node), text_at(e->zone), e->conditions);
        for (uint16_t i = 0; i < e->n_ports; i++)
                ret += sprintf(ret, "%s%s %u/%u", i > 0 ? ", " : "", text_at(ports[i].name), ports[i].number,
                               ports[i].protocol);
        (void)strcpy(ret, "]");
}

static void expect(k8shsvc *h, const char *name, int family, const char *const *expected, size_t n_expected)
{
        size_t n = 0, n_bytes = sizeof(buffer);
        char text[512];

        cr_assert_eq(k8shsvc_endpoints(h, name, family, sizeof(struct k8shsvc_endpoint), buffer, &n_bytes, &n), 0);
        cr_expect_eq(n_bytes, sizeof(buffer), "only -ENOBUFS sets it");
        cr_assert_eq(n, n_expected, "%s: %zu", name, n);
        for (size_t i = 0; i < n; i++) {
                describe(buffer + i, text);
                cr_expect_str_eq(text, expected[i], "%s: %s", name, text);
        }
}

#define EXPECT(h, name, family, ...)                                                                                   \
        expect(h, name, family, (const char *const[]){ __VA_ARGS__ },                                                  \
               sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

#define WEB_0 " web-0 0 node-1 east 11 [grpc 50050/6, dns 53/17]"
#define WEB_1 " web-1 1 node-2 west 6 [grpc 50050/6, dns 53/17]"
#define WEB_3 " web-3 3 node-2 west 3 [grpc 50050/6, dns 53/17]"

Test(endpoints, have_all_attributes)
{
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ZONE);
        api_put(&f, "plain.default", 1, 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        EXPECT(h, "web.default", AF_UNSPEC, "10.0.0.0:50050" WEB_0, "10.0.0.1:50050" WEB_1, "10.0.0.2:0 - -1 - - 0 []",
               "10.0.0.1:50050" WEB_3, "fd00:::50050" WEB_0);
        EXPECT(h, "web.default:dns/udp", AF_INET, "10.0.0.0:53" WEB_0, "10.0.0.1:53" WEB_1, "10.0.0.2:0 - -1 - - 0 []",
               "10.0.0.1:53" WEB_3);
        EXPECT(h, "kubernetes://default/web:3000+", AF_INET, "10.0.0.0:3000" WEB_0, "10.0.0.1:3001" WEB_1,
               "10.0.0.2:0 - -1 - - 0 []", "10.0.0.1:3003" WEB_3);
        EXPECT(h, "web.default:8443", AF_INET6, "fd00:::8443" WEB_0);
        EXPECT(h, "web-0.web.default", AF_UNSPEC, "10.0.0.0:50050" WEB_0, "fd00:::50050" WEB_0);
        EXPECT(h, "plain.default", AF_UNSPEC, "10.0.0.0:8080 - -1 - - 0 []", "fd00:::8080 - -1 - - 0 []");
        k8shsvc_close(h);
}

/* Far endpoints are listed, too, and no turn is taken. */
Test(endpoints, take_no_turn_and_leave_no_endpoint_out)
{
        struct k8shsvc_addr addrs[8];
        unsigned int first[3] = { 0 };
        k8shsvc *h = api_handle();
        struct fixture f;
        size_t n, n_bytes;

        rundir_init(&f);
        api_put(&f, "a.b", 3, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 600; i++) {
                n_bytes = sizeof(buffer);
                cr_assert_eq(k8shsvc_lookup(h, "a.b", AF_INET, addrs, 8, &n), 0);
                first[addrs[0].addr[3]]++;
                for (int j = 0; j < i % 5; j++)
                        cr_assert_eq(k8shsvc_endpoints(h, "a.b", AF_INET, 44, buffer, &n_bytes, &n), 0);
        }
        for (int i = 0; i < 3; i++)
                cr_expect(first[i] > 190 && first[i] < 210, "%u", first[i]);
        k8shsvc_close(h);
}

/* Every capacity, with poison behind it: the buffer is filled when it is large enough, else untouched. */
Test(endpoints, need_what_they_say)
{
        const size_t size = sizeof(struct k8shsvc_endpoint);
        k8shsvc *h = api_handle();
        struct fixture f;
        size_t n = 77, needed = 0;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ROTATE);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(k8shsvc_endpoints(h, "web.default", AF_UNSPEC, size, NULL, &needed, &n), -ENOBUFS);
        cr_assert_gt(needed, 5 * size);
        cr_expect_eq(n, 77);
        for (size_t room = 0; room <= needed; room++) {
                size_t n_bytes = room;
                int r;

                memset(buffer, 0xa5, needed + 8);
                r = k8shsvc_endpoints(h, "web.default", AF_UNSPEC, size, buffer, &n_bytes, &n);
                cr_assert_eq(r, room < needed ? -ENOBUFS : 0);
                cr_expect_eq(n_bytes, needed);
                for (size_t i = room < needed ? 0 : needed; i < needed + 8; i++)
                        cr_assert_eq(((uint8_t *)buffer)[i], 0xa5, "%zu of %zu", i, room);
        }
        cr_expect_eq(n, 5);
        k8shsvc_close(h);
}

/* Older and newer programs: smaller elements, and larger ones. */
Test(endpoints, have_the_size_that_the_program_knows)
{
        static const size_t sizes[] = { 20, 24, 44, 48, 400 };
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ROTATE);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
                size_t n, n_bytes = sizeof(buffer);

                memset(buffer, 0xa5, sizeof(buffer));
                cr_assert_eq(k8shsvc_endpoints(h, "web.default", AF_INET, sizes[s], buffer, &n_bytes, &n), 0);
                for (size_t i = 0; i < n; i++) {
                        const struct k8shsvc_endpoint *e = (const void *)((char *)buffer + i * sizes[s]);

                        cr_expect_eq(e->addr.family, AF_INET);
                        if (sizes[s] >= 24)
                                cr_expect_eq(e->ordinal, ((uint32_t[]){ 0, 1, UINT32_MAX, 3 })[i]);
                        if (sizes[s] >= 44 && i != 2)
                                cr_expect_eq(memcmp(text_at(e->host), "web-", 4), 0);
                        for (size_t b = sizeof(*e); b < sizes[s]; b++)
                                cr_assert_eq(((const uint8_t *)e)[b], 0);
                }
        }
        k8shsvc_close(h);
}

Test(endpoints, say_what_is_wrong)
{
        size_t n = 77, n_bytes = 100, size = sizeof(struct k8shsvc_endpoint);
        k8shsvc *h = api_handle();
        struct khs_row row;
        struct fixture f;

        rundir_init(&f);
        cr_expect_eq(k8shsvc_endpoints(h, "a.b", AF_INET, size, buffer, &n_bytes, &n), -ENOTCONN);
        api_put(&f, "v4.b", 2, 0);
        api_put(&f, "empty.b", 0, 0);
        row = fixture_row("old.b", 0, 3, 0);
        row.stale_until_ds = fixture_now() - 20;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        (void)usleep(1200000);
        cr_expect_eq(k8shsvc_endpoints(h, "nobody.b", AF_INET, size, buffer, &n_bytes, &n), -ENOENT);
        cr_expect_eq(k8shsvc_endpoints(h, "empty.b", AF_INET, size, buffer, &n_bytes, &n), -ENODATA);
        cr_expect_eq(k8shsvc_endpoints(h, "v4.b", AF_INET6, size, buffer, &n_bytes, &n), -ENODATA);
        cr_expect_eq(k8shsvc_endpoints(h, "old.b", AF_INET, size, buffer, &n_bytes, &n), -ESTALE);
        cr_expect_eq(k8shsvc_endpoints(h, "x/v4.b", AF_INET, size, buffer, &n_bytes, &n), -EINVAL);
        cr_expect_eq(n, 77);
        cr_expect_eq(n_bytes, 100);
        k8shsvc_close(h);
}

/* ---- port = base + ordinal ---- */

Test(endpoints, have_a_port_by_their_ordinal)
{
        static const char *const expected[] = { "10.0.0.0:3000", "10.0.0.1:3001", "10.0.0.1:3003", "[fd00::]:3000" };
        char texts[5][K8SHSVC_HOSTPORT_MAX] = { "untouched" };
        k8shsvc *h = api_handle();
        size_t n = 77, n_left_out = 77;
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ROTATE);
        api_put(&f, "plain.default", 2, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);

        cr_expect_eq(k8shsvc_get_endpoints(h, "default", "web", 3000, texts, 3, &n, &n_left_out), -ENOBUFS);
        cr_expect_eq(n, 4, "the number needed");
        cr_expect_eq(n_left_out, 77);
        cr_expect_str_eq(texts[0], "untouched");
        cr_expect_eq(k8shsvc_get_endpoints(h, "default", "web", 3000, texts, 4, &n, &n_left_out), 0);
        cr_assert_eq(n, 4);
        cr_expect_eq(n_left_out, 1, "the one of which nothing is known");
        for (size_t i = 0; i < n; i++)
                cr_expect_str_eq(texts[i], expected[i], "%s", texts[i]);

        cr_expect_eq(k8shsvc_get_endpoints(h, NULL, "WEB.default", 65533, texts, 5, &n, NULL), 0);
        cr_expect_eq(n, 3, "not the one whose port would be 65536");
        cr_expect_str_eq(texts[1], "10.0.0.1:65534");
        cr_expect_eq(k8shsvc_get_endpoints(h, "default", "plain", 3000, texts, 5, &n, &n_left_out), 0);
        cr_expect_eq(n, 0);
        cr_expect_eq(n_left_out, 2);
        cr_expect_eq(k8shsvc_get_endpoints(h, "other", "web", 3000, texts, 5, &n, &n_left_out), -ENOENT);
        cr_expect_eq(k8shsvc_get_endpoints(h, "", "web", 3000, texts, 5, &n, &n_left_out), -ENOENT);
        k8shsvc_close(h);
}

/* ---- damage ---- */

static int count(const struct k8shsvc_info *info, void *user)
{
        cr_assert_lt(strnlen(info->service, sizeof(info->service)), sizeof(info->service));
        ++*(size_t *)user;
        return 0;
}

/* Every call on a table of which a few words are anything. Offsets still lead to texts inside the buffer. */
static void call_all(k8shsvc *h)
{
        static char texts[16][K8SHSVC_HOSTPORT_MAX];
        size_t n = 0, n_bytes = sizeof(buffer), n_listed = 0;
        struct sockaddr_storage addr;
        struct k8shsvc_info info;
        socklen_t n_addr;

        if (k8shsvc_endpoints(h, "web.default", AF_UNSPEC, sizeof(buffer[0]), buffer, &n_bytes, &n) == 0) {
                for (size_t i = 0; i < n; i++) {
                        cr_assert_lt(buffer[i].host, sizeof(buffer));
                        cr_assert_lt(strlen(text_at(buffer[i].host)), 256);
                        cr_assert_lt(strlen(text_at(buffer[i].zone)), 256);
                        cr_assert_leq(buffer[i].ports + buffer[i].n_ports * sizeof(struct k8shsvc_port),
                                      sizeof(buffer));
                }
        }
        (void)k8shsvc_get_endpoints(h, "default", "web", 3000, texts, 16, &n, NULL);
        (void)k8shsvc_pick(h, "web.default:3000+", AF_UNSPEC, &addr, &n_addr);
        (void)k8shsvc_info(h, "web-1.web.default", sizeof(info), &info);
        (void)k8shsvc_list(h, sizeof(info), count, &n_listed);
        cr_assert_leq(n_listed, 2);
}

/* The words of the table's first records, to be written by somebody who should not. */
#define N_DAMAGED (32 * KHS_UNIT_WORDS)

static uint32_t *map_records(const struct fixture *f)
{
        int fd = openat(f->dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        struct stat st;
        uint32_t *words;

        cr_assert_eq(fstat(fd, &st), 0);
        words = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(words, MAP_FAILED);
        (void)close(fd);
        return words + ((const struct khs_table_static *)words)->arena_off_pg * (KHS_TABLE_PAGE / 4);
}

static uint32_t next_random(uint32_t *state)
{
        *state = *state * 1664525 + 1013904223;
        return *state >> 4;
}

Test(endpoints, survive_a_damaged_table, .timeout = 60)
{
        uint32_t random = 1, *words;
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ZONE);
        api_put(&f, "a.b", 2, 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        call_all(h);
        words = map_records(&f);
        for (int i = 0; i < 200000; i++) {
                uint32_t at[3], was[3];

                for (int j = 0; j < 3; j++) {
                        at[j] = next_random(&random) % N_DAMAGED;
                        was[j] = words[at[j]];
                        words[at[j]] = i % 2 ? next_random(&random) : was[j] ^ 1U << next_random(&random) % 32;
                }
                call_all(h);
                for (int j = 2; j >= 0; j--)
                        words[at[j]] = was[j];
        }
        call_all(h);
        k8shsvc_close(h);
}

static _Atomic bool stop;

/* Changes what records say, not where they are, and back. */
static void *damage_all_the_time(void *user)
{
        uint32_t random = 7, *words = user;

        while (!stop) {
                uint32_t at = next_random(&random) % N_DAMAGED, was = words[at];

                __atomic_store_n(&words[at], was ^ 1U << next_random(&random) % 32, __ATOMIC_RELAXED);
                (void)sched_yield();
                __atomic_store_n(&words[at], was, __ATOMIC_RELAXED);
        }
        return NULL;
}

/* Between the count and the copy a text may become longer; the buffer does not. */
Test(endpoints, stay_in_their_buffer_while_the_table_changes, .timeout = 60)
{
        size_t n, n_bytes = 0, n_needed, size = sizeof(buffer[0]);
        k8shsvc *h = api_handle();
        pthread_t thread;
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ZONE);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(k8shsvc_endpoints(h, "web.default", AF_UNSPEC, size, NULL, &n_bytes, &n), -ENOBUFS);
        n_needed = n_bytes;
        cr_assert_eq(pthread_create(&thread, NULL, damage_all_the_time, map_records(&f)), 0);
        memset(buffer, 0xa5, sizeof(buffer));
        for (int i = 0; i < 300000; i++) {
                n_bytes = n_needed;
                (void)k8shsvc_endpoints(h, "web.default", AF_UNSPEC, size, buffer, &n_bytes, &n);
                for (size_t j = 0; j < 64; j++)
                        cr_assert_eq(((uint8_t *)buffer)[n_needed + j], 0xa5, "byte %zu behind it", j);
        }
        stop = true;
        cr_assert_eq(pthread_join(thread, NULL), 0);
        k8shsvc_close(h);
}
