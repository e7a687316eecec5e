/*
 * The configuration as the daemon sees it: keys, defaults, merging, targets, the namespace, aliases.
 */

#include "config-fixture.h"

TestSuite(config, .init = setup, .fini = teardown, .timeout = 120);

/* --- defaults and keys --- */

Test(config, nothing_at_all_is_clean_and_has_the_defaults)
{
        expect_said("");
        cr_expect_eq(f.config->source, KHS_SOURCE_DNS);
        cr_expect_str_eq(f.config->cluster_domain, "cluster.local");
        cr_expect_str_eq(f.config->namespace, "default");
        cr_expect_not(f.config->namespace_explicit);
        cr_expect_eq(f.config->n_dns_servers, 0);
        cr_expect_eq(f.config->dns_transport, CONFIG_TRANSPORT_TCP);
        cr_expect_eq(f.config->refresh_min, SEC);
        cr_expect_eq(f.config->refresh_max, 5 * SEC);
        cr_expect_eq(f.config->query_rate, 200);
        cr_expect_eq(f.config->max_stale, 3600 * SEC);
        cr_expect_eq(f.config->orphan_max, 30 * SEC);
        cr_expect_null(f.config->metrics_listen);
        cr_expect_eq(f.config->n_allow_cidr, 0);
        cr_expect_eq(f.config->max_table_size, UINT64_C(256) << 20);
        cr_expect_not(f.config->reverse);
        cr_expect_eq(f.config->log_level, LOG_INFO);
        cr_expect_null(f.config->kubeconfig);
        cr_expect_null(f.config->api_server);
        cr_expect_null(f.config->zone);
        cr_expect_null(f.config->node);
        cr_expect_eq(f.config->n_services + f.config->n_pods + f.config->n_namespaces, 0);
        cr_expect_null(config_find(f.config, "a.b"));
}

Test(config, every_key_of_daemon)
{
        put("main",
            "[daemon]\nsource = kubernetes\ncluster-domain = K8s.Example.\nnamespace = Shop\n"
            "dns-servers = 10.96.0.10 10.96.0.11:5353\n  [fd00::a]:54\n\tfd00::b\n"
            "dns-transport = udp\nrefresh-min = 50ms\nrefresh-max = 1h\nquery-rate = 100000\n"
            "max-stale = 7d\norphan-max = 11s\nmetrics-listen = 127.0.0.1:9768\n"
            "allow-cidr = 10.0.0.0/8 fd00::/8\nmax-table-size = 8G\nreverse = yes\nlog-level = debug\n"
            "kubeconfig = /etc/kube\napi-server = https://10.96.0.1:443\nzone = eu-West-1a\nnode = Worker-1.example\n");
        expect_said("");
        cr_expect_eq(f.config->source, KHS_SOURCE_KUBERNETES);
        cr_expect_str_eq(f.config->cluster_domain, "k8s.example");
        cr_expect_str_eq(f.config->namespace, "shop");
        cr_expect(f.config->namespace_explicit);
        cr_assert_eq(f.config->n_dns_servers, 4);
        cr_expect_eq(f.config->dns_servers[0].port, 53);
        cr_expect_eq(f.config->dns_servers[1].port, 5353);
        cr_expect_eq(f.config->dns_servers[2].port, 54);
        cr_expect_eq(f.config->dns_servers[3].port, 53);
        cr_expect_eq(f.config->dns_servers[3].bytes[15], 0xb);
        cr_expect_eq(f.config->dns_transport, CONFIG_TRANSPORT_UDP);
        cr_expect_eq(f.config->refresh_min, SEC / 20);
        cr_expect_eq(f.config->refresh_max, 3600 * SEC);
        cr_expect_eq(f.config->query_rate, 100000);
        cr_expect_eq(f.config->max_stale, 7 * 86400 * SEC);
        cr_expect_eq(f.config->orphan_max, 11 * SEC);
        cr_expect_str_eq(f.config->metrics_listen, "127.0.0.1:9768");
        cr_assert_eq(f.config->n_allow_cidr, 2);
        cr_expect_eq(f.config->allow_cidr[1].prefix, 8);
        cr_expect_eq(f.config->max_table_size, UINT64_C(8) << 30);
        cr_expect(f.config->reverse);
        cr_expect_eq(f.config->log_level, LOG_DEBUG);
        cr_expect_str_eq(f.config->kubeconfig, "/etc/kube");
        cr_expect_str_eq(f.config->api_server, "https://10.96.0.1:443");
        cr_expect_str_eq(f.config->zone, "eu-West-1a");
        cr_expect_str_eq(f.config->node, "worker-1.example");
}

