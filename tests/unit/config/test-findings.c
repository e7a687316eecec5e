/*
 * What is refused, and with which words; the files that are read, and how long that takes.
 */

#include "config-fixture.h"
#include "config/file/findings.h"

TestSuite(config_findings, .init = setup, .fini = teardown, .timeout = 120);

/* --- findings: the complete text --- */

#define EXPECTED_SECTIONS "[daemon], [service NAME.NAMESPACE], [pods NAME.NAMESPACE] or [namespace NAMESPACE]"
#define REFRESH           "expected a duration from 50ms to 1h (500ms, 5s, 10m, 1h)\n"
#define ADDRESSES         "expected ADDR, ADDR:PORT, [V6] or [V6]:PORT\n"
#define ENDPOINTS         "expected ADDR, ADDR:PORT, [V6] or [V6]:PORT; not an unspecified, broadcast or multicast one\n"

static const struct {
        const char *text;
        const char *said;
} findings[] = {
        /* ranges */
        { "[daemon]\n\nrefresh-max = 2d\n", "@/main:3: [daemon] refresh-max: found '2d', " REFRESH },
        { "[daemon]\nrefresh-min = 49ms\n", "@/main:2: [daemon] refresh-min: found '49ms', " REFRESH },
        { "[daemon]\nrefresh-max = 3601s\n", "@/main:2: [daemon] refresh-max: found '3601s', " REFRESH },
        { "[daemon]\nmax-stale = 999ms\n", "@/main:2: [daemon] max-stale: found '999ms', expected a duration "
                                           "from 1s to 7d (30s, 10m, 1h, 7d)\n" },
        { "[daemon]\nmax-stale = 8d\n",
          "@/main:2: [daemon] max-stale: found '8d', expected a duration from 1s to 7d (30s, 10m, 1h, 7d)\n" },
        { "[daemon]\norphan-max = 10s\n",
          "@/main:2: [daemon] orphan-max: found '10s', expected a duration from 11s to 10m (30s, 2m)\n" },
        { "[daemon]\norphan-max = 11m\n",
          "@/main:2: [daemon] orphan-max: found '11m', expected a duration from 11s to 10m (30s, 2m)\n" },
        { "[daemon]\nquery-rate = 0\n",
          "@/main:2: [daemon] query-rate: found '0', expected a number from 1 to 100000\n" },
        { "[daemon]\nquery-rate = 100001\n",
          "@/main:2: [daemon] query-rate: found '100001', expected a number from 1 to 100000\n" },
        { "[daemon]\nmax-table-size = 1023K\n",
          "@/main:2: [daemon] max-table-size: found '1023K', expected a size from 1M to 8G (64M, 1G)\n" },
        { "[daemon]\nmax-table-size = 9G\n",
          "@/main:2: [daemon] max-table-size: found '9G', expected a size from 1M to 8G (64M, 1G)\n" },
        /* words */
        { "[daemon]\nsource = DNS\n",
          "@/main:2: [daemon] source: found 'DNS', expected dns, kubernetes or static; did you mean dns?\n" },
        { "[daemon]\ndns-transport = tls\n", "@/main:2: [daemon] dns-transport: found 'tls', expected tcp or udp\n" },
        { "[daemon]\nreverse = 1\n", "@/main:2: [daemon] reverse: found '1', expected yes or no\n" },
        { "[daemon]\nlog-level = 7\n",
          "@/main:2: [daemon] log-level: found '7', expected error, warning, notice, info or debug\n" },
        { "[service a]\norder = rr\n",
          "@/main:2: [service a] order: found 'rr', expected rotate, random, sticky, zone or node\n" },
        { "[service a]\ninclude = none\n",
          "@/main:2: [service a] include: found 'none', expected ready, serving or all\n" },
        { "[service a]\nfamily = inet\n", "@/main:2: [service a] family: found 'inet', expected any, ipv4 or ipv6\n" },
        { "[service a]\nhosts = maybe\n", "@/main:2: [service a] hosts: found 'maybe', expected auto, yes or no\n" },
        { "[service a]\nanswers = 0\n", "@/main:2: [service a] answers: found '0', expected auto, single, "
                                        "all or a number from 1 to 5000\n" },
        { "[service a]\nanswers = 5001\n", "@/main:2: [service a] answers: found '5001', expected auto, "
                                           "single, all or a number from 1 to 5000\n" },
        { "[namespace a]\nservices = all\n", "@/main:2: [namespace a] services: found 'all', expected headless\n" },
        /* strings */
        { "[daemon]\ncluster-domain = a..b\n",
          "@/main:2: [daemon] cluster-domain: found 'a..b', expected a domain name (cluster.local)\n" },
        { "[daemon]\nnamespace = a.b\n",
          "@/main:2: [daemon] namespace: found 'a.b', expected auto or the name of a namespace\n" },
        { "[daemon]\nmetrics-listen = 9768\n", "@/main:2: [daemon] metrics-listen: found '9768', expected "
                                               "ADDR:PORT or [V6]:PORT (127.0.0.1:9768)\n" },
        { "[daemon]\nkubeconfig = kube\n", "@/main:2: [daemon] kubeconfig: found 'kube', expected an absolute path\n" },
        { "[daemon]\napi-server = 10.0.0.1\n",
          "@/main:2: [daemon] api-server: found '10.0.0.1', expected a URL (https://10.96.0.1:443)\n" },
        { "[daemon]\nzone = a b\n",
          "@/main:2: [daemon] zone: found 'a b', expected at most 63 letters, digits, '-', '_' and '.' "
          "(eu-west-1a)\n" },
        { "[pods a]\nselector = a&b\n",
          "@/main:1: [pods a] selector: found none, expected a label selector (app=worker,tier!=canary), or go-micro\n"
          "@/main:2: [pods a] selector: found 'a&b', expected a label selector (app=worker,tier!=canary)\n" },
        /* lists */
        { "[daemon]\ndns-servers = 10.0.0.1:99999\n",
          "@/main:2: [daemon] dns-servers: found '10.0.0.1:99999', " ADDRESSES },
        { "[daemon]\nallow-cidr = 10.0.0.1/8\n", "@/main:2: [daemon] allow-cidr: found '10.0.0.1/8', "
                                                 "expected ADDR/PREFIX with no bits beyond the prefix "
                                                 "(10.0.0.0/8, fd00::/8)\n" },
        { "[service a]\nport = 80\nport = 0\n", "@/main:3: [service a] port: found '0', expected a number "
                                                "from 1 to 65535, NAME, NAME/udp or NUMBER+\n" },
        { "[service a]\nendpoints = a.example\n", "@/main:2: [service a] endpoints: found 'a.example', " ENDPOINTS },
        { "[service a]\nendpoints = 10.0.0.1 10.0.0.2\n    10.0.0.256\t10.0.0.4\n",
          "@/main:2: [service a] endpoints: found '10.0.0.256', " ENDPOINTS },
        { "[service a]\nendpoints = 0.0.0.0\n", "@/main:2: [service a] endpoints: found '0.0.0.0', " ENDPOINTS },
        { "[service a]\nendpoints = ::\n", "@/main:2: [service a] endpoints: found '::', " ENDPOINTS },
        { "[service a]\nendpoints = 239.1.2.3\n", "@/main:2: [service a] endpoints: found '239.1.2.3', " ENDPOINTS },
        { "[service a]\nendpoints = 255.255.255.255\n",
          "@/main:2: [service a] endpoints: found '255.255.255.255', " ENDPOINTS },
        { "[service a]\nendpoints = [ff02::1]:80\n",
          "@/main:2: [service a] endpoints: found '[ff02::1]:80', " ENDPOINTS },
        { "[service a]\nalias = ok b..c\n", "@/main:2: [service a] alias: found 'b..c', expected host "
                                            "names of at most 253 bytes and 63 a label\n" },
        { "[daemon]\nnode = a_b\n", "@/main:2: [daemon] node: found 'a_b', expected the name of a node (worker-1)\n" },
        { "[pods a]\ngo-micro = a b\n",
          "@/main:1: [pods a] selector: found none, expected a label selector (app=worker,tier!=canary), or go-micro\n"
          "@/main:2: [pods a] go-micro: found 'a b', expected the name of a go-micro service, at most 54 letters, "
          "digits, "
          "'-', '_' and '.' (go.micro.srv.user)\n" },
        /* keys and sections */
        { "[daemon]\nrefresh = 5s\n",
          "@/main:2: [daemon] refresh: found an unknown key, expected one of refresh-min, refresh-max, "
          "source, "
          "cluster-domain, namespace, dns-servers, dns-transport, query-rate, max-stale, orphan-max, "
          "metrics-listen, allow-cidr, max-table-size, reverse, log-level, log-format, kubeconfig, api-server, zone, "
          "node\n" },
        { "[namespace a]\nanswes = all\norder = rotaet\n",
          "@/main:2: [namespace a] answes: found an unknown key, expected one of refresh-min, refresh-max, max-stale, "
          "port, answers, order, include, family, hosts, services; did you mean answers?\n"
          "@/main:3: [namespace a] order: found 'rotaet', expected rotate, random, sticky, zone or node; did you mean "
          "rotate?\n" },
        { "[daemon]\nsource\xc2\xa0= dns\n",
          "@/main:2: [daemon] source\\xc2\\xa0: found an unknown key, expected one of refresh-min, refresh-max, "
          "source, "
          "cluster-domain, namespace, dns-servers, dns-transport, query-rate, max-stale, orphan-max, "
          "metrics-listen, allow-cidr, max-table-size, reverse, log-level, log-format, kubeconfig, api-server, zone, "
          "node; did you "
          "mean source?\n" },
        { "[service a]\nselector = x\n",
          "@/main:2: [service a] selector: found an unknown key, expected one of source, refresh-min, "
          "refresh-max, "
          "max-stale, alias, port, answers, order, include, family, hosts, endpoints\n" },
        { "[pods a]\nselector = x\nsource = dns\n",
          "@/main:3: [pods a] source: found an unknown key, expected one of refresh-min, refresh-max, "
          "max-stale, "
          "alias, selector, go-micro, port, answers, order, include, family, hosts\n" },
        { "[namespace a]\nalias = x\n",
          "@/main:2: [namespace a] alias: found an unknown key, expected one of refresh-min, refresh-max, "
          "max-stale, port, answers, order, include, family, hosts, services\n" },
        { "[deamon]\nsource = dns\n",
          "@/main:1: [deamon]: found an unknown section, expected " EXPECTED_SECTIONS "; did you mean daemon?\n" },
        { "[default]\nsource = dns\n",
          "@/main:1: [default]: found an unknown section, expected " EXPECTED_SECTIONS "\n" },
        { "[Service a]\n",
          "@/main:1: [Service a]: found an unknown section, expected " EXPECTED_SECTIONS "; did you mean service?\n" },
        { "[services a]\n",
          "@/main:1: [services a]: found an unknown section, expected " EXPECTED_SECTIONS "; did you mean service?\n" },
        { "[daemon x]\n",
          "@/main:1: [daemon x]: found an unknown section, expected " EXPECTED_SECTIONS "; did you mean daemon?\n" },
        { "source = dns\nrefresh-max = 4s\n[daemon]\n",
          "@/main:1: source: found a key before any section, expected a [SECTION] above it\n"
          "@/main:2: refresh-max: found a key before any section, expected a [SECTION] above it\n" },
        { "[daemon]\nsource = dns\nsource = static\n",
          "@/main:3: [daemon] source: found a second value, expected one (the first is in line 2)\n" },
        { "[service a]\norder = rotate\n[service b]\n[service A.Default]\norder =\n",
          "@/main:5: [service A.Default] order: found a second value, expected one (the first is in line "
          "2)\n" },
        /* names */
        { "[service]\nport = 80\n", "@/main:1: [service]: found '', " NAMES },
        { "[service a_b]\n", "@/main:1: [service a_b]: found 'a_b', " NAMES },
        { "[service a b]\n", "@/main:1: [service a b]: found 'a b', " NAMES },
        { "[service a.b.c]\n", "@/main:1: [service a.b.c]: found 'a.b.c', " NAMES },
        { "[service a.]\n", "@/main:1: [service a.]: found 'a.', " NAMES },
        { "[service a.b.]\n", "@/main:1: [service a.b.]: found 'a.b.', " NAMES },
        { "[service a.b.svc.]\n", "@/main:1: [service a.b.svc.]: found 'a.b.svc.', expected a name in the "
                                  "cluster domain cluster.local\n" },
        { "[service -a.b]\n", "@/main:1: [service -a.b]: found '-a.b', " NAMES },
        { "[service\xc2\xa0"
          "a]\n",
          "@/main:1: [service\\xc2\\xa0a]: found an unknown section, expected " EXPECTED_SECTIONS "\n" },
        { "[service a\xc2\xa0]\n", "@/main:1: [service a\\xc2\\xa0]: found 'a\\xc2\\xa0', " NAMES },
        { "[service a:80]\n", "@/main:1: [service a:80]: found 'a:80', " NAMES },
        { "[service a.b.svc.other.example]\n",
          "@/main:1: [service a.b.svc.other.example]: found 'a.b.svc.other.example', expected a name in the "
          "cluster domain cluster.local\n" },
        { "[service a.b.svc.cluster.localx]\n", "@/main:1: [service a.b.svc.cluster.localx]: found "
                                                "'a.b.svc.cluster.localx', expected a name in the "
                                                "cluster domain cluster.local\n" },
        { "[service " L63 "d.b]\n", "@/main:1: [service abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijab]: found "
                                    "'abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij...', " NAMES },
        { "[namespace a.b]\n", "@/main:1: [namespace a.b]: found 'a.b', expected the name of a namespace\n" },
        { "[namespace]\n", "@/main:1: [namespace]: found '', expected the name of a namespace\n" },
        { "[pods a]\n", "@/main:1: [pods a] selector: found none, expected a label selector (app=worker,tier!=canary), "
                        "or go-micro\n" },
        { "[pods a]\nselector = x\n[service a.default]\n",
          "@/main:1: [pods a]: found a name that is registered as [service] (@/main:3), expected another\n" },
        { "[pods a]\nalias = b.internal\n[service b]\nalias = b.internal\n",
          "@/main:1: [pods a] selector: found none, expected a label selector (app=worker,tier!=canary), "
          "or go-micro\n" },
        /* warnings */
        { "[service 1.2]\n",
          "W @/main:1: [service 1.2]: found '1.2', which getaddrinfo() reads as an address, expected a name that "
          "programs can look up: only longer ones work, such as 1.2.svc.cluster.local\n" },
        { "[service 0x7f.1]\n[service 0x7f.1.svc]\n[service 8.x]\n[service x.8]\n[namespace 9]\n",
          "W @/main:1: [service 0x7f.1]: found '0x7f.1', which getaddrinfo() reads as an address, expected a name that "
          "programs can look up: only longer ones work, such as 0x7f.1.svc.cluster.local\n"
          "W @/main:3: [service 8.x]: found '8', which getaddrinfo() reads as an address, expected a name that "
          "programs can look up: only longer ones work, such as 8.x.svc.cluster.local\n" },
        { "[daemon]\nrefresh-min = 10s\n",
          "W @/main:2: [daemon] refresh-min: found 10s, expected at most refresh-max: lowered to 5s\n" },
        { "[service a]\nrefresh-max = 500ms\n",
          "W @/main:2: [service a] refresh-min: found 1s, expected at most refresh-max: lowered to 500ms\n" },
        { "[service a]\nrefresh-max = 3s\nrefresh-min = 4s\n",
          "W @/main:3: [service a] refresh-min: found 4s, expected at most refresh-max: lowered to 3s\n" },
};

