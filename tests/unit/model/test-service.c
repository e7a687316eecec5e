/* The service model: every edge of its state machine, with times of the test's own. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/order.h"
#include "service-fixture.h"
#include "table/policy.h"

#define SEC       1000000ULL
#define MAX_STALE (3600 * SEC)
#define T0        (1000000 * SEC)

static const uint8_t two[] = { 10, 0, 0, 1, 10, 0, 0, 2 }, three[] = { 10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3 };
static const uint8_t six[16] = { 0xfd, [15] = 1 };

static struct service *make(enum khs_family family)
{
        struct service *s;

        cr_assert_eq(service_new(&s, "a.b", 7, T0), 0);
        cr_assert_eq(service_configure_port(s, khs_policy(1, KHS_ORDER_ROTATE, family), 80, family, MAX_STALE),
                     SERVICE_CONTENT);
        return s;
}

static int answer(struct service *s, int family, const void *addrs, uint32_t n, uint64_t now)
{
        const struct finding result = { .family = (uint8_t)family,
                                        .kind = FINDING_ANSWER,
                                        .source = KHS_SOURCE_DNS,
                                        .ttl_s = 5,
                                        .n_addrs = n,
                                        .addrs = addrs };

        return service_apply(s, &result, now);
}

static int no(struct service *s, int family, enum khs_source source, uint64_t now)
{
        const struct finding result = { .family = (uint8_t)family,
                                        .kind = FINDING_NEGATIVE,
                                        .ttl_s = 5,
                                        .reason = KHS_REASON_NXDOMAIN,
                                        .source = (uint8_t)source };

        return service_apply(s, &result, now);
}

static int failure(struct service *s, int family, uint64_t now)
{
        const struct finding result = { .family = (uint8_t)family,
                                        .kind = FINDING_FAILURE,
                                        .reason = KHS_REASON_TIMEOUT,
                                        .source = KHS_SOURCE_DNS };

        return service_apply(s, &result, now);
}

static struct khs_row row_of(const struct service *s)
{
        struct khs_row row;

        service_row(s, &row);
        return row;
}

Test(service, is_pending_and_unknown_at_first)
{
        struct service *s = make(KHS_FAMILY_ANY);
        struct khs_row row = row_of(s);

        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING);
        cr_expect_eq(row.flags, KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN);
        cr_expect_eq(row.stale_until_ds, 0);
        cr_expect_eq(row.port, 80);
        service_free(s);
}

Test(service, answer_makes_it_fresh_for_one_family)
{
        struct service *s = make(KHS_FAMILY_ANY);
        uint32_t version = s->version;
        struct khs_row row;

        cr_expect_eq(answer(s, AF_INET, two, 2, T0), SERVICE_CONTENT);
        row = row_of(s);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        cr_expect_eq(row.flags, KHS_REC_V6_UNKNOWN);
        cr_expect_eq(row.n4, 2);
        cr_expect_eq(row.version, version + 1);
        cr_expect_eq(row.fresh_until_ds, (uint32_t)((T0 + MAX_STALE) / 100000), "until a question goes unanswered");
        cr_expect_eq(row.stale_until_ds, row.fresh_until_ds);
        cr_expect_eq(row.ttl_s, 5);

        cr_expect_eq(answer(s, AF_INET, two, 2, T0 + SEC), SERVICE_TIMES, "the same again is no change");
        cr_expect_eq(row_of(s).version, version + 1);
        cr_expect_eq(answer(s, AF_INET, three, 3, T0 + 2 * SEC), SERVICE_CONTENT);
        cr_expect_eq(answer(s, AF_INET6, six, 1, T0 + 2 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, 0);
        service_free(s);
}

Test(service, failure_keeps_the_last_good_answer_for_max_stale)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)answer(s, AF_INET, two, 2, T0);
        cr_expect_eq(failure(s, AF_INET, T0 + 10 * SEC), SERVICE_TIMES);
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        (void)failure(s, AF_INET, T0 + 20 * SEC);
        cr_expect_eq(row_of(s).since_ds, (uint32_t)((T0 + 10 * SEC) / 100000), "stale since the first failure");
        cr_expect_eq(row_of(s).n4, 2);
        cr_expect_eq(row_of(s).status >> 8 & 0xff, KHS_REASON_TIMEOUT);

        cr_expect_eq(service_tick(s, T0 + 10 * SEC + MAX_STALE - 1), SERVICE_UNCHANGED, "counted from that, too");
        cr_expect_eq(service_tick(s, T0 + 10 * SEC + MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EXPIRED);
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        cr_expect_eq(service_tick(s, T0 + 2 * MAX_STALE), SERVICE_UNCHANGED, "once");

        cr_expect_eq(answer(s, AF_INET, two, 2, T0 + 2 * MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        service_free(s);
}

Test(service, addresses_that_are_not_allowed_any_more_go_at_once)
{
        static const uint8_t mixed[] = { 10, 0, 0, 1, 10, 0, 0, 2, 192, 0, 2, 1 };
        const struct network ten = { .family = AF_INET, .prefix = 8, .bytes = { 10 } };
        const struct network other = { .family = AF_INET, .prefix = 12, .bytes = { 172, 16 } };
        struct filter filter = { .n_allow_cidr = 0 };
        struct service *s = make(KHS_FAMILY_ANY);

        (void)answer(s, AF_INET, mixed, 3, T0);
        (void)answer(s, AF_INET6, six, 1, T0);
        cr_expect_eq(service_restrict(s, T0), SERVICE_UNCHANGED);
        s->filter = &filter;
        cr_expect_eq(service_restrict(s, T0), SERVICE_UNCHANGED);
        filter = (struct filter){ .allow_cidr = &ten, .n_allow_cidr = 1 };
        cr_expect_eq(service_restrict(s, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).n4, 2);
        cr_expect_arr_eq(row_of(s).v4, mixed, 8);
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        cr_expect_eq(service_restrict(s, T0), SERVICE_UNCHANGED);

        filter.allow_cidr = &other;
        cr_expect_eq(service_restrict(s, T0 + SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN);
        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING);
        cr_expect_eq(row_of(s).status >> 8 & 0xff, KHS_REASON_FILTERED);
        service_free(s);
}

/* coredns#6518: 1 in 6 answers a false NXDOMAIN. */
Test(service, dns_negative_counts_after_three_two_seconds_apart)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)answer(s, AF_INET, two, 2, T0);
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + SEC);
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + SEC + 1);
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + 2 * SEC);
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + 3 * SEC - 1);
        cr_expect_eq(row_of(s).n4, 2, "four in two seconds are one");
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + 3 * SEC);
        cr_expect_eq(row_of(s).n4, 2, "two are not three");
        (void)failure(s, AF_INET, T0 + 4 * SEC);
        cr_expect_eq(no(s, AF_INET, KHS_SOURCE_DNS, T0 + 5 * SEC), SERVICE_CONTENT, "a failure between does not reset");
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY);
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_eq(row_of(s).flags, 0, "known to have none");
        cr_expect_eq(no(s, AF_INET, KHS_SOURCE_DNS, T0 + 6 * SEC), SERVICE_TIMES, "already empty");
        service_free(s);
}

