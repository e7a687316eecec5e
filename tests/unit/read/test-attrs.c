/* Attributes: what is put into a record about its endpoints comes out again, and nothing else. */

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "read/attrs.h"
#include "table-fixture.h"

#define MAX_ROWS 10000

static struct khs_row_endpoint endpoints[MAX_ROWS];
static char hosts[MAX_ROWS][256], nodes[MAX_ROWS][256];

/* One service with attributes, published, and opened as a reader does. */
struct scene {
        struct fixture f;
        struct khs_table_file file;
        struct khs_found found;
        struct khs_attrs_at attrs;
};

/* The table's words, to be spoilt. */
static uint32_t *map_writable(const struct scene *s)
{
        int fd = openat(s->f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        uint32_t *words;

        cr_assert_geq(fd, 0);
        words = mmap(NULL, (size_t)s->file.view.n_words * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(words, MAP_FAILED);
        (void)close(fd);
        return words;
}

static void put(struct scene *s, struct khs_row *row)
{
        static uint32_t version;

        row->version = ++version;
        row->flags |= KHS_REC_HOSTS_COMPLETE;
        cr_assert_eq(khs_writer_put(s->f.writer, row, fixture_now()), 0);
}

static int look(struct scene *s, const char *key)
{
        cr_assert_eq(khs_view_find(&s->file.view, key, strlen(key), &s->found), 0);
        return khs_attrs_open(&s->file.view, &s->found, &s->attrs);
}

static void scene_init(struct scene *s, struct khs_row *row)
{
        fixture_init(&s->f, NULL);
        put(s, row);
        cr_assert_eq(khs_writer_publish(s->f.writer), 0);
        fixture_open(&s->f, &s->file);
}

static void scene_deinit(struct scene *s)
{
        khs_table_close(&s->file);
        fixture_deinit(&s->f);
}

static const char *text(const struct scene *s, uint32_t offset)
{
        static char ret[256];

        cr_expect_eq(khs_attrs_string(&s->file.view, &s->attrs, offset, ret), strlen(ret));
        return ret;
}

/* What is read of a row is what was put there. */
static void check_row(const struct scene *s, uint32_t i, const struct khs_row_endpoint *wanted)
{
        struct khs_attr_row row;
        char name[256];

        khs_attrs_row(&s->file.view, &s->attrs, i, &row);
        cr_expect_str_eq(text(s, row.host), wanted->host ? wanted->host : "", "row %u", i);
        (void)khs_attrs_node(&s->file.view, &s->attrs, row.node, name);
        cr_expect_str_eq(name, wanted->node ? wanted->node : "", "row %u", i);
        (void)khs_attrs_zone(&s->file.view, &s->attrs, row.zone, name);
        cr_expect_str_eq(name, wanted->zone ? wanted->zone : "", "row %u", i);
        cr_expect_eq(khs_attr_flags(&row), wanted->flags);
        cr_expect_eq(khs_attr_ordinal(&row), wanted->ordinal);
        for (uint32_t p = 0; p < wanted->n_ports; p++) {
                const struct khs_row_port *port = &wanted->ports[p];

                cr_expect_eq(khs_attrs_port(&s->file.view, &s->attrs, &row, port->name ? port->name : "",
                                            port->name ? strlen(port->name) : 0, port->protocol),
                             port->number, "row %u, port %u", i, p);
        }
        cr_expect_eq(khs_attrs_port(&s->file.view, &s->attrs, &row, NULL, 0, 0),
                     wanted->n_ports ? wanted->ports[0].number : 0);
        cr_expect_eq(khs_attrs_port(&s->file.view, &s->attrs, &row, "nothing", 7, IPPROTO_TCP), 0);
}

static uint32_t n_rows(const struct khs_row *row)
{
        return row->n4 + row->n6 + row->n_shared;
}

static uint32_t address_of(const struct khs_row *row, uint32_t i)
{
        return i < row->n4 + row->n6 ? i : row->shared[i - row->n4 - row->n6];
}

/* Every host is found with exactly its rows, in the order of their addresses: IPv4 ones first. */
static void check_hosts(const struct scene *s, const struct khs_row *row)
{
        for (uint32_t i = 0; i < n_rows(row); i++) {
                const char *host = row->endpoints[i].host;
                uint32_t first = 0, n, n_wanted = 0, last = 0, last_address = 0;

                if (!host)
                        continue;
                cr_expect_eq(khs_attrs_address(&s->file.view, &s->attrs, i), address_of(row, i));
                for (uint32_t j = 0; j < n_rows(row); j++)
                        n_wanted += row->endpoints[j].host && strcmp(row->endpoints[j].host, host) == 0;
                n = khs_attrs_find_host(&s->file.view, &s->attrs, host, strlen(host), &first);
                cr_assert_eq(n, n_wanted, "%s: %u instead of %u", host, n, n_wanted);
                for (uint32_t j = 0; j < n; j++) {
                        uint32_t number = khs_attrs_by_host(&s->file.view, &s->attrs, first + j);

                        cr_assert_lt(number, n_rows(row));
                        cr_expect_str_eq(row->endpoints[number].host, host);
                        cr_expect(j == 0 || address_of(row, number) > last_address ||
                                  (address_of(row, number) == last_address && number > last));
                        last = number;
                        last_address = address_of(row, number);
                }
        }
}

static const struct khs_row_port web_ports[] = {
        { "grpc", 50051, IPPROTO_TCP },
        { "dns", 53, IPPROTO_UDP },
        { "dns", 54, IPPROTO_TCP },
        { NULL, 80, IPPROTO_TCP },
};
static const struct khs_row_port other_ports[] = { { "grpc", 50052, IPPROTO_TCP } };
static const struct khs_row_port udp_ports[] = { { "grpc", 50052, IPPROTO_UDP } };

static struct khs_row stateful_set(void)
{
        struct khs_row row = fixture_row("web.default", 0, 5, 3);

        memset(endpoints, 0, sizeof(endpoints[0]) * 8);
        for (uint32_t i = 0; i < 8; i++) {
                uint32_t ordinal = i < 5 ? 4 - i : i - 5; /* pods 0, 1, 2 are dual stack */

                (void)snprintf(hosts[i], sizeof(hosts[i]), "web-%u", ordinal);
                endpoints[i] = (struct khs_row_endpoint){
                        .host = hosts[i],
                        .node = ordinal % 2 ? "node-a" : "node-b",
                        .zone = i == 7 ? "" : "zone-1",
                        .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
                        .ordinal = (int32_t)ordinal,
                        .ports = i == 3 ? other_ports : web_ports,
                        .n_ports = i == 3 ? 1 : 4,
                };
        }
        endpoints[2].zone = "node-b"; /* a zone of a node's name */
        endpoints[5].ports = udp_ports;
        endpoints[5].n_ports = 1;
        endpoints[6].ordinal = (int32_t)KHS_ORDINAL_MAX;
        endpoints[7].flags = 0xff;
        endpoints[4].host = NULL;
        endpoints[4].n_ports = 0;
        endpoints[4].ordinal = -1;
        row.endpoints = endpoints;
        row.port = 0;
        row.port_base = 3000;
        return row;
}

/* The same, of which pods in the network of their node share the addresses of four others. */
static struct khs_row with_shared(void)
{
        static const uint16_t shared[] = { 0, 0, 3, 6, 6 };
        struct khs_row row = stateful_set();

        for (uint32_t i = 8; i < 13; i++) {
                uint32_t ordinal = i < 11 ? i - 3 : i - 6; /* 5 and 6 have both families */

                (void)snprintf(hosts[i], sizeof(hosts[i]), "web-%u", ordinal);
                endpoints[i] = (struct khs_row_endpoint){
                        .host = i == 10 ? NULL : hosts[i],
                        .node = "node-c",
                        .flags = KHS_ATTR_READY,
                        .ordinal = (int32_t)ordinal,
                        .ports = i % 2 ? other_ports : udp_ports,
                        .n_ports = 1,
                };
        }
        row.n_shared = 5;
        row.shared = shared;
        return row;
}

static void check_shared(const struct scene *s, const struct khs_row *row)
{
        static const uint32_t before[] = { 0, 2, 2, 2, 3, 3, 3, 5, 5, 5 };

        cr_expect_eq(s->attrs.n_rows, 13);
        cr_expect_eq(khs_attrs_n_addresses(&s->attrs), 8);
        for (uint32_t i = 0; i < 13; i++)
                check_row(s, i, &endpoints[i]);
        check_hosts(s, row);
        for (uint32_t i = 0; i < 10; i++)
                cr_expect_eq(khs_attrs_shared_before(&s->file.view, &s->attrs, i), before[i], "%u", i);
        cr_expect_eq(khs_attrs_address(&s->file.view, &s->attrs, 13), 13);
        cr_expect_eq(khs_attrs_by_host(&s->file.view, &s->attrs, 13), 13, "what is behind them is no row by host");
}

Test(attrs, of_endpoints_that_share_an_address_come_out_as_they_were_put_in)
{
        struct khs_row row = with_shared();
        struct scene s;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        cr_expect_eq(s.found.record.n4, 5, "an address is there once");
        cr_expect_eq(s.attrs.head.port_base, 3000);
        check_shared(&s, &row);
        khs_table_close(&s.file);
        cr_assert_eq(khs_table_open(s.f.dir, KHS_OPEN_PREAD, NULL, &s.file), 0);
        cr_assert_eq(look(&s, "web.default"), 0);
        check_shared(&s, &row);
        scene_deinit(&s);
}

/* One of the parts of an alignment each: as many numbers as rows, and shared rows, are even and odd. */
Test(attrs, of_any_number_of_shared_rows_are_found)
{
        static uint16_t shared[16];

        for (uint32_t n = 1; n < 5; n++) {
                for (uint32_t n_shared = 0; n_shared < 16; n_shared++) {
                        struct khs_row row = fixture_row("any.default", 0, n, 0);
                        struct scene s;

                        for (uint32_t i = 0; i < n + n_shared; i++) {
                                (void)snprintf(hosts[i], sizeof(hosts[i]), "pod-%u", i * 7 % 5);
                                endpoints[i] = (struct khs_row_endpoint){ .host = i % 4 == 3 ? NULL : hosts[i],
                                                                          .ordinal = -1 };
                        }
                        for (uint32_t i = 0; i < n_shared; i++)
                                shared[i] = (uint16_t)(i * n / n_shared);
                        row.endpoints = endpoints;
                        row.shared = shared;
                        row.n_shared = n_shared;
                        scene_init(&s, &row);
                        cr_assert_eq(look(&s, "any.default"), 0);
                        for (uint32_t i = 0; i < n + n_shared; i++)
                                check_row(&s, i, &endpoints[i]);
                        check_hosts(&s, &row);
                        scene_deinit(&s);
                }
        }
}

/* Old and new: a record in which no address is shared is what it has always been. */
Test(attrs, without_shared_rows_say_nothing_of_them)
{
        struct khs_row row = stateful_set();
        uint32_t words[4];
        struct scene s;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        khs_view_copy(&s.file.view, s.attrs.word + 8, words, 1);
        cr_expect_eq(words[0], 3000, "the whole word is the base");
        cr_expect_eq(s.attrs.head.nodes - s.attrs.head.by_host, 4);
        khs_view_copy(&s.file.view, s.attrs.word + s.attrs.head.by_host, words, 4);
        cr_expect_eq(words[3] >> 16, 0xffff, "one has no host");
        cr_expect_eq(khs_attrs_shared_before(&s.file.view, &s.attrs, 8), 0);
        scene_deinit(&s);
}

Test(attrs, with_shared_in_disorder_are_not_put)
{
        static const uint16_t falling[] = { 1, 0 }, beyond[] = { 0, 8 };
        static uint16_t many[2 * KHS_MAX_ADDRS];
        struct khs_row row = with_shared(), bad;
        struct scene s;

        scene_init(&s, &row);
        row.n_shared = 2;
        row.shared = falling;
        cr_expect_eq(khs_writer_put(s.f.writer, &row, fixture_now()), -EINVAL);
        row.shared = beyond;
        cr_expect_eq(khs_writer_put(s.f.writer, &row, fixture_now()), -EINVAL);
        row.shared = many;
        row.n_shared = 2 * KHS_MAX_ADDRS - 7;
        cr_expect_eq(khs_writer_put(s.f.writer, &row, fixture_now()), -EINVAL);
        bad = fixture_row("none.default", 0, 8, 0);
        bad.n_shared = 1;
        bad.shared = many;
        cr_expect_eq(khs_writer_put(s.f.writer, &bad, fixture_now()), -EINVAL, "shared rows of which nothing is known");
        cr_assert_eq(look(&s, "web.default"), 0);
        check_shared(&s, (struct khs_row[]){ with_shared() });
        scene_deinit(&s);
}

Test(attrs, of_as_many_shared_rows_as_there_may_be_fit)
{
        static uint16_t shared[MAX_ROWS];
        struct khs_row row = fixture_row("node.default", 0, 1, 1);
        struct khs_attrs *head;
        uint32_t first, *words;
        struct scene s;

        for (uint32_t i = 0; i < MAX_ROWS; i++) {
                (void)snprintf(hosts[i], sizeof(hosts[i]), "large-%u", i);
                endpoints[i] = (struct khs_row_endpoint){ .host = hosts[i], .node = "node", .ordinal = (int32_t)i };
                shared[i] = i >= MAX_ROWS / 2;
        }
        row.endpoints = endpoints;
        row.shared = shared;
        row.n_shared = MAX_ROWS - 2;
        scene_init(&s, &row);
        cr_assert_eq(look(&s, "node.default"), 0);
        cr_expect_eq(khs_attrs_shared_before(&s.file.view, &s.attrs, 1), MAX_ROWS / 2);
        for (uint32_t i = 0; i < MAX_ROWS; i += 7) {
                check_row(&s, i, &endpoints[i]);
                cr_assert_eq(khs_attrs_find_host(&s.file.view, &s.attrs, hosts[i], strlen(hosts[i]), &first), 1);
                cr_expect_eq(khs_attrs_by_host(&s.file.view, &s.attrs, first), i);
        }

        /* One more is refused, even if there is room for it. */
        words = map_writable(&s);
        head = (struct khs_attrs *)(words + s.attrs.word);
        head->by_host += 3;
        head->nodes = head->zones = head->port_sets = head->ports = head->strings = head->strings + 30;
        cr_expect_eq(look(&s, "node.default"), 0);
        head->n_shared++;
        cr_expect_eq(look(&s, "node.default"), -EBADMSG);
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

Test(attrs, come_out_as_they_were_put_in)
{
        struct khs_row row = stateful_set();
        struct khs_attr_row a, b;
        struct scene s;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        cr_expect_eq(s.attrs.n_rows, 8);
        cr_expect_eq(s.attrs.head.port_base, 3000);
        for (uint32_t i = 0; i < 8; i++)
                check_row(&s, i, &endpoints[i]);
        check_hosts(&s, &row);
        cr_expect_eq(s.attrs.head.zones - s.attrs.head.nodes, 2, "two nodes, each once");
        cr_expect_eq(s.attrs.head.port_sets - s.attrs.head.zones, 2);
        cr_expect_eq(s.attrs.head.ports - s.attrs.head.port_sets, 3);
        khs_attrs_row(&s.file.view, &s.attrs, 3, &a);
        khs_attrs_row(&s.file.view, &s.attrs, 6, &b);
        cr_expect_eq(a.host, b.host, "web-1, each string once");
        scene_deinit(&s);
}

Test(attrs, read_the_same_without_a_map)
{
        struct khs_row row = stateful_set();
        struct scene s;

        scene_init(&s, &row);
        khs_table_close(&s.file);
        cr_assert_eq(khs_table_open(s.f.dir, KHS_OPEN_PREAD, NULL, &s.file), 0);
        cr_assert_eq(look(&s, "web.default"), 0);
        for (uint32_t i = 0; i < 8; i++)
                check_row(&s, i, &endpoints[i]);
        check_hosts(&s, &row);
        scene_deinit(&s);
}

Test(attrs, of_ordinals_that_no_port_can_have_are_none)
{
        struct khs_row row = stateful_set();
        struct khs_attr_row a;
        struct scene s;

        endpoints[0].ordinal = (int32_t)KHS_ORDINAL_MAX + 1;
        endpoints[1].ordinal = INT32_MAX;
        endpoints[2].ordinal = INT32_MIN;
        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        for (uint32_t i = 0; i < 3; i++) {
                khs_attrs_row(&s.file.view, &s.attrs, i, &a);
                cr_expect_eq(khs_attr_ordinal(&a), -1);
                cr_expect_eq(khs_attr_flags(&a), endpoints[i].flags);
        }
        scene_deinit(&s);
}

/* No name of a port is so long, and no set is so large, whatever the table says. */
Test(attrs, have_ports_within_limits)
{
        struct khs_row row = fixture_row("large.default", 0, 1000, 0);
        struct khs_attr_row of_set = { .port_set = 1 };
        struct khs_attr_port port;
        struct khs_attrs *head;
        struct scene s;
        char longest[66];
        uint32_t *words;

        for (uint32_t i = 0; i < 1000; i++) {
                (void)snprintf(hosts[i], sizeof(hosts[i]), "a-host-of-a-long-name-so-that-strings-have-room-%u", i);
                endpoints[i] =
                        (struct khs_row_endpoint){ .host = hosts[i], .ordinal = -1, .ports = web_ports, .n_ports = 4 };
        }
        row.endpoints = endpoints;
        scene_init(&s, &row);
        cr_assert_eq(look(&s, "large.default"), 0);
        memset(longest, 'w', sizeof(longest));
        cr_expect_eq(khs_attrs_port(&s.file.view, &s.attrs, &of_set, longest, 64, IPPROTO_TCP), 0);
        cr_expect_eq(khs_attrs_port(&s.file.view, &s.attrs, &of_set, longest, 65, IPPROTO_TCP), 0);

        words = map_writable(&s);
        head = (struct khs_attrs *)(words + s.attrs.word);
        head->strings = head->ports + 2 * 5000;
        words[s.attrs.word + head->port_sets] = 128;
        cr_assert_eq(look(&s, "large.default"), 0);
        cr_expect(khs_attrs_port_at(&s.file.view, &s.attrs, &of_set, 127, &port));
        words[s.attrs.word + head->port_sets] = 129;
        cr_expect_not(khs_attrs_port_at(&s.file.view, &s.attrs, &of_set, 0, &port));
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

Test(attrs, of_hosts_that_are_not_there_find_nothing)
{
        static const char *const absent[] = { "web-9", "web", "web-", "web-00", "web-1x", "a", "zzz", "WEB-1" };
        struct khs_row row = stateful_set();
        struct scene s;
        char longest[66];
        uint32_t first;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
                cr_expect_eq(khs_attrs_find_host(&s.file.view, &s.attrs, absent[i], strlen(absent[i]), &first), 0, "%s",
                             absent[i]);
        memset(longest, 'w', sizeof(longest));
        cr_expect_eq(khs_attrs_find_host(&s.file.view, &s.attrs, longest, 64, &first), 0);
        cr_expect_eq(khs_attrs_find_host(&s.file.view, &s.attrs, longest, 65, &first), 0);
        cr_expect_eq(khs_attrs_find_host(&s.file.view, &s.attrs, "", 0, &first), 0);
        scene_deinit(&s);
}

/* Names that are prefixes of each other, equal ones, ones that differ late: against a search through all. */
Test(attrs, of_any_hosts_are_found)
{
        unsigned int random = 1;

        for (uint32_t n = 1; n < 400; n = n * 3 / 2 + 1) {
                struct khs_row row = fixture_row("any.default", 0, n, n / 3);
                struct scene s;

                for (uint32_t i = 0; i < n + n / 3; i++) {
                        size_t length = 1 + (size_t)rand_r(&random) % 12;

                        memset(hosts[i], 'a', length);
                        hosts[i][length - 1] = (char)('a' + rand_r(&random) % 3);
                        hosts[i][length] = '\0';
                        endpoints[i] = (struct khs_row_endpoint){ .host = rand_r(&random) % 8 ? hosts[i] : NULL,
                                                                  .ordinal = -1 };
                }
                row.endpoints = endpoints;
                scene_init(&s, &row);
                cr_assert_eq(look(&s, "any.default"), 0);
                for (uint32_t i = 0; i < n + n / 3; i++)
                        check_row(&s, i, &endpoints[i]);
                check_hosts(&s, &row);
                scene_deinit(&s);
        }
}

Test(attrs, of_five_thousand_pods_fit)
{
        struct khs_row row = fixture_row("large.default", 0, 5000, 5000);
        struct scene s;

        for (uint32_t i = 0; i < MAX_ROWS; i++) {
                (void)snprintf(hosts[i], sizeof(hosts[i]), "large-%u", i % 5000);
                (void)snprintf(nodes[i], sizeof(nodes[i]), "node-%u.eu-west.example", i % 5000 / 10);
                endpoints[i] = (struct khs_row_endpoint){ .host = hosts[i],
                                                          .node = nodes[i],
                                                          .zone = "eu-west-1a",
                                                          .ordinal = (int32_t)(i % 5000),
                                                          .ports = web_ports,
                                                          .n_ports = 4 };
        }
        row.endpoints = endpoints;
        scene_init(&s, &row);
        cr_assert_eq(look(&s, "large.default"), 0);
        cr_expect(s.found.record.key & KHS_REC_HOSTS_COMPLETE);
        for (uint32_t i = 0; i < MAX_ROWS; i += 7) {
                uint32_t first = 0;

                check_row(&s, i, &endpoints[i]);
                cr_assert_eq(khs_attrs_find_host(&s.file.view, &s.attrs, hosts[i], strlen(hosts[i]), &first), 2);
                cr_expect_eq(khs_attrs_by_host(&s.file.view, &s.attrs, first), i % 5000);
                cr_expect_eq(khs_attrs_by_host(&s.file.view, &s.attrs, first + 1), i % 5000 + 5000);
        }
        cr_expect_eq(khs_attrs_by_host(&s.file.view, &s.attrs, MAX_ROWS), MAX_ROWS);
        scene_deinit(&s);
}

/* The addresses matter more than what is known of them. */
Test(attrs, that_do_not_fit_are_left_out)
{
        struct khs_row row = fixture_row("huge.default", 0, 5000, 0);
        struct scene s;

        for (uint32_t i = 0; i < 5000; i++) {
                memset(nodes[i], 'n', 255);
                nodes[i][255] = '\0';
                (void)snprintf(nodes[i], sizeof(nodes[i]), "%u", i);
                nodes[i][strlen(nodes[i])] = 'n';
                endpoints[i] = (struct khs_row_endpoint){ .node = nodes[i], .ordinal = -1 };
        }
        row.endpoints = endpoints;
        scene_init(&s, &row);
        cr_expect_eq(look(&s, "huge.default"), -ENOENT);
        cr_expect_eq(s.found.record.n4, 5000);
        cr_expect_not(s.found.record.key & KHS_REC_HOSTS_COMPLETE);
        scene_deinit(&s);
}

static struct khs_row with_many_ports(uint32_t n)
{
        static struct khs_row_port ports[301][2];
        struct khs_row row = fixture_row("many.default", 0, n, 0);

        for (uint32_t i = 0; i < n; i++) {
                (void)snprintf(nodes[i], sizeof(nodes[i]), "zone-%u", i);
                ports[i][0] = (struct khs_row_port){ "p", (uint16_t)(i + 1), IPPROTO_TCP };
                ports[i][1] = (struct khs_row_port){ "q", 9, IPPROTO_TCP };
                endpoints[i] = (struct khs_row_endpoint){
                        .zone = nodes[i], .ordinal = -1, .ports = ports[i], .n_ports = i == 270 ? 0 : 2
                };
        }
        row.endpoints = endpoints;
        return row;
}

Test(attrs, with_more_zones_and_ports_than_have_numbers_know_the_first)
{
        for (uint32_t n = 300; n < 302; n++) {
                struct khs_row row = with_many_ports(n);
                struct scene s;

                scene_init(&s, &row);
                cr_assert_eq(look(&s, "many.default"), 0);
                for (uint32_t i = 0; i < n; i++) {
                        struct khs_row_endpoint wanted = endpoints[i];

                        if (i >= 255) {
                                wanted.zone = NULL;
                                wanted.n_ports = 0;
                        }
                        check_row(&s, i, &wanted);
                        cr_expect_eq(khs_attrs_row_port(&s.file.view, &s.attrs, i), i < 255 || i == 270 ? 0 : i + 1);
                }
                cr_expect_eq(khs_attrs_row_port(&s.file.view, &s.attrs, n), 0);
                scene_deinit(&s);
        }
}

Test(attrs, with_row_ports_out_of_bounds_are_refused)
{
        struct khs_row row = with_many_ports(300);
        uint32_t *words, *part;
        struct scene s;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "many.default"), 0);
        words = map_writable(&s);
        part = &words[s.attrs.word + offsetof(struct khs_attrs, row_ports) / 4];
        for (int i = 0; i < 6; i++) {
                const struct khs_attrs head = s.attrs.head;
                const uint32_t bad[] = { head.by_host - 1, head.row_ports - 1, head.row_ports + 1,
                                         head.nodes,       head.nodes + 1,     UINT32_MAX };
                uint32_t was = *part;

                *part = bad[i];
                cr_expect_eq(look(&s, "many.default"), -EBADMSG, "%d", i);
                *part = was;
                cr_assert_eq(look(&s, "many.default"), 0);
        }
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

/* ---- near addresses ---- */

/* The rows of with_shared() in the order of the record, and the addresses that the last ones share. */
static const struct {
        const char *near; /* of the addresses of both families: 'n' */
        uint32_t n_near4, n_near6;
        uint8_t rows[13];
        uint16_t shared[5];
} near_cases[] = {
        { "........", 0, 0, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, { 0, 0, 3, 6, 6 } },
        { "nnnnnnnn", 5, 3, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, { 0, 0, 3, 6, 6 } },
        { ".n.n..n.", 2, 1, { 1, 3, 0, 2, 4, 6, 5, 7, 10, 8, 9, 11, 12 }, { 1, 2, 2, 5, 5 } },
        { "....n...", 1, 0, { 4, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12 }, { 1, 1, 4, 6, 6 } },
        { ".......n", 0, 1, { 0, 1, 2, 3, 4, 7, 5, 6, 8, 9, 10, 11, 12 }, { 0, 0, 3, 7, 7 } },
        { "n......n", 1, 1, { 0, 1, 2, 3, 4, 7, 5, 6, 8, 9, 10, 11, 12 }, { 0, 0, 3, 7, 7 } },
};

static void check_near_addresses(const struct scene *s, const struct khs_row *row, const uint8_t *rows)
{
        uint8_t v4[5][4], v6[3][16];

        khs_found_copy(&s->file.view, &s->found, AF_INET, 0, 5, v4, 4);
        khs_found_copy(&s->file.view, &s->found, AF_INET6, 0, 3, v6, 16);
        for (int i = 0; i < 5; i++)
                cr_expect_eq(memcmp(v4[i], (const uint8_t *)row->v4 + rows[i] * 4, 4), 0, "%d", i);
        for (int i = 0; i < 3; i++)
                cr_expect_eq(memcmp(v6[i], (const uint8_t *)row->v6 + (rows[i + 5] - 5) * 16, 16), 0, "%d", i);
}

Test(attrs, of_near_addresses_come_first)
{
        for (size_t c = 0; c < sizeof(near_cases) / sizeof(near_cases[0]); c++) {
                struct khs_row row = with_shared(), moved = row;
                struct khs_row_endpoint in_order[13];
                struct khs_near_run near;
                struct scene s;

                for (int i = 0; i < 8; i++)
                        endpoints[i].near = near_cases[c].near[i] == 'n';
                for (int i = 0; i < 13; i++)
                        in_order[i] = endpoints[near_cases[c].rows[i]];
                moved.endpoints = in_order;
                moved.shared = near_cases[c].shared;
                scene_init(&s, &row);
                for (int pread = 0; pread < 2; pread++) {
                        cr_assert_eq(look(&s, "web.default"), 0);
                        near = khs_attrs_near(&s.file.view, &s.found);
                        cr_expect_eq(near.n4, near_cases[c].n_near4);
                        cr_expect_eq(near.n6, near_cases[c].n_near6);
                        check_near_addresses(&s, &row, near_cases[c].rows);
                        check_hosts(&s, &moved);
                        for (uint32_t i = 0; i < 13; i++) {
                                check_row(&s, i, &in_order[i]);
                                cr_expect_eq(khs_attrs_is_near(&s.file.view, &s.attrs, i),
                                             near_cases[c].near[near_cases[c].rows[address_of(&moved, i)]] == 'n',
                                             "%zu: %u", c, i);
                        }
                        khs_table_close(&s.file);
                        cr_assert_eq(khs_table_open(s.f.dir, KHS_OPEN_PREAD, NULL, &s.file), 0);
                }
                scene_deinit(&s);
        }
}

Test(attrs, of_near_addresses_are_copied_in_turn)
{
        for (int pread = 0; pread < 2; pread++) {
                struct khs_row row = stateful_set();
                struct scene s;
                uint8_t v4[3][4];

                for (int i = 0; i < 3; i++)
                        endpoints[i].near = true;
                scene_init(&s, &row);
                khs_table_close(&s.file);
                cr_assert_eq(khs_table_open(s.f.dir, pread ? KHS_OPEN_PREAD : KHS_OPEN_MAP, NULL, &s.file), 0);
                cr_assert_eq(look(&s, "web.default"), 0);
                khs_found_copy_of(&s.file.view, &s.found, AF_INET, 3, 2, 3, v4, 4);
                for (int i = 0; i < 3; i++)
                        cr_expect_eq(v4[i][3], (i + 2) % 3);
                scene_deinit(&s);
        }
}

/* Writes the attributes as an older writer did, whose head had so many words. */
static void shorten_head(const struct scene *s, uint32_t *words, uint32_t n)
{
        uint32_t *head = words + s->attrs.word, less = sizeof(struct khs_attrs) / 4 - n;

        memmove(head + n, head + sizeof(struct khs_attrs) / 4, (s->attrs.head.end - sizeof(struct khs_attrs) / 4) * 4);
        for (int i = 0; i < 8; i++) /* rows to end */
                head[i] -= less;
}

Test(attrs, of_older_writers_know_no_near_addresses)
{
        for (uint32_t n = 9; n < 12; n++) {
                struct khs_row row = stateful_set();
                struct khs_near_run near;
                struct scene s;
                uint32_t *words;

                endpoints[0].near = endpoints[5].near = true;
                scene_init(&s, &row);
                cr_assert_eq(look(&s, "web.default"), 0);
                words = map_writable(&s);
                shorten_head(&s, words, n);
                cr_assert_eq(look(&s, "web.default"), 0, "%u words", n);
                near = khs_attrs_near(&s.file.view, &s.found);
                cr_expect_eq(near.n4, n > 9);
                cr_expect_eq(near.n6, n > 9);
                cr_expect_eq(khs_attrs_is_near(&s.file.view, &s.attrs, 5), n > 9);
                cr_expect_eq(s.attrs.head.row_ports, 0);
                for (uint32_t i = 0; i < 8; i++)
                        check_row(&s, i, &endpoints[i]);
                check_hosts(&s, &row);
                (void)munmap(words, (size_t)s.file.view.n_words * 4);
                scene_deinit(&s);
        }
}

/* There the first row stands, whose host, 4, would be a number of near addresses. */
Test(attrs, of_older_writers_have_rows_where_near_addresses_are_counted)
{
        struct khs_row row = fixture_row("web.default", 0, 5, 0);
        struct scene s;
        uint32_t *words;

        for (int i = 0; i < 5; i++) {
                (void)snprintf(hosts[i], sizeof(hosts[i]), "web-%d", i);
                endpoints[i] = (struct khs_row_endpoint){ .host = hosts[i], .ordinal = i };
        }
        row.endpoints = endpoints;
        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        words = map_writable(&s);
        shorten_head(&s, words, 9);
        cr_assert_eq(look(&s, "web.default"), 0);
        cr_assert_eq(words[s.attrs.word + 9], 4);
        cr_expect_eq(khs_attrs_near(&s.file.view, &s.found).n4, 0);
        cr_expect_eq(s.attrs.head.n_near4, 0);
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

Test(attrs, with_more_near_addresses_than_there_are_know_none)
{
        struct khs_row row = stateful_set(), bare = fixture_row("bare.default", 0, 2, 0);
        struct khs_near_run near;
        struct khs_attrs *head;
        struct scene s;
        uint32_t *words;

        scene_init(&s, &row);
        put(&s, &bare);
        cr_assert_eq(look(&s, "bare.default"), -ENOENT);
        cr_expect_eq(khs_attrs_near(&s.file.view, &s.found).n4, 0);
        cr_assert_eq(look(&s, "web.default"), 0);
        words = map_writable(&s);
        head = (struct khs_attrs *)&words[s.attrs.word];
        head->n_near4 = 5;
        head->n_near6 = 4;
        near = khs_attrs_near(&s.file.view, &s.found);
        cr_expect(near.n4 == 5 && near.n6 == 0);
        head->n_near4 = 6;
        head->n_near6 = 3;
        near = khs_attrs_near(&s.file.view, &s.found);
        cr_expect(near.n4 == 0 && near.n6 == 3);
        cr_assert_eq(look(&s, "web.default"), 0, "the rest of it is still read");
        cr_expect_not(khs_attrs_is_near(&s.file.view, &s.attrs, 0));
        cr_expect(khs_attrs_is_near(&s.file.view, &s.attrs, 7));
        cr_expect_not(khs_attrs_is_near(&s.file.view, &s.attrs, 8));
        words[s.found.block + offsetof(struct khs_record, attrs) / 4] = s.found.record.units * KHS_UNIT_WORDS - 8;
        cr_assert_eq(look(&s, "web.default"), -EBADMSG);
        near = khs_attrs_near(&s.file.view, &s.found);
        cr_expect(near.n4 == 0 && near.n6 == 0, "a block that ends before the head does");
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

Test(attrs, that_change_alone_are_published_and_those_that_do_not_are_not)
{
        struct khs_row row = stateful_set();
        struct scene s;
        uint32_t block;

        scene_init(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        block = s.found.block;
        cr_assert_eq(khs_writer_put(s.f.writer, &row, fixture_now()), 0);
        cr_assert_eq(look(&s, "web.default"), 0);
        cr_expect_eq(s.found.block, block, "the same once more");

        endpoints[2].node = "node-c";
        put(&s, &row);
        cr_assert_eq(look(&s, "web.default"), 0);
        cr_expect_neq(s.found.block, block);
        check_row(&s, 2, &endpoints[2]);

        row.endpoints = NULL;
        put(&s, &row);
        cr_expect_eq(look(&s, "web.default"), -ENOENT);
        scene_deinit(&s);
}

Test(attrs, outlive_the_writer_and_the_file)
{
        struct khs_table_params params = fixture_params();
        struct khs_row row = with_shared(), more;
        uint32_t generation;
        struct scene s;
        char key[32];

        scene_init(&s, &row);
        khs_writer_free(s.f.writer);
        cr_assert_eq(khs_writer_adopt(&s.f.writer, s.f.dir_fd, &params, fixture_now()), 0);
        for (uint32_t i = 0; i < 2000; i++) {
                (void)snprintf(key, sizeof(key), "s%u.default", i);
                more = fixture_row(key, i, 50, 0);
                cr_assert_eq(khs_writer_put(s.f.writer, &more, fixture_now()), 0);
        }
        generation = khs_view_generation(&s.file.view);
        khs_table_close(&s.file);
        fixture_open(&s.f, &s.file);
        cr_expect_gt(khs_view_generation(&s.file.view), generation, "it has grown");
        cr_assert_eq(look(&s, "web.default"), 0);
        check_shared(&s, &row);
        scene_deinit(&s);
}

static void use_everything(const struct scene *s)
{
        const struct khs_attrs *head = &s->attrs.head;
        char ret[256];
        size_t n_text;

        cr_expect_geq(head->by_host - head->rows, 3 * s->attrs.n_rows);
        cr_expect_geq((head->nodes - head->by_host) * 2, s->attrs.n_rows + head->n_shared);
        cr_expect_leq(s->attrs.n_rows, 2 * KHS_MAX_ADDRS);
        cr_expect_eq(khs_attrs_n_addresses(&s->attrs), 8);
        cr_expect_leq(khs_attrs_shared_before(&s->file.view, &s->attrs, 5), head->n_shared);
        for (uint32_t i = 0; i < s->attrs.n_rows; i++) {
                struct khs_attr_row row;
                uint32_t first = 0, n;

                khs_attrs_row(&s->file.view, &s->attrs, i, &row);
                n = khs_attrs_address(&s->file.view, &s->attrs, i);
                cr_expect(n < 8 || n == s->attrs.n_rows);
                (void)khs_attrs_is_near(&s->file.view, &s->attrs, i);
                (void)khs_attrs_row_port(&s->file.view, &s->attrs, i);
                n_text = khs_attrs_string(&s->file.view, &s->attrs, row.host, ret);
                cr_expect(n_text == 0 || row.host + 1 + n_text <= (head->end - head->strings) * 4);
                n_text = khs_attrs_node(&s->file.view, &s->attrs, row.node, ret);
                cr_expect(n_text == 0 || row.node <= head->zones - head->nodes);
                cr_expect_leq(khs_attrs_zone(&s->file.view, &s->attrs, row.zone, ret), 255);
                (void)khs_attrs_port(&s->file.view, &s->attrs, &row, "dns", 3, IPPROTO_TCP);
                cr_expect_leq(khs_attrs_by_host(&s->file.view, &s->attrs, i), s->attrs.n_rows);
                n = khs_attrs_find_host(&s->file.view, &s->attrs, "web-1", 5, &first);
                cr_expect(n == 0 || first + n <= s->attrs.n_rows);
        }
}

/* Each word in turn says something else. (The fuzzer does so against pages that can't be read.) */
static void damage(struct khs_row *row)
{
        static const uint32_t values[] = { 0, 1, 9, 0xff, 0xffff, 0x10000, 0x7fffffff, 0xffff0001, 0xffffffff };
        unsigned int n_refused = 0;
        uint32_t *words, at, n_words;
        struct scene s;

        scene_init(&s, row);
        cr_assert_eq(look(&s, "web.default"), 0);
        words = map_writable(&s);
        at = s.attrs.word;
        n_words = s.attrs.head.end;
        for (uint32_t i = 0; i < n_words; i++) {
                uint32_t was = words[at + i];

                for (size_t v = 0; v < sizeof(values) / sizeof(values[0]) + 2; v++) {
                        words[at + i] = v < 9 ? values[v] : v == 9 ? was + 1 : was - 1;
                        if (look(&s, "web.default") == 0)
                                use_everything(&s);
                        else
                                n_refused++;
                }
                words[at + i] = was;
        }
        cr_expect_gt(n_refused, 50);

        /* A block that ends before the head does. */
        words[s.found.block + offsetof(struct khs_record, attrs) / 4] = s.found.record.units * KHS_UNIT_WORDS - 8;
        cr_expect_eq(look(&s, "web.default"), -EBADMSG);
        /* The same while the block is in other use. */
        words[s.found.block]++;
        cr_expect_eq(khs_attrs_open(&s.file.view, &s.found, &s.attrs), -EBUSY);
        (void)munmap(words, (size_t)s.file.view.n_words * 4);
        scene_deinit(&s);
}

Test(attrs, that_are_damaged_are_refused_or_read_in_their_bounds)
{
        struct khs_row row = stateful_set();

        damage(&row);
}

Test(attrs, of_shared_rows_that_are_damaged_are_refused_or_read_in_their_bounds)
{
        struct khs_row row = with_shared();

        damage(&row);
}