Test(config_findings, findings_say_where_what_and_what_else)
{
        for (size_t i = 0; i < N(findings); i++) {
                put("main", "%s", findings[i].text);
                teardown();
                memset(&f, 0, sizeof(f));
                setup();
                put("main", "%s", findings[i].text);
                expect_said(findings[i].said);
        }
}

static const struct {
        const char *text;
        const char *said;
} syntax_errors[] = {
        { "[daemon]\ngarbage\n", "@/main:2: found 'garbage', expected KEY = VALUE or [SECTION]\n" },
        { "[daemon]\n= 3\n", "@/main:2: found '= 3', expected a key before the equal sign\n" },
        { "[daemon\n", "@/main:1: found '[daemon', expected [SECTION] alone on its line\n" },
        { "[daemon] # x\n", "@/main:1: found '[daemon] # x', expected [SECTION] alone on its line\n" },
        { "\n[]\n", "@/main:2: found '[]', expected a name between the brackets\n" },
        { "[daemon]\n\n  source = dns\n", "@/main:3: found '  source = dns', expected KEY = VALUE without an "
                                          "indent (an indented line continues the "
                                          "list above it)\n" },
        { "a\n[daemon]\nb\n\nsource = dns\nc\r\n[x\n", "@/main:1: found 'a', expected KEY = VALUE or [SECTION]\n"
                                                       "@/main:3: found 'b', expected KEY = VALUE or [SECTION]\n"
                                                       "@/main:6: found 'c', expected KEY = VALUE or [SECTION]\n"
                                                       "@/main:7: found '[x', expected [SECTION] alone on its line\n" },
        { "/* c */\n", "@/main:1: found '/* c */', expected KEY = VALUE or [SECTION]\n" },
        { "[daemon]\nsource = dns\n# caf\xe9\n", "@/main:3: found '# caf\\xe9', expected text in UTF-8\n" },
        { "[daemon]\nsource = \xc3", "@/main:2: found 'source = \\xc3', expected text in UTF-8\n" },
        { "\xff\xfe[\x01", "@/main:1: found text in UTF-16, expected text in UTF-8\n" },
};

