/*
 * Every export of the shared library, called as a careless program calls it: misuse is -EINVAL, never a crash, and
 * leaves errno and outputs alone. tests/lint/elf.sh finds exports that this file lacks.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "k8shsvc.h"

static int stop(const struct k8shsvc_info *info, void *user)
{
        (void)info;
        (void)user;
        return 1;
}

Test(exports, open_and_close)
{
        k8shsvc *h = NULL;

        cr_expect_eq(k8shsvc_open(NULL), -EINVAL);
        cr_assert_eq(k8shsvc_open(&h), 0);
        cr_expect_not_null(h);
        k8shsvc_close(h);
        k8shsvc_close(NULL);
}

/* What a call is given instead of what it needs, and what it says. */
#define REFUSES(call) cr_expect_eq(call, -EINVAL, "%s", #call)

Test(exports, refuse_misuse)
{
        struct sockaddr_in six_too_short = { .sin_family = AF_INET6 }, four = { .sin_family = AF_INET };
        struct sockaddr_storage addr;
        struct k8shsvc_addr addrs[1];
        struct k8shsvc_info info;
        char texts[1][K8SHSVC_HOSTPORT_MAX], name[1];
        struct k8shsvc_endpoint buffer[8];
        size_t n = 77, n_bytes = sizeof(buffer), n_info = sizeof(info), size = sizeof(struct k8shsvc_endpoint);
        uint64_t token = 77;
        socklen_t n_addr = 77;
        k8shsvc *h;

        cr_assert_eq(k8shsvc_open(&h), 0);
        errno = 4711;

        REFUSES(k8shsvc_lookup(NULL, "a.b", AF_INET, addrs, 1, &n));
        REFUSES(k8shsvc_lookup(h, NULL, AF_INET, addrs, 1, &n));
        REFUSES(k8shsvc_lookup(h, "a.b", AF_UNIX, addrs, 1, &n));
        REFUSES(k8shsvc_lookup(h, "a.b", AF_INET, NULL, 1, &n));
        REFUSES(k8shsvc_lookup(h, "a.b", AF_INET, addrs, 1, NULL));
        REFUSES(k8shsvc_lookup(h, "a.b:", AF_INET, addrs, 1, &n));

        REFUSES(k8shsvc_pick(NULL, "a.b", AF_INET, &addr, &n_addr));
        REFUSES(k8shsvc_pick(h, NULL, AF_INET, &addr, &n_addr));
        REFUSES(k8shsvc_pick(h, "a.b", AF_UNIX, &addr, &n_addr));
        REFUSES(k8shsvc_pick(h, "a.b", AF_INET, NULL, &n_addr));
        REFUSES(k8shsvc_pick(h, "a.b", AF_INET, &addr, NULL));
        REFUSES(k8shsvc_pick(h, "a.b:0", AF_INET, &addr, &n_addr));

        REFUSES(k8shsvc_report(NULL, (struct sockaddr *)&four, sizeof(four), 1));
        REFUSES(k8shsvc_report(h, NULL, sizeof(four), 1));
        REFUSES(k8shsvc_report(h, (struct sockaddr *)&four, 1, 1));
        REFUSES(k8shsvc_report(h, (struct sockaddr *)&four, sizeof(four) - 1, 1));
        REFUSES(k8shsvc_report(h, (struct sockaddr *)&six_too_short, sizeof(six_too_short), 1));

        REFUSES(k8shsvc_endpoints(NULL, "a.b", AF_INET, size, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, NULL, AF_INET, size, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_UNIX, size, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, 0, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, size + 1, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, SIZE_MAX - 3, buffer, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, size, (void *)((char *)buffer + 2), &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, size, NULL, &n_bytes, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, size, buffer, NULL, &n));
        REFUSES(k8shsvc_endpoints(h, "a.b", AF_INET, size, buffer, &n_bytes, NULL));

        REFUSES(k8shsvc_get_endpoints(NULL, "b", "a", 1, texts, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b", NULL, 1, texts, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b", "a", 0, texts, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b", "a:1", 1, texts, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b/", "a", 1, texts, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b", "a", 1, NULL, 1, &n, &n));
        REFUSES(k8shsvc_get_endpoints(h, "b", "a", 1, texts, 1, NULL, &n));

        REFUSES(k8shsvc_info(NULL, "a.b", n_info, &info));
        REFUSES(k8shsvc_info(h, NULL, n_info, &info));
        REFUSES(k8shsvc_info(h, "a.b", 0, &info));
        REFUSES(k8shsvc_info(h, "a.b", SIZE_MAX, &info));
        REFUSES(k8shsvc_info(h, "a.b", n_info, NULL));

        REFUSES(k8shsvc_list(NULL, n_info, stop, NULL));
        REFUSES(k8shsvc_list(h, 0, stop, NULL));
        REFUSES(k8shsvc_list(h, n_info, NULL, NULL));

        REFUSES(k8shsvc_reverse(NULL, AF_INET, buffer, name, 1));
        REFUSES(k8shsvc_reverse(h, AF_UNSPEC, buffer, name, 1));
        REFUSES(k8shsvc_reverse(h, AF_INET, NULL, name, 1));
        REFUSES(k8shsvc_reverse(h, AF_INET, buffer, NULL, 1));

        REFUSES(k8shsvc_wait(NULL, "a.b", &token, 0));
        REFUSES(k8shsvc_wait(h, "a.b", NULL, 0));
        REFUSES(k8shsvc_wait(h, "a.b:", &token, 0));

        cr_expect_eq(errno, 4711);
        cr_expect_eq(n, 77);
        cr_expect_eq(n_addr, 77);
        cr_expect_eq(n_bytes, sizeof(buffer));
        cr_expect_eq(token, 77);
        k8shsvc_close(h);
}

Test(exports, have_a_text_for_every_error)
{
        static const int errors[] = { EINVAL,   ENOMEM,  ENOENT,     ENODATA,   ESTALE,
                                      ENOTCONN, ENOBUFS, EOPNOTSUPP, ETIMEDOUT, EINTR };

        cr_expect_str_eq(k8shsvc_strerror(0), "success");
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                const char *text = k8shsvc_strerror(-errors[i]);

                cr_expect_str_neq(text, "unknown error", "%d", errors[i]);
                cr_expect_eq(k8shsvc_strerror(errors[i]), text);
                for (size_t j = 0; j < i; j++)
                        cr_expect_str_neq(k8shsvc_strerror(errors[j]), text);
        }
        cr_expect_str_eq(k8shsvc_strerror(-EPIPE), "unknown error");
        cr_expect_str_eq(k8shsvc_strerror(INT32_MIN), "unknown error");
}