Test(config, every_key_of_service)
{
        const struct config_service *s;

        put("main", "[service User-Svc.Default]\nport = 8080 GRPC\n  dns/udp 3000+\nanswers = single\n"
                    "order = zone\ninclude = serving\nalias = User users.internal\nfamily = ipv6\nhosts = yes\n"
                    "endpoints = 10.0.0.1 [fd00::1]:80\nsource = static\nrefresh-min = 2s\nrefresh-max = 3s\n"
                    "max-stale = 1m\n[service b]\nanswers = all\norder = node\n[service c]\nanswers = 5000\n");
        expect_said("");
        s = service("user-svc.default");
        cr_expect_str_eq(s->name, "user-svc");
        cr_expect_str_eq(s->namespace, "default");
        cr_expect_null(s->selector);
        cr_assert_eq(s->n_ports, 4);
        cr_expect_eq(s->ports[0].number, 8080);
        cr_expect_str_eq(s->ports[1].name, "grpc");
        cr_expect(s->ports[2].udp);
        cr_expect_eq(s->ports[3].kind, KHS_PORT_BASE);
        cr_expect_eq(s->answers, 1);
        cr_expect_eq(s->order, KHS_ORDER_ZONE);
        cr_expect_eq(s->include, CONFIG_INCLUDE_SERVING);
        cr_assert_eq(s->n_aliases, 2);
        cr_expect_str_eq(s->aliases[0], "user");
        cr_expect_str_eq(s->aliases[1], "users.internal");
        cr_expect_eq(s->family, KHS_FAMILY_IPV6);
        cr_expect_eq(s->hosts, CONFIG_HOSTS_YES);
        cr_assert_eq(s->n_endpoints, 2);
        cr_expect_eq(s->endpoints[0].port, 0);
        cr_expect_eq(s->endpoints[1].port, 80);
        cr_expect_eq(s->source, KHS_SOURCE_STATIC);
        cr_expect_eq(s->refresh_min, 2 * SEC);
        cr_expect_eq(s->refresh_max, 3 * SEC);
        cr_expect_eq(s->max_stale, 60 * SEC);
        cr_expect_eq(service("b.default")->answers, KHS_ANSWERS_ALL);
        cr_expect_eq(service("b.default")->order, KHS_ORDER_NODE);
        cr_expect_eq(service("c.default")->answers, 5000);
}

Test(config, service_defaults_come_from_daemon)
{
        const struct config_service *s;
        char origin[160];

        put("main", "[service a]\n[daemon]\nsource = static\nrefresh-min = 2s\nrefresh-max = 4s\nmax-stale = 2h\n");
        expect_said("");
        s = service("a.default");
        snprintf(origin, sizeof(origin), "%s:1", f.main_file);
        cr_expect_str_eq(s->origin, origin);
        cr_expect_eq(s->source, KHS_SOURCE_STATIC);
        cr_expect_eq(s->refresh_min, 2 * SEC);
        cr_expect_eq(s->refresh_max, 4 * SEC);
        cr_expect_eq(s->max_stale, 7200 * SEC);
        cr_expect_eq(s->answers, KHS_ANSWERS_AUTO);
        cr_expect_eq(s->n_ports + s->n_aliases + s->n_endpoints, 0);
}

Test(config, pods_and_namespaces)
{
        put("main", "[daemon]\nsource = static\n[pods worker.default]\nselector = app=worker,tier!=canary\n"
                    "port = 80\nalias = workers\n[namespace Shop]\nservices = headless\norder = sticky\n"
                    "[namespace other]\n");
        expect_said("");
        cr_assert_eq(f.config->n_services, 0);
        cr_assert_eq(f.config->n_pods, 1);
        cr_expect_str_eq(f.config->pods[0].key, "worker.default");
        cr_expect_str_eq(f.config->pods[0].selector, "app=worker,tier!=canary");
        cr_expect_eq(f.config->pods[0].source, KHS_SOURCE_KUBERNETES);
        cr_expect_eq(f.config->pods[0].n_aliases, 1);
        cr_assert_eq(f.config->n_namespaces, 2);
        cr_expect_null(f.config->namespaces[1].name);
        cr_expect_str_eq(f.config->namespaces[1].namespace, "shop");
        cr_expect_eq(f.config->namespaces[1].order, KHS_ORDER_STICKY);
        cr_expect_eq(f.config->namespaces[0].source, KHS_SOURCE_KUBERNETES);
}

