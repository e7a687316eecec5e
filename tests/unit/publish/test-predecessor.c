/* What a daemon finds of the one before it. */

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "publish/predecessor.h"
#include "read/attrs.h"
#include "read/crc.h"
#include "service-fixture.h"
#include "table-fixture.h"
#include "table/crc32c.h"

#define HOUR_USEC 3600000000ULL

static uint64_t now_usec(void)
{
        return (uint64_t)fixture_now() * 100000;
}

static struct service *make_service(const char *key)
{
        struct service *s;

        cr_assert_eq(service_new(&s, key, 1, now_usec()), 0);
        (void)service_configure_port(s, 1, 80, KHS_FAMILY_ANY, HOUR_USEC);
        return s;
}

static void leave_table(struct fixture *f)
{
        struct khs_row alias = { .key = "users", .n_key = 5, .target = "a.b", .n_target = 3 }, row;

        fixture_init(f, NULL);
        row = fixture_row("a.b", 1, 3, 2);
        row.version = 41;
        row.port = 80;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
        row = fixture_row("other.b", 1, 1, 0);
        row.version = 99;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_put(f->writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
}

/* Writes into the published file, as no daemon of ours would. */
static void scribble(const struct fixture *f, off_t offset, uint32_t bits)
{
        int fd = openat(f->dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        uint32_t word;

        cr_assert_eq(pread(fd, &word, 4, offset), 4);
        word ^= bits;
        cr_assert_eq(pwrite(fd, &word, 4, offset), 4);
        (void)close(fd);
}

/* Another boot's id, or this one's again, under a good checksum. */
static void swap_boot(const struct fixture *f)
{
        const off_t at = offsetof(struct khs_table_static, checksum);
        uint32_t words[KHS_STATIC_SIZE / 4], crc = KHS_CRC32C_INIT;
        int fd;

        scribble(f, offsetof(struct khs_table_static, boot_id), 1);
        fd = openat(f->dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        cr_assert_eq(pread(fd, words, sizeof(words), 0), (ssize_t)sizeof(words));
        words[at / 4] = 0;
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, words[i]);
        crc = khs_crc32c_end(crc);
        cr_assert_eq(pwrite(fd, &crc, sizeof(crc), at), (ssize_t)sizeof(crc));
        (void)close(fd);
}

Test(predecessor, seeds_services_with_what_it_knew)
{
        struct service *s = make_service("a.b"), *none = make_service("none.b"), *users = make_service("users");
        struct predecessor *p;
        struct khs_row row;
        struct fixture f;

        leave_table(&f);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_assert_not_null(p);
        cr_expect_eq(predecessor_generation(p), 1);
        cr_expect_eq(predecessor_version(p), 99, "the highest of all");
        cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
        service_row(s, &row);
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        cr_expect_eq(row.n4, 3);
        cr_expect_eq(row.n6, 2);
        cr_expect_eq(row.version, 41);
        cr_expect_eq(memcmp(row.v4, "\x0a\0\0\1\x0a\0\0\2\x0a\0\0\3", 12), 0);
        cr_expect_eq(predecessor_seed(p, none, now_usec()), 0);
        cr_expect_eq(predecessor_seed(p, users, now_usec()), 0, "an alias is no service");
        predecessor_close(p);
        fixture_deinit(&f);
        service_free(s);
        service_free(none);
        service_free(users);
}

/* Names and ports of pods hold until DNS has been asked again. */
Test(predecessor, knows_the_pods_names_and_ports)
{
        static const struct khs_row_port ports[] = { { "grpc", 50051, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
        static const struct khs_port wanted[] = {
                { .kind = KHS_PORT_NAME, .name = "grpc" },
                { .kind = KHS_PORT_NAME, .name = "dns", .udp = true },
        };
        const struct service_options options = { .policy = 1,
                                                 .family = KHS_FAMILY_ANY,
                                                 .max_stale = HOUR_USEC,
                                                 .ports = wanted,
                                                 .n_ports = 2,
                                                 .hosts = true };
        struct khs_row row = fixture_row("web.b", 1, 2, 1);
        const struct khs_row_endpoint endpoints[] = {
                { .host = "web-1", .node = "node-a", .ordinal = 1, .ports = ports, .n_ports = 2 },
                { .ordinal = -1 },
                { .host = "web-1", .ordinal = 1, .ports = ports, .n_ports = 1 },
        };
        struct service *s = make_service("web.b");
        struct predecessor *p;
        struct fixture f;

        fixture_init(&f, NULL);
        row.endpoints = endpoints;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_geq(service_configure(s, &options), 0);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
        service_row(s, &row);
        cr_assert_not_null(row.endpoints);
        for (uint32_t i = 0; i < 3; i++) {
                cr_expect_str_eq(row.endpoints[i].host ? row.endpoints[i].host : "",
                                 endpoints[i].host ? endpoints[i].host : "", "row %u", i);
                cr_expect_eq(row.endpoints[i].ordinal, endpoints[i].ordinal);
                cr_assert_eq(row.endpoints[i].n_ports, endpoints[i].n_ports);
                for (uint32_t j = 0; j < endpoints[i].n_ports; j++) {
                        cr_expect_eq(row.endpoints[i].ports[j].number, ports[j].number);
                        cr_expect_eq(row.endpoints[i].ports[j].protocol, ports[j].protocol);
                        cr_expect_str_eq(row.endpoints[i].ports[j].name, ports[j].name);
                }
        }
        predecessor_close(p);
        fixture_deinit(&f);
        service_free(s);
}

/* In the record they come first; the model has its addresses in one order. */
Test(predecessor, knows_which_endpoints_are_near)
{
        static const struct khs_row_endpoint endpoints[] = {
                { .host = "web-0" }, { .host = "web-1", .near = true }, { .host = "web-2" },
                { .host = "web-3" }, { .host = "web-4", .near = true }, { .host = "web-5" },
        };
        static const uint16_t shared[] = { 1 };

        for (int near = 0; near < 2; near++) {
                const struct service_options options = {
                        .policy = 1, .max_stale = HOUR_USEC, .hosts = true, .near = near
                };
                struct khs_row row = fixture_row("web.b", 1, 3, 2), seeded;
                struct service *s = make_service("web.b");
                struct predecessor *p;
                struct fixture f;

                fixture_init(&f, NULL);
                row.endpoints = endpoints;
                row.n_shared = 1;
                row.shared = shared;
                row.flags = KHS_REC_HOSTS_COMPLETE;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
                cr_assert_eq(khs_writer_publish(f.writer), 0);
                cr_assert_geq(service_configure(s, &options), 0);
                cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
                cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
                service_row(s, &seeded);
                cr_assert_eq(seeded.n4, 3);
                cr_assert_eq(seeded.n6, 2);
                cr_expect_eq(memcmp(seeded.v4, row.v4, 12), 0);
                cr_expect_eq(memcmp(seeded.v6, row.v6, 32), 0);
                cr_assert_eq(seeded.n_shared, 1);
                cr_expect_eq(seeded.shared[0], 1);
                for (int i = 0; i < 6; i++) {
                        cr_expect_str_eq(seeded.endpoints[i].host, endpoints[i].host);
                        cr_expect_eq(seeded.endpoints[i].near, near && (endpoints[i].near || i == 5), "%d", i);
                }
                predecessor_close(p);
                fixture_deinit(&f);
                service_free(s);
        }
}

/* More sets than a record can tell apart: what is left of the others is a number. */
Test(predecessor, knows_the_ports_of_many_pods)
{
        static struct khs_row_port ports[600];
        static struct khs_row_endpoint endpoints[600];
        const struct service_options options = { .policy = 1, .max_stale = HOUR_USEC, .hosts = true };
        struct khs_row row = fixture_row("web.b", 1, 600, 0);
        struct service *s = make_service("web.b");
        struct predecessor *p;
        struct fixture f;

        fixture_init(&f, NULL);
        for (uint32_t i = 0; i < 600; i++) {
                ports[i] = (struct khs_row_port){ NULL, (uint16_t)(30000 + i), IPPROTO_TCP };
                endpoints[i] = (struct khs_row_endpoint){ .ordinal = -1, .ports = &ports[i], .n_ports = i != 400 };
        }
        row.endpoints = endpoints;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_geq(service_configure(s, &options), 0);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
        service_row(s, &row);
        cr_assert_not_null(row.endpoints);
        for (uint32_t i = 0; i < 600; i++) {
                cr_assert_eq(row.endpoints[i].n_ports, i != 400, "%u", i);
                if (i != 400)
                        cr_expect_eq(row.endpoints[i].ports[0].number, 30000 + i);
        }
        predecessor_close(p);
        fixture_deinit(&f);
        service_free(s);
}

/* web-0 and web-1 on one node, web-2 on another; both families. */
static void leave_shared(struct fixture *f)
{
        static const struct khs_row_endpoint endpoints[] = {
                { .host = "web-2", .ordinal = 2 }, { .host = "web-0", .ordinal = 0 }, { .host = "web-0", .ordinal = 0 },
                { .host = "web-1", .ordinal = 1 }, { .host = "web-1", .ordinal = 1 },
        };
        static const uint16_t shared[] = { 1, 2 };
        struct khs_row row = fixture_row("web.b", 1, 2, 1);

        fixture_init(f, NULL);
        row.flags = KHS_REC_HOSTS_COMPLETE;
        row.endpoints = endpoints;
        row.n_shared = 2;
        row.shared = shared;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
}

Test(predecessor, knows_the_pods_that_share_an_address)
{
        static const char *const hosts[] = { "web-2", "web-0", "web-0", "web-1", "web-1" };
        const struct khs_port base = { .kind = KHS_PORT_BASE, .number = 3000 };
        const struct service_options options = { .policy = 1,
                                                 .family = KHS_FAMILY_ANY,
                                                 .max_stale = HOUR_USEC,
                                                 .ports = &base,
                                                 .n_ports = 1,
                                                 .hosts = true };
        struct service *s = make_service("web.b");
        struct predecessor *p;
        struct fixture f;
        struct khs_row row;

        leave_shared(&f);
        cr_assert_geq(service_configure(s, &options), 0);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
        service_row(s, &row);
        cr_assert_not_null(row.endpoints);
        cr_expect_eq(row.flags, KHS_REC_HOSTS_COMPLETE);
        cr_assert_eq(row.n_shared, 2);
        cr_expect_eq(row.shared[0], 1);
        cr_expect_eq(row.shared[1], 2);
        for (uint32_t i = 0; i < 5; i++) {
                cr_expect_str_eq(row.endpoints[i].host, hosts[i]);
                cr_expect_eq(row.endpoints[i].ordinal, hosts[i][4] - '0');
        }
        predecessor_close(p);
        fixture_deinit(&f);
        service_free(s);
}

/* Under a good CRC, as a daemon with a fault might leave them: addresses are taken, hosts are learned anew. */
Test(predecessor, takes_no_shared_rows_in_disorder)
{
        const struct khs_port base = { .kind = KHS_PORT_BASE, .number = 3000 };
        const struct service_options options = { .policy = 1,
                                                 .family = KHS_FAMILY_ANY,
                                                 .max_stale = HOUR_USEC,
                                                 .ports = &base,
                                                 .n_ports = 1,
                                                 .hosts = true };
        static const uint32_t bad[] = { 2 | 1U << 16, 1 | 3U << 16, 5 | 5U << 16 };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct service *s = make_service("web.b");
                struct khs_table_file file;
                struct khs_attrs_at attrs;
                struct predecessor *p;
                struct khs_found found;
                uint32_t *block, at;
                struct fixture f;
                int fd;

                leave_shared(&f);
                fixture_open(&f, &file);
                cr_assert_eq(khs_view_find(&file.view, "web.b", 5, &found), 0);
                cr_assert_eq(khs_attrs_open(&file.view, &found, &attrs), 0);
                cr_assert_eq(attrs.n_rows, 5);
                at = attrs.word + attrs.head.by_host - found.block;
                block = malloc(found.record.units * KHS_UNIT);
                fd = openat(f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
                cr_assert_eq(pread(fd, block, found.record.units * KHS_UNIT, (off_t)found.block * 4),
                             (ssize_t)(found.record.units * KHS_UNIT));
                /* Five numbers by host, then two of addresses: the sixth and the seventh. */
                cr_assert_eq(block[at + 2] >> 16, 1);
                cr_assert_eq(block[at + 3] & 0xffff, 2);
                block[at + 2] = (block[at + 2] & 0xffff) | bad[i] << 16;
                block[at + 3] = bad[i] >> 16 | 0xffff0000;
                ((struct khs_record *)block)->crc = khs_record_crc((struct khs_record *)block);
                cr_assert_eq(pwrite(fd, block, found.record.units * KHS_UNIT, (off_t)found.block * 4),
                             (ssize_t)(found.record.units * KHS_UNIT));
                (void)close(fd);
                free(block);
                khs_table_close(&file);

                cr_assert_geq(service_configure(s, &options), 0);
                cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
                cr_expect_eq(predecessor_seed(p, s, now_usec()), 1);
                cr_expect_eq(s->v4.n, 2);
                cr_expect_eq(s->set.n, 0);
                predecessor_close(p);
                fixture_deinit(&f);
                service_free(s);
        }
}

Test(predecessor, passes_over_a_damaged_record)
{
        struct service *s = make_service("a.b"), *other = make_service("other.b");
        struct khs_table_file file;
        struct predecessor *p;
        struct khs_found found;
        struct fixture f;

        leave_table(&f);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &found), 0);
        khs_table_close(&file);
        scribble(&f, (off_t)found.v4_word * 4, 1);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_eq(predecessor_seed(p, s, now_usec()), 0);
        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING);
        cr_expect_eq(predecessor_seed(p, other, now_usec()), 1);
        predecessor_close(p);
        fixture_deinit(&f);
        service_free(s);
        service_free(other);
}

/* Moves the last heartbeat as a time namespace or an administrator would; an hour is 36000. */
static void shift_beat(const struct fixture *f, int32_t boot_ds, int32_t real_ds)
{
        const off_t at = offsetof(struct khs_table_header, beat_boot_ds);
        int fd = openat(f->dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        uint32_t beat[2] = { khs_clock_ds(CLOCK_BOOTTIME) + (uint32_t)boot_ds,
                             khs_clock_ds(CLOCK_REALTIME) + (uint32_t)real_ds };

        cr_assert_eq(pwrite(fd, beat, sizeof(beat), at), (ssize_t)sizeof(beat));
        (void)close(fd);
}

/* The record is good for an hour after the last heartbeat, by its writer's CLOCK_BOOTTIME. */
Test(predecessor, judges_ages_by_either_clock)
{
        static const struct {
                const char *what;
                int32_t boot_ds, real_ds;
                bool none, shares_clock;
                int32_t left_ds;
        } cases[] = {
                { "the same clocks", -100, -100, false, true, 35900 },
                { "an hour and more ago", -36100, -36100, false, true, -100 },
                { "our time namespace is ahead by a day", -864000, -100, false, false, 35900 },
                { "it is behind", 864000, -100, false, false, 35900 },
                { "somebody set the clock forward", -100, -864000, false, true, 35900 },
                { "somebody set the clock back", -100, 864000, false, true, 35900 },
                { "set back, and the namespace is ahead: older by what is known", -864000, 864000, false, true,
                  -828000 },
                { "both are still to come", 100, 100, true, false, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct service *s = make_service("a.b");
                struct khs_row row = fixture_row("a.b", 1, 3, 2);
                struct predecessor *p;
                struct fixture f;

                fixture_init(&f, NULL);
                row.stale_until_ds = fixture_now() + (uint32_t)cases[i].boot_ds + 36000;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
                cr_assert_eq(khs_writer_publish(f.writer), 0);
                shift_beat(&f, cases[i].boot_ds, cases[i].real_ds);
                cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
                cr_expect_eq(p == NULL, cases[i].none, "%s", cases[i].what);
                cr_expect_eq(predecessor_shares_clock(p), cases[i].shares_clock, "%s", cases[i].what);
                (void)predecessor_seed(p, s, now_usec());
                service_row(s, &row);
                if (cases[i].left_ds > 0)
                        cr_expect_leq(abs((int32_t)(row.stale_until_ds - fixture_now()) - cases[i].left_ds), 10, "%s",
                                      cases[i].what);
                else
                        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING, "%s", cases[i].what);
                predecessor_close(p);
                fixture_deinit(&f);
                service_free(s);
        }
}

Test(predecessor, is_none_of_another_domain_boot_or_kind)
{
        struct predecessor *p;
        struct fixture f;

        leave_table(&f);
        cr_assert_eq(predecessor_open(&p, f.dir, "other.local"), 0);
        cr_expect_null(p);
        cr_expect_eq(predecessor_generation(p), 0);
        cr_expect_eq(predecessor_version(p), 0);

        swap_boot(&f);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_null(p, "of another boot");
        swap_boot(&f);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_not_null(p, "of this one");
        predecessor_close(p);
        scribble(&f, offsetof(struct khs_table_static, boot_id), 1);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_null(p, "not signed");
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);
        cr_assert_eq(predecessor_open(&p, f.dir, "cluster.local"), 0);
        cr_expect_null(p);
        fixture_deinit(&f);
}