Test(service, positive_answer_resets_the_count_of_negatives)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)answer(s, AF_INET, two, 2, T0);
        for (int i = 1; i <= 60; i++) {
                uint64_t now = T0 + (uint64_t)i * 3 * SEC;

                if (i % 3 == 0)
                        (void)answer(s, AF_INET, two, 2, now);
                else
                        (void)no(s, AF_INET, KHS_SOURCE_DNS, now);
                cr_expect_eq(row_of(s).n4, 2, "round %d", i);
        }
        service_free(s);
}

Test(service, api_negative_counts_at_once)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)answer(s, AF_INET, two, 2, T0);
        cr_expect_eq(no(s, AF_INET, KHS_SOURCE_KUBERNETES, T0 + 1), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY);
        service_free(s);
}

Test(service, empty_expires_too)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)no(s, AF_INET, KHS_SOURCE_KUBERNETES, T0);
        (void)failure(s, AF_INET, T0 + SEC);
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY, "a failure is no news");
        cr_expect_eq(service_tick(s, T0 + SEC + MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        service_free(s);
}

Test(service, families_run_by_themselves_and_the_better_one_is_told)
{
        struct service *s = make(KHS_FAMILY_ANY);

        (void)answer(s, AF_INET, two, 2, T0);
        (void)failure(s, AF_INET6, T0);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN);
        (void)answer(s, AF_INET6, six, 1, T0 + 100 * SEC);
        (void)failure(s, AF_INET, T0 + 100 * SEC);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        cr_expect_eq(service_tick(s, T0 + 100 * SEC + MAX_STALE), SERVICE_CONTENT, "IPv4 alone is too old");
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_eq(row_of(s).n6, 1);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        cr_expect_eq(row_of(s).stale_until_ds, (uint32_t)((T0 + 100 * SEC + 2 * MAX_STALE) / 100000));
        service_free(s);
}

Test(service, is_empty_only_when_both_families_are)
{
        struct service *s = make(KHS_FAMILY_ANY);

        (void)no(s, AF_INET6, KHS_SOURCE_KUBERNETES, T0);
        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING, "IPv4 was never resolved");
        (void)answer(s, AF_INET, two, 2, T0 + SEC);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        (void)failure(s, AF_INET, T0 + SEC);
        cr_expect_eq(service_tick(s, T0 + SEC + MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EXPIRED, "that there is no IPv6 says nothing of IPv4");
        (void)no(s, AF_INET, KHS_SOURCE_KUBERNETES, T0 + 2 * SEC + MAX_STALE);
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY);
        service_free(s);
}