Test(config, go_micro_finds_its_pods_by_its_own_label)
{
        put("main", "[pods user.default]\ngo-micro = go.micro.srv.User\nalias = go.micro.srv.user\n"
                    "[pods other.default]\ngo-micro = other\nselector = app=other\n"
                    "[pods plain.default]\ngo-micro =\nselector = app=plain\n");
        expect_said("");
        cr_assert_eq(f.config->n_pods, 3);
        cr_expect_str_eq(f.config->pods[0].selector, "app=other");
        cr_expect_str_eq(f.config->pods[0].go_micro, "other");
        cr_expect_null(f.config->pods[1].go_micro);
        cr_expect_str_eq(f.config->pods[2].selector, "micro.mu/selector-go.micro.srv.User=service");
        cr_expect_str_eq(f.config->pods[2].go_micro, "go.micro.srv.User");
        cr_expect_str_eq(f.config->pods[2].aliases[0], "go.micro.srv.user");
}

/* --- merging --- */

Test(config, later_files_replace_keys)
{
        put("main", "[daemon]\nrefresh-max = 2s\nquery-rate = 1\nmax-stale = 2s\ndns-servers = 10.0.0.1\n"
                    "[service a]\nport = 1 2\norder = sticky\n");
        put("etc/10.conf", "[daemon]\nrefresh-max = 3s\nquery-rate = 2\n[service a]\nport = 3\nport = 4\n");
        put("etc/9.conf", "[daemon]\nmax-stale = 3s\nrefresh-max = 4s\n");
        put("etc/B.conf", "[daemon]\norphan-max = 12s\n");
        put("etc/a.conf", "[daemon]\norphan-max = 13s\n");
        put("run/0.conf", "[daemon]\nquery-rate = 3\ndns-servers = 10.0.0.2\n  10.0.0.3\n");
        expect_said("");
        cr_expect_eq(f.config->refresh_max, 4 * SEC);
        cr_expect_eq(f.config->query_rate, 3);
        cr_expect_eq(f.config->max_stale, 3 * SEC);
        cr_expect_eq(f.config->orphan_max, 13 * SEC);
        cr_assert_eq(f.config->n_dns_servers, 2);
        cr_expect_eq(f.config->dns_servers[0].bytes[3], 2);
        cr_assert_eq(service("a.default")->n_ports, 2);
        cr_expect_eq(service("a.default")->ports[0].number, 3);
        cr_expect_eq(service("a.default")->order, KHS_ORDER_STICKY);
}

Test(config, a_bad_value_leaves_the_lower_one)
{
        put("main", "[daemon]\nrefresh-max = 2s\n[service a]\nport = 1\n");
        put("etc/a.conf", "[daemon]\nrefresh-max = 2\n[service a]\nport = 0\n");
        load();
        cr_expect_eq(f.n_errors, 2);
        cr_expect_eq(f.config->refresh_max, 2 * SEC);
        cr_expect_eq(service("a.default")->n_ports, 1);
}

Test(config, an_empty_value_restores_the_inherited_one)
{
        put("main", "[daemon]\nrefresh-max = 2s\nmetrics-listen = 127.0.0.1:1\ndns-servers = 10.0.0.1\n"
                    "cluster-domain = x\n"
                    "[service a]\nport = 1\norder = sticky\nrefresh-max = 3s\nsource = static\nalias = b\n"
                    "endpoints = 10.0.0.1\n");
        put("etc/a.conf", "[daemon]\nmetrics-listen =\ndns-servers =\ncluster-domain = \n"
                          "[service a]\nport =\norder =\nrefresh-max =\nsource =\nalias =\nendpoints "
                          "=\nendpoints = ::1\n");
        expect_said("");
        cr_expect_null(f.config->metrics_listen);
        cr_expect_eq(f.config->n_dns_servers, 0);
        cr_expect_str_eq(f.config->cluster_domain, "cluster.local");
        cr_expect_eq(service("a.default")->n_ports, 0);
        cr_expect_eq(service("a.default")->n_aliases, 0);
        cr_expect_eq(service("a.default")->order, KHS_ORDER_ROTATE);
        cr_expect_eq(service("a.default")->refresh_max, 2 * SEC);
        cr_expect_eq(service("a.default")->source, KHS_SOURCE_DNS);
        cr_assert_eq(service("a.default")->n_endpoints, 1);
        cr_expect_eq(service("a.default")->endpoints[0].family, AF_INET6);
}

