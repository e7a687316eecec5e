/* k8shsvc_pick() and k8shsvc_report(). */

#include <pthread.h>
#include <sys/wait.h>

#include "api-fixture.h"

/* "10.0.0.1:8080" of a pick, or the name of the error. */
static const char *pick(k8shsvc *h, const char *name, int family)
{
        static char text[INET6_ADDRSTRLEN + 8], address[INET6_ADDRSTRLEN];
        struct sockaddr_storage addr;
        socklen_t n_addr = 0;
        int r = k8shsvc_pick(h, name, family, &addr, &n_addr);
        uint16_t port;

        if (r < 0)
                return strerrorname_np(-r);
        cr_expect_eq(n_addr, addr.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (addr.ss_family == AF_INET) {
                (void)inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, address, sizeof(address));
                port = ((struct sockaddr_in *)&addr)->sin_port;
        } else {
                (void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&addr)->sin6_addr, address, sizeof(address));
                port = ((struct sockaddr_in6 *)&addr)->sin6_port;
        }
        (void)snprintf(text, sizeof(text), "%s:%u", address, ntohs(port));
        return text;
}

static int report(k8shsvc *h, const char *address, uint16_t port, int error)
{
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
                return k8shsvc_report(h, (struct sockaddr *)&four, sizeof(four), error);
        cr_assert_eq(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
        return k8shsvc_report(h, (struct sockaddr *)&six, sizeof(six), error);
}

/* How often 300 picks are this address. */
static unsigned int count(k8shsvc *h, const char *name, int family, const char *wanted)
{
        unsigned int n = 0;

        for (int i = 0; i < 300; i++)
                n += strcmp(pick(h, name, family), wanted) == 0;
        return n;
}

Test(pick, is_the_first_of_a_lookup)
{
        k8shsvc *h = api_handle();
        struct fixture f;
        unsigned int n;

        rundir_init(&f);
        api_put(&f, "a.b", 3, 2);
        api_put_web(&f, KHS_ORDER_ZONE);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 3; i++) {
                char wanted[32];

                (void)snprintf(wanted, sizeof(wanted), "10.0.0.%d:8080", i);
                n = count(h, "a.b", AF_INET, wanted);
                cr_expect(n > 95 && n < 105, "%s: %u", wanted, n);
        }
        n = count(h, "a.b:1", AF_UNSPEC, "fd00::1:1");
        cr_expect(n > 145 && n < 155, "IPv6, of which there are two: %u", n);
        cr_expect_str_eq(pick(h, "web.default:3000+", AF_INET), "10.0.0.0:3000", "the near one");
        cr_expect_str_eq(pick(h, "web.default:dns/udp", AF_INET6), "fd00:::53");
        cr_expect_str_eq(pick(h, "web-1.web.default:3000+", AF_INET), "10.0.0.1:3001");
        cr_expect_str_eq(pick(h, "nobody.b", AF_UNSPEC), "ENOENT");
        cr_expect_str_eq(pick(h, "web-1.web.default", AF_INET6), "ENOENT");
        k8shsvc_close(h);
}

Test(pick, passes_over_what_was_reported)
{
        k8shsvc *h = api_handle(), *other = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put(&f, "a.b", 3, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(report(h, "10.0.0.1", 8080, ECONNREFUSED), 0);
        cr_expect_eq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0);
        cr_expect_neq(count(h, "a.b:81", AF_INET, "10.0.0.1:81"), 0, "another port of it");
        cr_expect_neq(count(other, "a.b", AF_INET, "10.0.0.1:8080"), 0, "another handle");
        cr_expect_eq(report(h, "10.0.0.1", 8080, 0), 0);
        cr_expect_neq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0, "it works again");

        for (int i = 0; i < 3; i++) {
                char address[32];

                (void)snprintf(address, sizeof(address), "10.0.0.%d", i);
                cr_expect_eq(report(h, address, 8080, ETIMEDOUT), 0);
        }
        for (int i = 0; i < 3; i++) {
                char wanted[32];
                unsigned int n;

                (void)snprintf(wanted, sizeof(wanted), "10.0.0.%d:8080", i);
                n = count(h, "a.b", AF_INET, wanted);
                cr_expect(n > 95 && n < 105, "all were reported, %s: %u", wanted, n);
        }
        k8shsvc_close(h);
        k8shsvc_close(other);
}