Test(config_findings, syntax_errors_cost_the_file)
{
        for (size_t i = 0; i < N(syntax_errors); i++) {
                teardown();
                memset(&f, 0, sizeof(f));
                setup();
                put("etc/good.conf", "[service good]\n");
                put("main", "%s", syntax_errors[i].text);
                expect_said(syntax_errors[i].said);
                cr_expect_eq(f.config->n_services, 1);
        }
}

Test(config_findings, nul_bytes_are_refused_with_their_line)
{
        static const char text[] = "[daemon]\nsource = static\0x\n";

        put_bytes("main", text, sizeof(text) - 1);
        expect_said("@/main:2: found a NUL byte, expected text\n");
        cr_expect_eq(f.config->source, KHS_SOURCE_DNS);
}

Test(config_findings, empty_blank_and_odd_but_legal_files_are_clean)
{
        static const char *const texts[] = {
                "",
                "\n",
                "  \n\t\n",
                "# x\n; y\n",
                "\xef\xbb\xbf",
                "[daemon]",
                "[daemon]\n",
                "\xef\xbb\xbf[daemon]\n",
                "[daemon]\r\nsource = dns\r\n\r\n",
                "[ daemon ]\nsource=dns",
                "[daemon]\n[daemon]\nsource = dns\n",
                "[daemon]\nSource = dns\n",
                "[daemon]\n# caf\xc3\xa9\n",
                "[service   a]\n",
                "[daemon]\nzone =\n",
                "  # indented\n[daemon]\n\t; indented\n",
        };

        for (size_t i = 0; i < N(texts); i++) {
                put("main", "%s", texts[i]);
                expect_said("");
        }
}