Test(config, titles_that_are_equal_after_completion_are_one_section)
{
        put("main", "[service a]\nport = 1\n[service A.shop]\nport = 2\n[service a.shop.svc]\nport = 3\n"
                    "[service a.shop.SVC.k8s.example.]\nport = 4\n[service a.default]\nport = 9\n");
        put("run/z.conf", "[daemon]\nnamespace = shop\ncluster-domain = k8s.example\n");
        expect_said("");
        cr_expect_eq(f.config->n_services, 2);
        cr_expect_eq(service("a.shop")->n_ports, 4);
        cr_expect_eq(service("a.default")->n_ports, 1);
}

Test(config, services_are_sorted_and_found)
{
        put("main", "[service c]\n[service a]\n[service b-a.b]\n[service b]\n[service b.a-b]\n");
        expect_said("");
        cr_assert_eq(f.config->n_services, 5);
        for (size_t i = 0; i + 1 < f.config->n_services; i++)
                cr_expect_lt(strcmp(f.config->services[i].key, f.config->services[i + 1].key), 0);
        for (size_t i = 0; i < f.config->n_services; i++)
                cr_expect_eq(config_find(f.config, f.config->services[i].key), &f.config->services[i]);
        cr_expect_null(config_find(f.config, "a"));
        cr_expect_null(config_find(f.config, "z.default"));
}

Test(config, refresh_min_is_lowered_after_merging)
{
        put("main", "[daemon]\nrefresh-min = 3s\n[service a]\n[service b]\nrefresh-min = 4s\n");
        put("etc/a.conf", "[daemon]\nrefresh-max = 2s\n");
        expect_said("W @/main:2: [daemon] refresh-min: found 3s, expected at most refresh-max: lowered to 2s\n"
                    "W @/main:5: [service b] refresh-min: found 4s, expected at most refresh-max: lowered to "
                    "2s\n");
        cr_expect_eq(f.config->refresh_min, 2 * SEC);
        cr_expect_eq(service("a.default")->refresh_min, 2 * SEC);
        cr_expect_eq(service("b.default")->refresh_min, 2 * SEC);
}

Test(config, limits_of_lists)
{
        FILE *file = fopen(f.main_file, "w");

        fprintf(file, "[service a]\nendpoints =\n");
        for (int i = 0; i < 5000; i++)
                fprintf(file, "  10.0.%d.%d\n", i / 250, i % 250);
        fprintf(file, "[service b]\nendpoints = 10.0.0.1\nendpoints =\n");
        for (int i = 0; i < 5001; i++)
                fprintf(file, "  10.0.%d.%d\n", i / 250, i % 250);
        fprintf(file, "[service c]\n");
        for (int i = 0; i < 101; i++)
                fprintf(file, "port = %d\n", i + 1);
        fclose(file);
        expect_said("@/main:5005: [service b] endpoints: found too many, expected at most 5000\n"
                    "@/main:10108: [service c] port: found too many, expected at most 100\n");
        cr_expect_eq(service("a.default")->n_endpoints, 5000);
        cr_expect_eq(service("b.default")->n_endpoints, 1);
        cr_expect_eq(service("c.default")->n_ports, 100);
}

Test(config, a_full_name_has_at_most_253_bytes)
{
        char domain[200];

        /* S.N.svc.D: 63 + 1 + 63 + 5 + n */
        memset(domain, 'd', sizeof(domain));
        domain[60] = '.';
        domain[121] = '\0';
        put("main", "[daemon]\ncluster-domain = %s\n[service " L63 "." L63 "]\n", domain);
        expect_said("");
        domain[121] = 'd';
        domain[122] = '\0';
        put("main", "[daemon]\ncluster-domain = %s\n[service " L63 "." L63 "]\n", domain);
        teardown();
        memset(&f, 0, sizeof(f));
        setup();
        put("main", "[daemon]\ncluster-domain = %s\n[service " L63 "." L63 "]\n", domain);
        load();
        cr_expect_eq(f.n_errors, 1);
        cr_expect_not_null(strstr(f.said, "expected at most 253 bytes with .svc.ddd"), "%s", f.said);
}

/* --- targets --- */

