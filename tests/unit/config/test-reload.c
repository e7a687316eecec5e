/*
 * What stays when a file goes bad while the daemon runs.
 */

#include "config-fixture.h"

TestSuite(config_reload, .init = setup, .fini = teardown, .timeout = 120);

/* --- reload --- */

Test(config_reload, a_reload_keeps_the_last_good_version)
{
        static const struct {
                const char *text;
                const char *said;
        } bad[] = {
                { "[service a]\nport = 2\n[service b]\nport = x/y\n",
                  "@/main:4: [service b] port: found 'x/y', expected a number from 1 to 65535, NAME, "
                  "NAME/udp or "
                  "NUMBER+\nW @/main: its last good version stays in use\n" },
                { "[service a]\nport = 2\ngarbage\n", "@/main:3: found 'garbage', expected KEY = VALUE or [SECTION]\n"
                                                      "W @/main: its last good version stays in use\n" },
                { "[service a]\nport = 2\n[service b]\nalias = other.default\n",
                  "@/main:4: [service b] alias: found 'other.default', expected a name other than that of a "
                  "registered service\nW @/main: its last good version stays in use\n" },
                { "[service a.b.c]\n",
                  "@/main:1: [service a.b.c]: found 'a.b.c', " NAMES "W @/main: its last good version stays in use\n" },
        };

        put("main", "[service a]\nport = 1\n");
        put("etc/a.conf", "[service other]\n");
        expect_said("");
        for (size_t i = 0; i < N(bad); i++) {
                put("main", "%s", bad[i].text);
                expect_said(bad[i].said);
                cr_expect_eq(f.config->n_services, 2);
                cr_expect_eq(service("a.default")->ports[0].number, 1);
                expect_said(bad[i].said);
                cr_expect_eq(service("a.default")->ports[0].number, 1);
        }
        put("main", "[service a]\nport = 2\n");
        expect_said("");
        cr_expect_eq(service("a.default")->ports[0].number, 2);
        drop("main");
        expect_said("");
        cr_expect_eq(f.config->n_services, 1);
}

Test(config_reload, a_new_file_with_errors_is_left_out_of_a_reload)
{
        expect_said("");
        put("run/a.conf", "[service a]\n[service b]\nport = 0\n");
        expect_said("@/run/a.conf:3: [service b] port: found '0', expected a number from 1 to 65535, NAME, "
                    "NAME/udp "
                    "or NUMBER+\nW @/run/a.conf: left out as a whole until it is mended\n");
        cr_expect_eq(f.config->n_services, 0);
        put("run/a.conf", "[service a]\n[service b]\nport = 1\n");
        expect_said("");
        cr_expect_eq(f.config->n_services, 2);
}

Test(config_reload, a_reload_does_not_lose_what_the_start_has_taken_of_a_bad_file)
{
        static const char *said =
                "@/main:2: [service a] order: found 'x', expected rotate, random, sticky, zone or node\n";

        put("main", "[service a]\norder = x\n[service b]\n");
        expect_said(said);
        cr_expect_eq(f.config->n_services, 2);
        put("run/c.conf", "[service c]\n");
        expect_said(said);
        cr_expect_eq(f.config->n_services, 3);
        put("main", "[service a]\norder = y\n[service d]\n");
        load();
        cr_expect_eq(f.n_errors, 1);
        service("b.default");
        cr_expect_null(config_find(f.config, "d.default"));
}

Test(config_reload, files_that_are_bad_only_together)
{
        put("main", "[service a]\nalias = x\n");
        put("etc/b.conf", "[service b]\nalias = y\n");
        expect_said("");
        /* b.conf now wants what main has; main's alias stays. */
        put("etc/b.conf", "[service b]\nalias = x\n");
        expect_said("@/etc/b.conf:2: [service b] alias: found 'x', expected an alias that is not taken "
                    "already by "
                    "a.default\nW @/etc/b.conf: its last good version stays in use\n");
        cr_expect_str_eq(service("a.default")->aliases[0], "x");
        cr_expect_str_eq(service("b.default")->aliases[0], "y");
        /* main gives x up, but is bad: what it keeps makes b.conf bad, too. */
        put("main", "[service a]\nalias = z\nport = 0\n");
        load();
        cr_expect_eq(f.n_errors, 2);
        cr_expect_str_eq(service("a.default")->aliases[0], "x");
        cr_expect_str_eq(service("b.default")->aliases[0], "y");
        /* Mended, both move on. */
        put("main", "[service a]\nalias = z\n");
        expect_said("");
        cr_expect_str_eq(service("a.default")->aliases[0], "z");
        cr_expect_str_eq(service("b.default")->aliases[0], "x");
}

Test(config_reload, a_file_that_disappears_is_forgotten)
{
        put("run/a.conf", "[service a]\n");
        expect_said("");
        drop("run/a.conf");
        expect_said("");
        cr_expect_eq(f.config->n_services, 0);
        put("run/a.conf", "garbage\n");
        load();
        cr_expect_eq(f.config->n_services, 0);
}

Test(config_reload, a_directory_that_can_no_longer_be_read_keeps_its_files)
{
        put("etc/a.conf", "[service a]\n");
        put("run/b.conf", "[service b]\n");
        expect_said("");
        drop("etc/a.conf");
        cr_assert_eq(rmdir(f.conf_dir), 0);
        put("etc", "not a directory");
        expect_said("@/etc: found Not a directory, expected a readable directory\n");
        service("a.default");
        expect_said("@/etc: found Not a directory, expected a readable directory\n");
        service("a.default");
        service("b.default");
        drop("etc");
        expect_said("");
        cr_expect_eq(f.config->n_services, 1);
}