Test(config_findings, only_the_bad_key_is_left_out)
{
        put("main", "[daemon]\nsource = nonsense\nrefresh-max = 9s\n[nonsense]\nx = y\n"
                    "[service a]\nport = 80 x/y\norder = sticky\n[service b.c.d]\nport = 80\n[service e]\nport = 1\n"
                    "port = 0\nport = 2\n");
        load();
        cr_expect_eq(f.n_errors, 5);
        cr_expect_eq(f.config->source, KHS_SOURCE_DNS);
        cr_expect_eq(f.config->refresh_max, 9 * SEC);
        cr_expect_eq(f.config->n_services, 2);
        cr_expect_eq(service("a.default")->n_ports, 0);
        cr_expect_eq(service("a.default")->order, KHS_ORDER_STICKY);
        cr_expect_eq(service("e.default")->n_ports, 2);
        cr_expect_eq(service("e.default")->ports[1].number, 2);
}

Test(config_findings, findings_are_limited_but_all_counted)
{
        char text[8192] = "[daemon]\n";

        for (int i = 0; i < 250; i++)
                strcat(text, "source = x\n");
        put("main", "%s", text);
        load();
        cr_expect_eq(f.n_errors, 250);
        cr_expect_eq(count_errors(f.said), CONFIG_FINDINGS_MAX + 1);
        cr_expect_not_null(strstr(f.said, "@/main: found 150 more errors\n"));
}

