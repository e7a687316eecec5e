/* Names: every form of answer/name.h, and what is not one. */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "answer/name.h"

#define ZONE "cluster.local"

static const struct khs_zone zone = { .bytes = ZONE, .n = sizeof(ZONE) - 1 }, no_zone;

static int parse(struct khs_name *ret, const char *text)
{
        int r = khs_name_parse(ret, text, strlen(text), &zone);

        return r == 0 && !khs_name_valid(ret) ? -ENOENT : r;
}

static const struct {
        const char *written, *text;
        int n_labels, n_first;
        bool in_cluster;
} forms[] = {
        { "user-svc.default.svc.cluster.local", "user-svc.default", 2, 8, true },
        { "user-svc.default.svc.cluster.local.", "user-svc.default", 2, 8, true },
        { "USER-svc.Default.SVC.Cluster.LOCAL", "user-svc.default", 2, 8, true },
        { "web-0.web.default.svc.cluster.local", "web-0.web.default", 3, 5, true },
        { "user-svc.default.svc", "user-svc.default", 2, 8, true },
        { "web-0.web.default.svc", "web-0.web.default", 3, 5, true },
        { "user-svc", "user-svc", 1, 8, false },
        { "user-svc.default", "user-svc.default", 2, 8, false },
        { "web-0.web.default", "web-0.web.default", 3, 5, false },
        /* two labels, the second of them svc: service a in namespace svc */
        { "a.svc", "a.svc", 2, 1, false },
        /* an alias may have any number of labels, and an underscore */
        { "a.b.c.d.example.com", "a.b.c.d.example.com", 6, 1, false },
        { "_grpc.users", "_grpc.users", 2, 5, false },
        /* not the suffix, only something that ends like it */
        { "a.b.xsvc", "a.b.xsvc", 3, 1, false },
        { "a.b.svc.xcluster.local", "a.b.svc.xcluster.local", 5, 1, false },
        { "notlocalhost", "notlocalhost", 1, 12, false },
};

Test(name, knows_every_form)
{
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                struct khs_name name;

                cr_expect_eq(parse(&name, forms[i].written), 0, "%s", forms[i].written);
                cr_expect_str_eq(name.text, forms[i].text);
                cr_expect_eq(name.len, strlen(forms[i].text), "%s", forms[i].written);
                cr_expect_eq(name.n_first, forms[i].n_first, "%s: %d", forms[i].written, name.n_first);
                cr_expect_eq(name.in_cluster, forms[i].in_cluster, "%s", forms[i].written);
                cr_expect_eq(name.n_labels, forms[i].n_labels, "%s: %d", forms[i].written, name.n_labels);
        }
}

static const char *const foreign[] = {
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.b..",
        "a b",
        "a/b",
        "a:1",
        "käse",
        "a.b\n",
        "\x7f",
        /* never ours */
        "localhost",
        "LOCALHOST",
        "x.localhost",
        "a.b.localhost",
        "localhost.",
        /* only names in the cluster domain may carry a final dot */
        "user-svc.",
        "user-svc.default.",
        "user-svc.default.svc.",
        "example.com.",
        /* one label or four before .svc.D, four before .svc */
        "user-svc.svc.cluster.local",
        "svc.cluster.local.",
        "a.b.c.d.svc.cluster.local",
        "a.b.c.d.svc",
};

Test(name, refuses_what_is_not_ours)
{
        for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
                struct khs_name name;

                cr_expect_eq(parse(&name, foreign[i]), -ENOENT, "'%s'", foreign[i]);
        }
}

Test(name, has_the_lengths_of_dns)
{
        struct khs_name name;
        char text[300];

        memset(text, 'a', sizeof(text));
        text[63] = '\0';
        cr_expect_eq(parse(&name, text), 0);
        text[63] = 'a';
        text[64] = '\0';
        cr_expect_eq(parse(&name, text), -ENOENT);

        for (int i = 0; i < 299; i++)
                text[i] = i % 10 == 9 ? '.' : 'a';
        text[253] = '\0';
        cr_expect_eq(parse(&name, text), 0);
        cr_expect_eq(name.len, 253);
        text[253] = 'a';
        text[254] = '\0';
        cr_expect_eq(parse(&name, text), -ENOENT);
}

Test(name, works_without_a_zone)
{
        struct khs_name name;

        cr_expect_eq(khs_name_parse(&name, "a.b.svc", 7, &no_zone), 0);
        cr_expect_str_eq(name.text, "a.b");
        cr_expect_eq(khs_name_parse(&name, "a.b.svc.cluster.local", 21, &no_zone), 0);
        cr_expect_not(name.in_cluster);
}

Test(name, finds_the_namespace_in_the_search_list)
{
        static const struct {
                const char *const search[4];
                const char *expected;
        } lists[] = {
                { { "default.svc.cluster.local", "svc.cluster.local", "cluster.local" }, "default" },
                { { "example.com", "Kube-System.SVC.cluster.local.", "b.svc.cluster.local" }, "kube-system" },
                { { "svc.cluster.local", "cluster.local" }, "" },
                { { "a.b.svc.cluster.local" }, "" },
                { { "default.svc.other.local" }, "" },
                { { "", ".", "a..svc.cluster.local" }, "" },
                { { NULL }, "" },
                { { "a", "b", "c", "beyond-its-length.svc.cluster.local" }, "" },
        };

        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
                char namespace[KHS_LABEL_MAX + 1] = "";
                size_t n = khs_name_search(lists[i].search, 3, &zone, namespace);

                cr_expect_eq(n, strlen(lists[i].expected), "list %zu", i);
                if (n > 0)
                        cr_expect_str_eq(namespace, lists[i].expected);
        }
}