Test(service, unwanted_family_is_known_to_have_none)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        cr_expect_eq(answer(s, AF_INET6, six, 1, T0), SERVICE_UNCHANGED);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(service_configure_port(s, s->policy, 80, KHS_FAMILY_ANY, MAX_STALE), SERVICE_CONTENT);
        (void)answer(s, AF_INET6, six, 1, T0);
        cr_expect_eq(row_of(s).n6, 1);
        cr_expect_eq(service_configure_port(s, s->policy, 80, KHS_FAMILY_IPV4, MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        cr_expect_eq(service_configure_port(s, s->policy, 80, KHS_FAMILY_IPV4, MAX_STALE), SERVICE_UNCHANGED);
        service_free(s);
}

Test(service, seeded_from_an_earlier_table_is_stale_with_what_is_left)
{
        struct service *s = make(KHS_FAMILY_ANY);
        const struct khs_row row = {
                .key = "a.b",
                .n_key = 3,
                .n4 = 2,
                .v4 = two,
                .flags = KHS_REC_V6_UNKNOWN,
                .version = 41,
                .stale_until_ds = (uint32_t)(T0 / 100000) + 600,
                .policy = s->policy,
                .port = 80,
        };

        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        cr_expect_eq(row_of(s).version, 41);
        cr_expect_eq(row_of(s).n4, 2);
        cr_expect_eq(row_of(s).stale_until_ds, row.stale_until_ds);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN);
        cr_expect_eq(answer(s, AF_INET, two, 2, T0 + SEC), SERVICE_TIMES, "confirmed: nothing to copy");
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        service_free(s);

        s = make(KHS_FAMILY_ANY);
        cr_expect_eq(service_seed(s, &row, T0 + 60 * SEC), 0);
        cr_expect_eq(service_state(s), KHS_SERVICE_PENDING, "nothing is left of its max-stale");
        cr_expect_eq(row_of(s).version, 42, "and the next daemon says something else");
        service_free(s);

        s = make(KHS_FAMILY_ANY);
        (void)service_configure_port(s, s->policy, 81, KHS_FAMILY_ANY, MAX_STALE);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).version, 42, "as where the configuration was changed in between");
        service_free(s);

        s = make(KHS_FAMILY_IPV6);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).version, 42);
        service_free(s);
}

/* Whoever shortens max-stale means what is served now, too. */
Test(service, a_shorter_max_stale_counts_from_the_same_failure)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)answer(s, AF_INET, two, 2, T0 - SEC);
        (void)failure(s, AF_INET, T0);
        cr_expect_eq(service_configure_port(s, s->policy, 80, KHS_FAMILY_IPV4, 10 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).stale_until_ds, (uint32_t)((T0 + 10 * SEC) / 100000));
        cr_expect_eq(service_tick(s, T0 + 10 * SEC - 1), SERVICE_UNCHANGED);
        cr_expect_eq(service_tick(s, T0 + 10 * SEC), SERVICE_CONTENT);
        service_free(s);
}

