/* The hosts lines of distributions, and who stands in front of k8shsvc in them. */

#include <criterion/criterion.h>

#include "ctl/glibc/nsswitch.h"

Test(ctl_nsswitch, who_is_asked_and_who_stands_in_front)
{
        static const struct {
                const char *text;
                size_t n, at;
                const char *front;
        } cases[] = {
                { "hosts: files k8shsvc dns\n", 3, 1, NULL },
                { "hosts:          files dns\n", 2, 2, "dns" }, /* Debian, Ubuntu server */
                { "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n", 3, 3, "mdns4_minimal" },
                { "hosts: files mdns4_minimal [NOTFOUND=return] k8shsvc dns", 4, 2, "mdns4_minimal" },
                { "hosts: files k8shsvc mdns4_minimal [NOTFOUND=return] dns", 4, 1, NULL },
                { "hosts: files mdns k8shsvc dns", 4, 2, NULL },
                { "hosts: files myhostname k8shsvc resolve [!UNAVAIL=return] dns", 5, 2, NULL }, /* Fedora */
                { "hosts: files myhostname resolve [!UNAVAIL=return] k8shsvc dns", 5, 3, "resolve" },
                { "hosts: k8shsvc [NOTFOUND=return] files dns", 3, 0, NULL },
                { "hosts: dns [!UNAVAIL=return] files k8shsvc", 3, 2, "dns" },
                { "hosts: files [NOTFOUND=return] k8shsvc dns", 3, 1, "files" },
                { "hosts: files [!UNAVAIL=return] k8shsvc dns", 3, 1, "files" },
                { "hosts: files [SUCCESS=continue UNAVAIL=return] k8shsvc dns", 3, 1, NULL },
                { "hosts:k8shsvc[NOTFOUND=return]dns#k8shsvc\n", 2, 0, NULL },
                { "  hosts \t:\tfiles\tk8shsvc\tdns\r\n", 3, 1, NULL },
                { "hosts: dns\nhosts: files k8shsvc\n", 2, 1, NULL }, /* the last one counts */
                { "#hosts: files k8shsvc\nhosts: files", 1, 1, NULL },
                { "hosts: K8SHSVC files", 2, 2, NULL },
                { "hosts:\n", 0, 0, NULL },
                { "hosts: [NOTFOUND=return] files [\n", 1, 1, NULL },
                { "passwd: files\nhostsx: k8shsvc\n", 0, 0, NULL },
                { "", 0, 0, NULL },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct nsswitch nsswitch;
                size_t at;

                nsswitch_parse(&nsswitch, cases[i].text);
                at = nsswitch_find(&nsswitch, "k8shsvc");
                cr_expect_eq(nsswitch.n_services, cases[i].n, "%s: %zu", cases[i].text, nsswitch.n_services);
                cr_expect_eq(at, cases[i].at, "%s: at %zu", cases[i].text, at);
                if (cases[i].front)
                        cr_expect_str_eq(nsswitch_in_front(&nsswitch, at), cases[i].front, "%s", cases[i].text);
                else
                        cr_expect_null(nsswitch_in_front(&nsswitch, at), "%s", cases[i].text);
        }
}

Test(ctl_nsswitch, actions)
{
        struct nsswitch nsswitch;

        nsswitch_parse(&nsswitch,
                       "hosts: a [NOTFOUND=return tryagain=RETURN] b [!UNAVAIL=return] c [UNAVAIL=continue]\n");
        cr_assert_eq(nsswitch.n_services, 3);
        cr_expect(nsswitch.services[0].returns[NSSWITCH_NOTFOUND]);
        cr_expect(nsswitch.services[0].returns[NSSWITCH_TRYAGAIN]);
        cr_expect_not(nsswitch.services[0].returns[NSSWITCH_UNAVAIL]);
        cr_expect(nsswitch.services[1].returns[NSSWITCH_NOTFOUND]);
        cr_expect_not(nsswitch.services[1].returns[NSSWITCH_UNAVAIL]);
        cr_expect_not(nsswitch.services[2].returns[NSSWITCH_UNAVAIL]);
        cr_expect_str_eq(nsswitch.line, "a [NOTFOUND=return tryagain=RETURN] b [!UNAVAIL=return] c [UNAVAIL=continue]");
}

Test(ctl_nsswitch, more_than_fits)
{
        char text[4096] = "hosts:";
        struct nsswitch nsswitch;

        for (int i = 0; i < 300; i++)
                strcat(text, " service");
        nsswitch_parse(&nsswitch, text);
        cr_expect_eq(nsswitch.n_services, NSSWITCH_SERVICES_MAX);
        cr_expect_eq(strlen(nsswitch.line), sizeof(nsswitch.line) - 1);
}