Test(config, targets_register_services)
{
        static const char *const services[] = { "a:80", "b.shop", "kubernetes://shop/c:grpc", "A.default:81",
                                                "kubernetes:///d.shop:3000+" };

        put("main", "[service a]\nport = 1 2\norder = sticky\n[service b.shop]\nport = 3\n");
        f.origin.services = services;
        f.origin.n_services = N(services);
        f.origin.env_services = " a:70\tc.shop:70 \n e.shop.svc.cluster.local:dns/udp ";
        expect_said("");
        cr_expect_eq(f.config->n_services, 5);
        cr_assert_eq(service("a.default")->n_ports, 2);
        cr_expect_eq(service("a.default")->ports[0].number, 80);
        cr_expect_eq(service("a.default")->ports[1].number, 81);
        cr_expect_eq(service("a.default")->order, KHS_ORDER_STICKY);
        cr_expect_eq(service("b.shop")->ports[0].number, 3);
        cr_expect_str_eq(service("c.shop")->ports[0].name, "grpc");
        cr_expect_str_eq(service("c.shop")->origin, "K8SHSVC_SERVICES");
        cr_expect_str_eq(service("d.shop")->origin, "--service");
        cr_expect_eq(service("d.shop")->ports[0].kind, KHS_PORT_BASE);
        cr_expect(service("e.shop")->ports[0].udp);
}

Test(config, bad_targets_are_fatal_at_the_start)
{
        static const struct {
                const char *target;
                const char *said;
        } cases[] = {
                { "a:b:c", "found 'a:b:c', expected NAME[.NAMESPACE][:PORT]\n" },
                { "a:0", "found 'a:0', expected NAME[.NAMESPACE][:PORT]\n" },
                { "kubernetes://x/a.b", "found 'kubernetes://x/a.b', expected NAME[.NAMESPACE][:PORT]\n" },
                { "a.b.c", "[service a.b.c]: found 'a.b.c', " NAMES },
                { "a.b.svc.x", "[service a.b.svc.x]: found 'a.b.svc.x', expected a name in the cluster domain "
                               "cluster.local\n" },
                { "a_b", "[service a_b]: found 'a_b', " NAMES },
        };
        char expected[256];

        put("main", "[service good]\n");
        for (size_t i = 0; i < N(cases); i++) {
                f.origin.services = &cases[i].target;
                f.origin.n_services = 1;
                f.origin.env_services = NULL;
                load();
                snprintf(expected, sizeof(expected), "--service: %s", cases[i].said);
                cr_expect_eq(f.r, -EINVAL, "%s", cases[i].target);
                cr_expect_null(f.config);
                cr_expect_str_eq(f.said, expected, "%s", f.said);

                f.origin.n_services = 0;
                f.origin.env_services = cases[i].target;
                load();
                snprintf(expected, sizeof(expected), "K8SHSVC_SERVICES: %s", cases[i].said);
                cr_expect_eq(f.r, -EINVAL);
                cr_expect_str_eq(f.said, expected, "%s", f.said);
        }
}

Test(config, a_target_that_goes_bad_later_is_no_reason_to_stop)
{
        static const char *const services[] = { "a.b.svc.cluster.local" };

        f.origin.services = services;
        f.origin.n_services = 1;
        expect_said("");
        put("etc/a.conf", "[daemon]\ncluster-domain = x.y\n[service c]\n");
        expect_said("--service: [service a.b.svc.cluster.local]: found 'a.b.svc.cluster.local', expected a "
                    "name in "
                    "the cluster domain x.y\n");
        cr_expect_eq(f.config->n_services, 1);
}

/* --- namespace --- */