/* A query rate that can't keep up, a family that DNS is asked for every five minutes only. */
Test(service, what_is_asked_late_is_not_unconfirmed)
{
        struct service *s = make(KHS_FAMILY_ANY);

        (void)service_configure_port(s, s->policy, 80, KHS_FAMILY_ANY, SEC);
        for (int i = 0; i < 3; i++)
                (void)no(s, AF_INET6, KHS_SOURCE_DNS, T0 + (uint64_t)i * 2 * SEC);
        (void)answer(s, AF_INET, two, 2, T0 + 4 * SEC);
        for (uint64_t t = T0 + 5 * SEC; t < T0 + 300 * SEC; t += SEC) {
                cr_expect_neq(service_tick(s, t), SERVICE_CONTENT);
                cr_expect_eq(row_of(s).flags, 0);
                cr_expect_gt(row_of(s).stale_until_ds, (uint32_t)((t + SEC) / 100000), "it outlasts the next tick");
        }
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        (void)failure(s, AF_INET, T0 + 300 * SEC);
        cr_expect_neq(service_tick(s, T0 + 301 * SEC - 1), SERVICE_CONTENT);
        cr_expect_eq(service_tick(s, T0 + 301 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN, "a question went unanswered");
        (void)failure(s, AF_INET6, T0 + 302 * SEC);
        cr_expect_eq(service_tick(s, T0 + 303 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN);
        service_free(s);
}

/* Whether it was fresh or stale before. */
Test(service, a_stop_counts_only_once_the_next_question_fails)
{
        struct service *s = make(KHS_FAMILY_ANY);
        uint64_t stop = T0 + 100 * SEC, resume = stop + 2 * MAX_STALE, t;

        (void)answer(s, AF_INET, two, 2, stop - 2 * SEC);
        (void)answer(s, AF_INET6, six, 1, stop - 2 * SEC);
        (void)service_resume(s, stop, resume);
        for (t = resume; t < resume + 60 * SEC; t += SEC) {
                cr_expect_neq(service_tick(s, t), SERVICE_CONTENT);
                cr_expect_gt(row_of(s).stale_until_ds, (uint32_t)((t + SEC) / 100000));
        }
        (void)service_resume(s, t - 10 * SEC, t);
        cr_expect_eq(row_of(s).n4, 2);
        cr_expect_eq(row_of(s).n6, 1);
        (void)failure(s, AF_INET6, t);
        (void)failure(s, AF_INET, t);
        cr_expect_neq(service_tick(s, t + 10 * SEC - 1), SERVICE_CONTENT, "a last round");
        cr_expect_eq(service_tick(s, t + 10 * SEC), SERVICE_CONTENT, "two stops are no excuse");
        t += 10 * SEC;
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN);
        (void)answer(s, AF_INET6, six, 1, t);
        (void)failure(s, AF_INET6, t + SEC);
        cr_expect_neq(service_tick(s, t + SEC + MAX_STALE - 1), SERVICE_CONTENT, "an answer ends it");
        cr_expect_eq(service_tick(s, t + SEC + MAX_STALE), SERVICE_CONTENT);
        (void)service_resume(s, t, t + SEC + MAX_STALE);
        cr_expect_eq(service_tick(s, t + SEC + MAX_STALE), SERVICE_UNCHANGED, "what expired stays so");
        service_free(s);
}

/* A source that has said so once does not say again that it fails. */
Test(service, what_failed_before_a_stop_has_a_last_round)
{
        struct service *s = make(KHS_FAMILY_IPV4);
        uint64_t resume = T0 + 2 * MAX_STALE;

        (void)answer(s, AF_INET, two, 2, T0);
        (void)failure(s, AF_INET, T0 + SEC);
        cr_expect_eq(service_resume(s, T0 + 2 * SEC, resume), SERVICE_TIMES);
        cr_expect_neq(service_tick(s, resume), SERVICE_CONTENT);
        cr_expect_eq(s->v4.state, KHS_SERVICE_STALE);
        cr_expect_neq(service_tick(s, resume + 10 * SEC - 1), SERVICE_CONTENT);
        cr_expect_eq(service_resume(s, resume + 5 * SEC, resume + 9 * SEC), SERVICE_UNCHANGED, "one for all stops");
        cr_expect_eq(service_tick(s, resume + 10 * SEC), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EXPIRED);

        (void)answer(s, AF_INET, two, 2, resume + 20 * SEC);
        (void)failure(s, AF_INET, resume + 21 * SEC);
        cr_expect_eq(service_resume(s, resume + 22 * SEC, resume + 23 * SEC), SERVICE_UNCHANGED);
        cr_expect_neq(service_tick(s, resume + 21 * SEC + MAX_STALE - 1), SERVICE_CONTENT, "nothing is taken away");
        cr_expect_eq(service_tick(s, resume + 21 * SEC + MAX_STALE), SERVICE_CONTENT);
        service_free(s);
}

/* 10,000 services at 200 questions a second: some are asked after a minute. */
Test(service, seeded_is_served_until_it_was_asked_for)
{
        struct service *s = make(KHS_FAMILY_IPV4);
        const struct khs_row row = {
                .key = "a.b", .n_key = 3, .n4 = 2, .v4 = two, .stale_until_ds = (uint32_t)(T0 / 100000) + 20
        };

        cr_expect_eq(service_seed(s, &row, T0), 0);
        for (uint64_t t = T0; t < T0 + 100 * SEC; t += SEC)
                cr_expect_neq(service_tick(s, t), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        (void)failure(s, AF_INET, T0 + 100 * SEC);
        cr_expect_neq(service_tick(s, T0 + 110 * SEC - 1), SERVICE_CONTENT, "a last round");
        cr_expect_eq(service_tick(s, T0 + 110 * SEC), SERVICE_CONTENT, "counted as the earlier daemon counted");
        service_free(s);
}

/* ---- what is known of addresses besides them ---- */

static const struct khs_port grpc = { .kind = KHS_PORT_NAME, .name = "grpc" },
                             number = { .kind = KHS_PORT_NUMBER, .number = 80 },
                             base = { .kind = KHS_PORT_BASE, .number = 3000 };

static int configure(struct service *s, bool hosts, const struct khs_port *ports, size_t n_ports)
{
        const struct service_options options = { .policy = s->policy,
                                                 .family = s->family,
                                                 .max_stale = MAX_STALE,
                                                 .ports = ports,
                                                 .n_ports = n_ports,
                                                 .hosts = hosts };

        return service_configure(s, &options);
}

static int endpoints(struct service *s, const char *first, const char *second, uint16_t grpc_number)
{
        const struct khs_row_port port = { "grpc", grpc_number, IPPROTO_TCP };
        const struct finding_endpoint list[] = {
                { .family = AF_INET,
                  .bytes = { 10, 0, 0, 1 },
                  .host = first,
                  .ports = &port,
                  .n_ports = grpc_number > 0 },
                { .family = AF_INET,
                  .bytes = { 10, 0, 0, 2 },
                  .host = second,
                  .ports = &port,
                  .n_ports = grpc_number > 0 },
        };
        const struct finding result = {
                .kind = FINDING_ENDPOINTS, .source = KHS_SOURCE_DNS, .n_endpoints = 2, .endpoints = list
        };

        return service_apply(s, &result, T0);
}

Test(service, hosts_follow_their_addresses)
{
        struct service *s = make(KHS_FAMILY_IPV4);
        struct khs_row row;
        uint32_t version;

        cr_assert_eq(configure(s, true, &base, 1), SERVICE_CONTENT);
        (void)answer(s, AF_INET, two, 2, T0);
        row = row_of(s);
        cr_expect_null(row.endpoints);
        cr_expect_eq(row.flags, 0);
        cr_expect_eq(row.port, 0);
        cr_expect_eq(row.port_base, 0, "it needs endpoints");

        version = s->version;
        cr_expect_eq(endpoints(s, "web-0", "web-1", 0), SERVICE_CONTENT);
        row = row_of(s);
        cr_assert_not_null(row.endpoints);
        cr_expect_str_eq(row.endpoints[0].host, "web-0");
        cr_expect_eq(row.endpoints[1].ordinal, 1);
        cr_expect_eq(row.port_base, 3000);
        cr_expect_eq(row.flags, KHS_REC_HOSTS_COMPLETE);
        cr_expect_eq(row.version, version + 1);
        cr_expect_eq(endpoints(s, "web-0", "web-1", 0), SERVICE_UNCHANGED, "the same again");
        cr_expect_eq(s->version, version + 1);

        /* A new address has no host yet, and is served at once. */
        cr_expect_eq(answer(s, AF_INET, three, 3, T0 + SEC), SERVICE_CONTENT);
        row = row_of(s);
        cr_expect_eq(row.n4, 3);
        cr_expect_eq(row.flags, 0);
        cr_expect_str_eq(row.endpoints[1].host, "web-1");
        cr_expect_null(row.endpoints[2].host);
        cr_expect_eq(row.endpoints[2].ordinal, -1);

        /* One that goes takes its host along; the one that comes back is a new one. */
        (void)answer(s, AF_INET, two + 4, 1, T0 + 2 * SEC);
        cr_expect_str_eq(row_of(s).endpoints[0].host, "web-1");
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        (void)answer(s, AF_INET, two, 2, T0 + 3 * SEC);
        cr_expect_null(row_of(s).endpoints[0].host);
        service_free(s);
}

Test(service, failure_keeps_hosts_and_expiry_takes_them)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)configure(s, true, &number, 1);
        (void)answer(s, AF_INET, two, 2, T0);
        (void)endpoints(s, "web-0", "web-1", 0);
        (void)failure(s, AF_INET, T0 + SEC);
        cr_expect_str_eq(row_of(s).endpoints[0].host, "web-0");
        (void)service_tick(s, T0 + SEC + MAX_STALE);
        cr_expect_null(row_of(s).endpoints);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        (void)answer(s, AF_INET, two, 2, T0 + SEC + MAX_STALE);
        cr_expect_null(row_of(s).endpoints, "learned anew");
        service_free(s);
}