Test(pick, goes_on_to_the_other_family)
{
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put(&f, "a.b", 1, 1);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_str_eq(pick(h, "a.b", AF_UNSPEC), "fd00:::8080");
        cr_expect_eq(report(h, "fd00::", 8080, EHOSTUNREACH), 0);
        cr_expect_str_eq(pick(h, "a.b", AF_UNSPEC), "10.0.0.0:8080");
        cr_expect_str_eq(pick(h, "a.b", AF_INET6), "fd00:::8080", "the only one");
        k8shsvc_close(h);
}

/* The program knows the port where the table does not. */
Test(pick, knows_an_endpoint_without_a_port_by_its_address)
{
        k8shsvc *h = api_handle();
        struct khs_row row = fixture_row("a.b", 0, 2, 0);
        struct fixture f;

        rundir_init(&f);
        row.port = 0;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(report(h, "10.0.0.1", 5432, ECONNREFUSED), 0);
        cr_expect_eq(count(h, "a.b", AF_INET, "10.0.0.0:0"), 300);
        cr_expect_eq(report(h, "10.0.0.1", 5432, 0), 0);
        cr_expect_neq(count(h, "a.b", AF_INET, "10.0.0.1:0"), 0);
        k8shsvc_close(h);
}

/* Pods on one node differ by their port. */
Test(pick, tells_endpoints_of_one_address_apart)
{
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ROTATE);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_neq(count(h, "web.default:3000+", AF_INET, "10.0.0.1:3003"), 0);
        cr_expect_eq(report(h, "10.0.0.1", 3001, ECONNREFUSED), 0);
        cr_expect_eq(count(h, "web.default:3000+", AF_INET, "10.0.0.1:3001"), 0);
        cr_expect_neq(count(h, "web.default:3000+", AF_INET, "10.0.0.1:3003"), 0);
        k8shsvc_close(h);
}

/* A report again is the same one; the 65th drops the oldest. */
Test(pick, remembers_sixty_four_reports)
{
        k8shsvc *h = api_handle();
        struct fixture f;
        char address[32];

        rundir_init(&f);
        api_put(&f, "a.b", 2, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 1000; i++)
                cr_expect_eq(report(h, "10.0.0.9", 8080, ECONNREFUSED), 0);
        cr_expect_eq(report(h, "10.0.0.1", 8080, ECONNREFUSED), 0);
        (void)usleep(300000);
        for (int i = 0; i < 62; i++) {
                (void)snprintf(address, sizeof(address), "10.1.0.%d", i);
                cr_expect_eq(report(h, address, 8080, ECONNREFUSED), 0);
        }
        cr_expect_eq(report(h, "10.0.0.9", 8080, ECONNREFUSED), 0, "no longer the oldest");
        cr_expect_eq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0);
        cr_expect_eq(report(h, "10.1.1.0", 8080, ECONNREFUSED), 0);
        cr_expect_neq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0, "dropped");
        k8shsvc_close(h);
}

Test(pick, forgets_after_ten_seconds, .timeout = 30)
{
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put(&f, "a.b", 2, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(report(h, "10.0.0.1", 8080, ECONNREFUSED), 0);
        (void)sleep(9);
        khs_writer_beat(f.writer);
        cr_expect_eq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0);
        (void)usleep(1300000);
        cr_expect_neq(count(h, "a.b", AF_INET, "10.0.0.1:8080"), 0);
        k8shsvc_close(h);
}

static void *pick_and_report(void *user)
{
        for (int i = 0; i < 20000; i++) {
                char address[32];

                (void)snprintf(address, sizeof(address), "10.0.0.%d", i % 100);
                (void)report(user, address, 8080, i % 3);
                if (i % 16 == 0) {
                        struct sockaddr_storage addr;
                        socklen_t n;

                        cr_assert_eq(k8shsvc_pick(user, "a.b", AF_INET, &addr, &n), 0);
                }
        }
        return NULL;
}

Test(pick, serves_threads_that_share_a_handle, .timeout = 60)
{
        k8shsvc *h = api_handle();
        pthread_t threads[4];
        struct fixture f;

        rundir_init(&f);
        api_put(&f, "a.b", 100, 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, pick_and_report, h), 0);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(pthread_join(threads[i], NULL), 0);
        k8shsvc_close(h);
}