/* --- what is read --- */

Test(config_findings, only_regular_files_are_read_and_nothing_blocks)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/fifo.conf", f.conf_dir);
        cr_assert_eq(mkfifo(path, 0644), 0);
        snprintf(path, sizeof(path), "%s/dir.conf", f.conf_dir);
        cr_assert_eq(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/link.conf", f.conf_dir);
        cr_assert_eq(symlink("/nowhere/at/all", path), 0);
        snprintf(path, sizeof(path), "%s/null.conf", f.conf_dir);
        cr_assert_eq(symlink("/dev/null", path), 0);
        snprintf(path, sizeof(path), "%s/loop.conf", f.conf_dir);
        cr_assert_eq(symlink("loop.conf", path), 0);
        expect_said("@/etc/link.conf: found a link to nowhere, expected a file\n"
                    "@/etc/dir.conf: found a directory, expected a regular file\n"
                    "@/etc/fifo.conf: found a device, pipe or socket, expected a regular file\n"
                    "@/etc/loop.conf: found Too many levels of symbolic links, expected a readable file\n"
                    "@/etc/null.conf: found a device, pipe or socket, expected a regular file\n");
}

Test(config_findings, links_to_files_are_followed)
{
        char path[160];

        put("target", "[service a]\n");
        snprintf(path, sizeof(path), "%s/link.conf", f.conf_dir);
        cr_assert_eq(symlink("../target", path), 0);
        expect_said("");
        service("a.default");
}