Test(service, hosts_are_complete_only_with_both_families_known)
{
        struct service *s = make(KHS_FAMILY_ANY);

        (void)configure(s, true, &number, 1);
        (void)answer(s, AF_INET, two, 2, T0);
        (void)endpoints(s, "web-0", "web-1", 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN, "a host may have IPv6 only");
        (void)no(s, AF_INET6, KHS_SOURCE_KUBERNETES, T0);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        (void)answer(s, AF_INET6, six, 1, T0);
        cr_expect_eq(row_of(s).flags, 0);
        cr_expect_str_eq(row_of(s).endpoints[1].host, "web-1");
        cr_expect_null(row_of(s).endpoints[2].host);
        service_free(s);
}

Test(service, empty_has_no_host_at_all)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)configure(s, true, &number, 1);
        cr_expect_eq(row_of(s).flags, KHS_REC_V4_UNKNOWN);
        (void)no(s, AF_INET, KHS_SOURCE_KUBERNETES, T0);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        cr_expect_null(row_of(s).endpoints);
        service_free(s);
}

Test(service, default_port_is_the_first_of_the_configuration)
{
        const struct khs_port number_first[] = { number, grpc }, name_first[] = { grpc, number };
        struct service *s = make(KHS_FAMILY_IPV4);
        struct khs_row row;

        (void)answer(s, AF_INET, two, 2, T0);
        (void)configure(s, true, number_first, 2);
        (void)endpoints(s, "web-0", "web-1", 9000);
        row = row_of(s);
        cr_expect_eq(row.port, 80);
        cr_expect_eq(row.port_base, 0);
        cr_assert_eq(row.endpoints[0].n_ports, 1);
        cr_expect_eq(row.endpoints[0].ports[0].number, 9000);

        cr_expect_eq(configure(s, true, name_first, 2), SERVICE_CONTENT);
        row = row_of(s);
        cr_expect_eq(row.port, 0);
        cr_expect_str_eq(row.endpoints[0].ports[0].name, "grpc");
        cr_expect_eq(row.endpoints[0].ports[0].number, 9000, "known already");
        cr_expect_eq(configure(s, true, name_first, 2), SERVICE_UNCHANGED);
        service_free(s);
}

Test(service, hosts_turned_off_are_forgotten)
{
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)configure(s, true, &number, 1);
        (void)answer(s, AF_INET, two, 2, T0);
        (void)endpoints(s, "web-0", "web-1", 0);
        cr_expect_eq(configure(s, false, &number, 1), SERVICE_CONTENT);
        cr_expect_null(row_of(s).endpoints);
        cr_expect_eq(row_of(s).flags, 0);
        cr_expect_eq(endpoints(s, "web-0", "web-1", 0), SERVICE_UNCHANGED, "one that was on its way");
        cr_expect_null(row_of(s).endpoints);
        service_free(s);
}