Test(config, namespace_auto)
{
        static const struct {
                const char *account; /* NULL: no such file */
                const char *resolv;
                const char *namespace;
        } cases[] = {
                { NULL, NULL, "default" },
                { "shop\n", "search other.svc.cluster.local\n", "shop" },
                { "", "search other.svc.cluster.local\n", "other" },
                { "not a label!\n", "search other.svc.cluster.local\n", "not" },
                { "_x", NULL, "default" },
                { NULL, "nameserver 10.0.0.1\nsearch Other.svc.Cluster.Local svc.cluster.local cluster.local\n",
                  "other" },
                { NULL, "search svc.cluster.local x.example b.svc.cluster.local. c.svc.cluster.local\n", "b" },
                { NULL, "search a.svc.cluster.local\nsearch b.svc.cluster.local\n", "b" },
                { NULL, "search a.svc.cluster.local\ndomain x.example\n", "default" },
                { NULL, "domain a.svc.cluster.local", "a" },
                { NULL, "search\ta.svc.cluster.local", "a" },
                { NULL, "search a.svc.other.local a.b.svc.cluster.local svc.cluster.local\n", "default" },
                { NULL, "# search a.svc.cluster.local\nsearchx a.svc.cluster.local\n", "default" },
                { NULL, "search \n", "default" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                unlink(f.account);
                unlink(f.resolv_conf);
                if (cases[i].account)
                        put("namespace", "%s", cases[i].account);
                if (cases[i].resolv)
                        put("resolv.conf", "%s", cases[i].resolv);
                expect_said("");
                cr_expect_str_eq(f.config->namespace, cases[i].namespace, "%zu: %s", i, f.config->namespace);
                cr_expect_not(f.config->namespace_explicit);
        }
}

Test(config, namespace_given)
{
        put("namespace", "shop");
        put("main", "[daemon]\nnamespace = own\n[service a]\n");
        expect_said("");
        cr_expect_str_eq(f.config->namespace, "own");
        cr_expect(f.config->namespace_explicit);
        service("a.own");
        put("etc/a.conf", "[daemon]\nnamespace = auto\n");
        expect_said("");
        cr_expect_str_eq(f.config->namespace, "shop");
        cr_expect_not(f.config->namespace_explicit);
        service("a.shop");
}

/* --- aliases --- */

Test(config, aliases_that_belong_to_somebody_else)
{
        put("main", "[service a]\nalias = ok b.svc.cluster.local\n  cluster.local x.cluster.local\n"
                    "alias = x.svc y.z.svc svc localhost x.localhost\n"
                    "alias = B.default c.default d.other ok taken.svc.cluster.localx\n  xsvc xcluster.local "
                    "xlocalhost\n"
                    "[service b]\nalias = OK fine\n[pods c]\nselector = x\nalias = fine\n");
        expect_said("@/main:2: [service a] alias: found 'b.svc.cluster.local', expected a name outside the "
                    "cluster "
                    "domain cluster.local\n"
                    "@/main:2: [service a] alias: found 'cluster.local', expected a name outside the cluster "
                    "domain "
                    "cluster.local\n"
                    "@/main:2: [service a] alias: found 'x.cluster.local', expected a name outside the cluster "
                    "domain "
                    "cluster.local\n"
                    "@/main:4: [service a] alias: found 'x.svc', expected a name that does not end in .svc\n"
                    "@/main:4: [service a] alias: found 'y.z.svc', expected a name that does not end in .svc\n"
                    "@/main:4: [service a] alias: found 'svc', expected a name that does not end in .svc\n"
                    "@/main:4: [service a] alias: found 'localhost', expected a name other than localhost\n"
                    "@/main:4: [service a] alias: found 'x.localhost', expected a name other than localhost\n"
                    "@/main:5: [service a] alias: found 'b.default', expected a name other than that of a "
                    "registered "
                    "service\n"
                    "@/main:5: [service a] alias: found 'c.default', expected a name other than that of a "
                    "registered "
                    "service\n"
                    "@/main:5: [service a] alias: found 'ok', expected each alias once\n"
                    "@/main:8: [service b] alias: found 'ok', expected an alias that is not taken already by "
                    "a.default\n"
                    "@/main:11: [pods c] alias: found 'fine', expected an alias that is not taken already by "
                    "b.default\n");
        cr_assert_eq(service("a.default")->n_aliases, 6);
        cr_expect_str_eq(service("a.default")->aliases[0], "ok");
        cr_expect_str_eq(service("a.default")->aliases[1], "d.other");
        cr_expect_str_eq(service("a.default")->aliases[2], "taken.svc.cluster.localx");
        cr_expect_eq(service("b.default")->n_aliases, 1);
        cr_expect_eq(f.config->pods[0].n_aliases, 0);
}

Test(config, the_first_claim_is_that_of_the_lower_file)
{
        put("main", "[service a]\n[service b]\nalias = x\n");
        put("etc/a.conf", "[service a]\nalias = x\n");
        expect_said("@/etc/a.conf:2: [service a] alias: found 'x', expected an alias that is not taken "
                    "already by "
                    "b.default\n");
        cr_expect_eq(service("b.default")->n_aliases, 1);
        cr_expect_eq(service("a.default")->n_aliases, 0);
}

Test(config, an_alias_that_was_replaced_is_free)
{
        put("main", "[service a]\nalias = x\n[service b]\nalias = x\n");
        put("etc/a.conf", "[service a]\nalias = y\n");
        expect_said("");
        cr_expect_str_eq(service("a.default")->aliases[0], "y");
        cr_expect_str_eq(service("b.default")->aliases[0], "x");
}