Test(config_findings, only_conf_files_that_are_not_hidden)
{
        put("etc/a.conf", "[service a]\n");
        put("etc/.b.conf", "[service b]\n");
        put("etc/c.conf~", "[service c]\n");
        put("etc/d.conf.dpkg-new", "[service d]\n");
        put("etc/e", "[service e]\n");
        put("etc/.conf", "[service f]\n");
        expect_said("");
        cr_expect_eq(f.config->n_services, 1);
}

Test(config_findings, a_file_that_is_too_large_is_refused)
{
        char path[160];

        put("main", "[daemon]\n");
        cr_assert_eq(truncate(f.main_file, (16 << 20) + 1), 0);
        snprintf(path, sizeof(path), "%s", f.main_file);
        expect_said("@/main: found a file that is too large, expected at most 16 MiB\n");
}

Test(config_findings, a_directory_that_is_none)
{
        f.origin.conf_dir = f.main_file;
        put("main", "[service a]\n");
        expect_said("@/main: found Not a directory, expected a readable directory\n");
        service("a.default");
}

Test(config_findings, the_file_of_config_must_exist)
{
        f.origin.main_file_given = true;
        load();
        cr_expect_eq(f.r, -ENOENT);
        cr_expect_null(f.config);
        cr_expect_str_eq(f.said, "@/main: found No such file or directory, expected a readable file\n");

        cr_assert_eq(mkdir(f.main_file, 0755), 0);
        load();
        cr_expect_eq(f.r, -EISDIR);
        cr_expect_str_eq(f.said, "@/main: found a directory, expected a regular file\n");

        cr_assert_eq(rmdir(f.main_file), 0);
        put("main", "[service a]\n");
        expect_said("");
        drop("main");
        expect_said("@/main: found No such file or directory, expected a readable file\n");
        service("a.default");
}

/* --- size --- */

static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Generous: a sanitizer or valgrind runs this, too. Quadratic behaviour takes minutes. */
#define SLOW 40.0

Test(config_findings, a_hundred_thousand_services_in_linear_time)
{
        FILE *file = fopen(f.main_file, "w");
        double start;

        for (int i = 0; i < 100001; i++)
                fprintf(file, "[service s%d.ns%d]\nport = %d\nalias = a%d.example\n", i, i % 100, i % 60000 + 1, i);
        fclose(file);
        start = now();
        expect_said("@/main:300001: [service s100000.ns0]: found one section too many, expected at most "
                    "100000\n");
        cr_expect_lt(now() - start, SLOW);
        cr_assert_eq(f.config->n_services, 100000);
        cr_expect_str_eq(service("s77777.ns77")->aliases[0], "a77777.example");
        cr_expect_eq(service("s77777.ns77")->ports[0].number, 17778);
        start = now();
        load();
        cr_expect_lt(now() - start, SLOW);
}

Test(config_findings, lines_of_every_kind_in_linear_time)
{
        static const struct {
                const char *before, *behind; /* the number of the line */
                int n;
        } lines[] = {
                { "key", " = 1\n", 200000 }, { "port=", "\n", 200000 },
                { "# ", "\n", 200000 },      { "garbage ", "\n", 200000 },
                { "=", "\n", 200000 },       { "[x", "]\n", 200000 },
                { "[", "\n", 200000 },       { "source\xc2\xa0=", "\n", 200000 },
                { "  ", "\n", 200000 },      { "  # ", "\n", 200000 },
        };
        double start;

        for (size_t i = 0; i < N(lines); i++) {
                FILE *file = fopen(f.main_file, "w");

                fprintf(file, "[service a]\nport = 1\n");
                for (int j = 0; j < lines[i].n; j++)
                        fprintf(file, "%s%d%s", lines[i].before, j, lines[i].behind);
                fclose(file);
                start = now();
                load();
                cr_expect_eq(f.r, 0);
                cr_expect_lt(now() - start, SLOW, "%s: %.1f s", lines[i].before, now() - start);
                cr_log_info("%s: %.2f s, %zu errors", lines[i].before, now() - start, f.n_errors);
        }
}