Test(service, hosts_are_read_back_with_their_addresses)
{
        const struct khs_row_port port = { "grpc", 9000, IPPROTO_TCP };
        const struct khs_row_endpoint rows[] = { { .host = "web-0", .ordinal = 0, .ports = &port, .n_ports = 1 },
                                                 { .host = "web-1", .ordinal = 1 },
                                                 { .host = "web-0", .ordinal = 0 } };
        const struct khs_row_endpoint with_shared[] = { rows[0],
                                                        rows[1],
                                                        rows[2],
                                                        { .host = "web-2", .ordinal = 2, .ports = &port, .n_ports = 1 },
                                                        { .host = "web-2", .ordinal = 2 } };
        const uint16_t shared[] = { 1, 2 };
        struct khs_row row = {
                .key = "a.b",
                .n_key = 3,
                .n4 = 2,
                .v4 = two,
                .n6 = 1,
                .v6 = six,
                .version = 41,
                .endpoints = rows,
                .stale_until_ds = (uint32_t)(T0 / 100000) + 600,
                .flags = KHS_REC_HOSTS_COMPLETE,
        };
        struct service *s = make(KHS_FAMILY_ANY);

        row.policy = s->policy;
        (void)configure(s, true, &grpc, 1);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        cr_expect_str_eq(row_of(s).endpoints[1].host, "web-1");
        cr_expect_str_eq(row_of(s).endpoints[2].host, "web-0");
        cr_expect_eq(row_of(s).endpoints[0].ports[0].number, 9000);
        cr_expect_eq(row_of(s).endpoints[1].n_ports, 0);
        cr_expect_eq(row_of(s).version, 41);
        service_free(s);

        /* What was not vouched for then is not now. */
        row.flags = 0;
        s = make(KHS_FAMILY_ANY);
        (void)configure(s, true, &grpc, 1);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).flags, 0);
        cr_expect_str_eq(row_of(s).endpoints[1].host, "web-1");
        service_free(s);

        /* Hosts that shared an address. */
        row.flags = KHS_REC_HOSTS_COMPLETE;
        row.endpoints = with_shared;
        row.n_shared = 2;
        row.shared = shared;
        s = make(KHS_FAMILY_ANY);
        (void)configure(s, true, &grpc, 1);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        cr_assert_eq(row_of(s).n_shared, 2);
        cr_expect_eq(memcmp(row_of(s).shared, shared, sizeof(shared)), 0);
        cr_expect_str_eq(row_of(s).endpoints[2].host, "web-0");
        cr_expect_str_eq(row_of(s).endpoints[3].host, "web-2");
        cr_expect_eq(row_of(s).endpoints[3].ports[0].number, 9000);
        cr_expect_str_eq(row_of(s).endpoints[4].host, "web-2");
        service_free(s);
        row.n_shared = 0;

        /* One family is not wanted any more. */
        s = make(KHS_FAMILY_IPV6);
        (void)configure(s, true, &grpc, 1);
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_str_eq(row_of(s).endpoints[0].host, "web-0");
        service_free(s);
}

/* ---- findings of the whole ---- */

static struct finding_endpoint pod(uint8_t family, uint8_t last, const char *host, const char *zone)
{
        struct finding_endpoint e = {
                .family = family,
                .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
                .host = host,
                .node = "node-1",
                .zone = zone,
        };

        memcpy(e.bytes, family == AF_INET ? (uint8_t[16]){ 10, 0, 0, last } : (uint8_t[16]){ 0xfd, [15] = last }, 16);
        return e;
}

static int whole(struct service *s, const struct finding_endpoint *list, uint32_t n, uint64_t now)
{
        const struct finding finding = {
                .kind = FINDING_WHOLE,
                .source = KHS_SOURCE_KUBERNETES,
                .reason = n > 0 ? KHS_REASON_NONE : KHS_REASON_NO_SLICE,
                .n_endpoints = n,
                .endpoints = list,
        };

        return service_apply(s, &finding, now);
}

static int lost(struct service *s, uint64_t heard, uint64_t now)
{
        const struct finding finding = {
                .kind = FINDING_FAILURE,
                .source = KHS_SOURCE_KUBERNETES,
                .reason = KHS_REASON_API,
                .heard_usec = heard,
        };

        return service_apply(s, &finding, now);
}

Test(service, whole_finding_replaces_everything_at_once)
{
        struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a"), pod(AF_INET, 1, "web-1", "a"),
                                           pod(AF_INET, 2, "web-2", "b"), pod(AF_INET6, 1, "web-0", "a") };
        struct service *s = make(KHS_FAMILY_ANY);
        uint32_t version;
        struct khs_row row;

        (void)configure(s, true, &number, 1);
        (void)answer(s, AF_INET, three, 3, T0);
        version = s->version;
        list[2].flags = KHS_ATTR_SERVING | KHS_ATTR_TERMINATING;
        list[2].near = true;
        cr_expect_eq(whole(s, list, 4, T0 + SEC), SERVICE_CONTENT);
        row = row_of(s);
        cr_expect_eq(row.version, version + 1, "one change");
        cr_expect_eq(row.n4, 2);
        cr_expect_eq(row.n6, 1);
        cr_expect_arr_eq(row.v4, two, 8);
        cr_expect_eq(row.flags, KHS_REC_HOSTS_COMPLETE);
        cr_expect_eq(row.n_shared, 1);
        cr_expect_str_eq(row.endpoints[3].host, "web-1");
        cr_expect_str_eq(row.endpoints[1].zone, "b");
        cr_expect_str_eq(row.endpoints[1].node, "node-1");
        cr_expect_eq(row.endpoints[1].flags, KHS_ATTR_SERVING | KHS_ATTR_TERMINATING);
        cr_expect(row.endpoints[1].near);
        cr_expect_not(row.endpoints[0].near);
        cr_expect_eq(row.status, khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_KUBERNETES));
        cr_expect_eq(whole(s, list, 4, T0 + 2 * SEC), SERVICE_TIMES, "the same again");
        list[2].flags = KHS_ATTR_READY | KHS_ATTR_SERVING;
        cr_expect_eq(whole(s, list, 4, T0 + 2 * SEC), SERVICE_CONTENT, "a condition alone");
        cr_expect_eq(whole(s, list, 3, T0 + 2 * SEC), SERVICE_CONTENT, "no IPv6 any more");
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE, "and that is known");
        service_free(s);
}

/* DNS does not know which are near: in fallback those that stay do. */
Test(service, near_endpoints_are_near_while_they_stay_and_somebody_asks)
{
        struct service_options options = { .policy = khs_policy(1, KHS_ORDER_ZONE, KHS_FAMILY_ANY),
                                           .max_stale = MAX_STALE,
                                           .hosts = true,
                                           .near = true };
        struct finding_endpoint list[] = { { .family = AF_INET, .bytes = { 10, 0, 0, 1 }, .near = true },
                                           { .family = AF_INET, .bytes = { 10, 0, 0, 2 } } };
        struct service *s = make(KHS_FAMILY_ANY);
        struct khs_row row;
        uint32_t version;

        (void)service_configure(s, &options);
        cr_expect_eq(whole(s, list, 2, T0), SERVICE_CONTENT);
        row = row_of(s);
        cr_assert_not_null(row.endpoints, "that one is near is knowledge by itself");
        cr_expect(row.endpoints[0].near && !row.endpoints[1].near);
        list[0].near = false;
        list[1].near = true;
        cr_expect_eq(whole(s, list, 2, T0), SERVICE_CONTENT, "near is another one");
        (void)answer(s, AF_INET, three, 3, T0);
        row = row_of(s);
        cr_assert_eq(row.n4, 3);
        cr_expect(!row.endpoints[0].near && row.endpoints[1].near && !row.endpoints[2].near);
        version = s->version;
        options.near = false;
        cr_expect_eq(service_configure(s, &options), SERVICE_CONTENT);
        cr_expect_eq(s->version, version + 1);
        cr_expect_not(row_of(s).endpoints && row_of(s).endpoints[1].near);
        cr_expect_eq(service_configure(s, &options), SERVICE_UNCHANGED);
        service_free(s);
}

Test(service, whole_finding_without_endpoints_counts_at_once)
{
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a") };
        struct service *s = make(KHS_FAMILY_ANY);

        (void)whole(s, list, 1, T0);
        cr_expect_eq(whole(s, NULL, 0, T0 + 1), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY);
        cr_expect_eq(row_of(s).n4, 0);
        cr_expect_eq(row_of(s).flags, 0);
        cr_expect_str_eq(service_reason(s), "no EndpointSlice");
        cr_expect_eq(whole(s, NULL, 0, T0 + 2), SERVICE_TIMES);
        cr_expect_eq(service_tick(s, T0 + 10 * MAX_STALE), SERVICE_TIMES, "an open watch confirms it");
        cr_expect_eq(service_state(s), KHS_SERVICE_EMPTY);
        service_free(s);
}

Test(service, what_stands_is_confirmed_when_half_of_max_stale_is_gone)
{
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a") };
        struct service *s = make(KHS_FAMILY_IPV4);
        uint64_t t = T0 + MAX_STALE / 2;

        (void)whole(s, list, 1, T0);
        cr_expect_eq(row_of(s).fresh_until_ds, row_of(s).stale_until_ds);
        cr_expect_eq(service_tick(s, t - 1), SERVICE_UNCHANGED);
        cr_expect_eq(service_tick(s, t), SERVICE_TIMES);
        cr_expect_eq(row_of(s).stale_until_ds, (uint32_t)((t + MAX_STALE) / 100000));

        /* The watch was silent for a while before that was noticed. */
        cr_expect_eq(lost(s, T0 + 10 * SEC, t + SEC), SERVICE_TIMES);
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        cr_expect_eq(row_of(s).stale_until_ds, (uint32_t)((T0 + 10 * SEC + MAX_STALE) / 100000));
        cr_expect_eq(service_tick(s, T0 + 10 * SEC + MAX_STALE - 1), SERVICE_UNCHANGED);

        cr_expect_eq(whole(s, list, 1, t + 2 * SEC), SERVICE_TIMES);
        cr_expect_eq(service_state(s), KHS_SERVICE_FRESH);
        (void)lost(s, 0, t + 3 * SEC);
        cr_expect_eq(service_tick(s, t + 3 * SEC + MAX_STALE), SERVICE_CONTENT);
        cr_expect_eq(service_state(s), KHS_SERVICE_EXPIRED);
        service_free(s);
}

Test(service, dns_in_fallback_keeps_what_the_api_said_of_an_address)
{
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a"), pod(AF_INET, 2, "web-1", "b") };
        const struct finding fallback = { .kind = FINDING_ANSWER,
                                          .family = AF_INET,
                                          .source = KHS_SOURCE_DNS,
                                          .reason = KHS_REASON_FORBIDDEN,
                                          .n_addrs = 2,
                                          .addrs = three + 4 };
        struct service *s = make(KHS_FAMILY_IPV4);

        (void)configure(s, true, &number, 1);
        (void)whole(s, list, 2, T0);
        cr_expect_eq(service_apply(s, &fallback, T0 + 20 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).status, khs_status(KHS_SERVICE_FRESH, KHS_REASON_FORBIDDEN, KHS_SOURCE_DNS));
        cr_expect_str_eq(row_of(s).endpoints[0].zone, "b");
        cr_expect_null(row_of(s).endpoints[1].zone);
        cr_expect_eq(endpoints(s, NULL, "web-1", 0), SERVICE_UNCHANGED, "DNS knows no zone, and takes none away");
        cr_expect_str_eq(row_of(s).endpoints[0].zone, "b");
        (void)no(s, AF_INET, KHS_SOURCE_DNS, T0 + 30 * SEC);
        cr_expect_eq(row_of(s).n4, 2, "by its own rules");
        cr_expect_eq(whole(s, list, 2, T0 + 32 * SEC), SERVICE_CONTENT);
        cr_expect_arr_eq(row_of(s).v4, two, 8);
        service_free(s);
}

Test(service, filter_refuses_what_can_not_be_a_pod)
{
        static const uint8_t special[] = { 10, 0, 0, 1, 127, 0, 0, 1, 224, 0, 0, 1 };
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a"), pod(AF_INET, 9, "web-1", "a"),
                                                 pod(AF_INET6, 1, "web-0", "a") };
        const struct network eight = { .family = AF_INET, .prefix = 29, .bytes = { 10 } };
        struct filter filter = { .n_allow_cidr = 0 };
        struct service *s = make(KHS_FAMILY_ANY);

        s->filter = &filter;
        (void)configure(s, true, &number, 1);
        s->filter = &filter;
        cr_expect_eq(answer(s, AF_INET, special, 3, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).n4, 1);
        cr_expect_eq(filter.n_dropped, 2);
        cr_expect_eq(answer(s, AF_INET, special + 4, 2, T0 + SEC), SERVICE_TIMES, "nothing is left of it");
        cr_expect_eq(service_state(s), KHS_SERVICE_STALE);
        cr_expect_str_eq(service_reason(s), "no address is allowed");
        cr_expect_eq(row_of(s).n4, 1);

        filter.allow_cidr = &eight;
        filter.n_allow_cidr = 1;
        cr_expect_eq(whole(s, list, 3, T0 + 2 * SEC), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).n4, 1);
        cr_expect_str_eq(row_of(s).endpoints[0].host, "web-0");
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN, "there are some, but none that we may tell");
        cr_expect_eq(filter.n_dropped, 6);
        service_free(s);
}

Test(service, filter_holds_for_an_earlier_table)
{
        const struct network one = { .family = AF_INET, .prefix = 32, .bytes = { 10, 0, 0, 2 } };
        struct filter filter = { .allow_cidr = &one, .n_allow_cidr = 1 };
        struct service *s = make(KHS_FAMILY_ANY);
        const struct khs_row row = {
                .key = "a.b",
                .n_key = 3,
                .n4 = 2,
                .v4 = two,
                .n6 = 1,
                .v6 = six,
                .version = 41,
                .stale_until_ds = (uint32_t)(T0 / 100000) + 600,
        };

        s->filter = &filter;
        cr_expect_eq(service_seed(s, &row, T0), 0);
        cr_expect_eq(row_of(s).n4, 1);
        cr_expect_arr_eq(row_of(s).v4, two + 4, 4);
        cr_expect_eq(row_of(s).n6, 0);
        cr_expect_eq(row_of(s).flags, KHS_REC_V6_UNKNOWN);
        cr_expect_eq(row_of(s).version, 42);
        service_free(s);
}

Test(service, truncated_is_told_until_all_fit)
{
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a") };
        const struct finding finding = { .kind = FINDING_WHOLE,
                                         .source = KHS_SOURCE_KUBERNETES,
                                         .truncated = true,
                                         .n_endpoints = 1,
                                         .endpoints = list };
        struct service *s = make(KHS_FAMILY_IPV4);

        cr_expect_eq(service_apply(s, &finding, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_TRUNCATED);
        (void)configure(s, true, NULL, 0);
        cr_expect_eq(service_apply(s, &finding, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_TRUNCATED, "nobody knows what the others are called");
        cr_expect_eq(whole(s, list, 1, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(s).flags, KHS_REC_HOSTS_COMPLETE);
        service_free(s);
}

Test(service, not_headless_is_told_to_the_next_daemon)
{
        const struct finding_endpoint list[] = { pod(AF_INET, 1, "web-0", "a") };
        const struct finding finding = { .kind = FINDING_WHOLE,
                                         .source = KHS_SOURCE_KUBERNETES,
                                         .not_headless = true,
                                         .n_endpoints = 1,
                                         .endpoints = list };
        struct service *s = make(KHS_FAMILY_IPV4), *next = make(KHS_FAMILY_IPV4);
        struct khs_row row;

        (void)whole(s, list, 1, T0);
        cr_expect_eq(service_apply(s, &finding, T0), SERVICE_CONTENT);
        row = row_of(s);
        cr_expect_eq(row.flags, KHS_REC_NOT_HEADLESS);
        cr_expect_eq(service_seed(next, &row, T0), 0);
        cr_expect(next->not_headless);
        cr_expect_eq(answer(next, AF_INET, two, 2, T0), SERVICE_CONTENT);
        cr_expect_eq(row_of(next).flags, 0, "of DNS alone");
        service_free(next);
        service_free(s);
}
