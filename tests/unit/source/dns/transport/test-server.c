/*
 * One DNS server, by its transports: which is used, when it is down, where it stands, and what is made of
 * replies that say nothing.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/util.h"
#include "dns-server-fixture.h"
#include "source/dns/transport/server.h"
#include "wire/answer.h"
#include "wire/rewrite.h"

#define SEC USEC_PER_SEC

struct ask {
        struct dns_query query;
        bool done;
        int error;
        uint8_t rcode;
};

static struct dns_server_context context;
static struct dns_server *server;
static struct server peer;
static struct dns_name name;
static struct ask asks[64];
static unsigned int n_done, n_changes;

static void on_change(void *userdata, struct dns_server *changed)
{
        (void)userdata;
        cr_assert_eq(changed, server);
        n_changes++;
}

static void on_done(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                    const struct dns_question *question)
{
        struct ask *ask = container_of(query, struct ask, query);

        (void)question;
        cr_assert_not(ask->done);
        cr_assert(error < 0 || n_packet >= 12);
        ask->done = true;
        ask->error = error;
        ask->rcode = error < 0 ? 0xff : packet[3] & 0x0f;
        n_done++;
}

static void setup(void)
{
        cr_assert_geq(sd_event_new(&event), 0);
        peer = server_open();
        context = (struct dns_server_context){ .event = event, .transport = DNS_TCP, .on_change = on_change };
        cr_assert_eq(dns_name_parse(&context.domain, "cluster.local"), 0);
        cr_assert_eq(dns_name_parse(&name, "user-svc.default.svc.cluster.local"), 0);
}

static void teardown(void)
{
        server = dns_server_free(server);
        server_close(&peer);
        event = sd_event_unref(event);
}

TestSuite(dns_server, .init = setup, .fini = teardown, .timeout = 30);

static void begin(void)
{
        const struct address address = server_address(&peer);

        cr_assert_eq(dns_server_new(&server, &context, &address, 1), 0);
}

static int ask(struct ask *ask, enum dns_transport transport)
{
        *ask = (struct ask){ .query = { .done = on_done } };
        return dns_server_ask(server, &ask->query, &name, DNS_TYPE_A, transport);
}

static void run_for(uint64_t usec)
{
        for (uint64_t end = usec_now() + usec; usec_now() < end;)
                cr_assert_geq(sd_event_run(event, 10000), 0);
}

/* Asks @n questions, again what is to be asked again, until all have ended otherwise. */
static void ask_all(unsigned int n, enum dns_transport transport, uint64_t usec)
{
        bool asked[64] = { false };

        for (uint64_t end = usec_now() + usec; usec_now() < end;) {
                unsigned int n_ended = 0;

                for (unsigned int i = 0; i < n; i++) {
                        bool again = asked[i] && asks[i].done && asks[i].error == -ECANCELED;

                        if ((!asked[i] || again) && dns_server_is_up(server) && dns_server_has_room(server, transport))
                                asked[i] = ask(&asks[i], transport) == 0;
                        n_ended += asked[i] && asks[i].done && asks[i].error != -ECANCELED;
                }
                if (n_ended == n)
                        return;
                cr_assert_geq(sd_event_run(event, 1000), 0);
        }
        cr_assert_fail("not all have ended");
}

static unsigned int n_answered(unsigned int n)
{
        unsigned int n_good = 0;

        for (unsigned int i = 0; i < n; i++)
                n_good += asks[i].done && asks[i].error == 0 && asks[i].rcode == 0;
        return n_good;
}

Test(dns_server, tcp_is_one_connection)
{
        server_listen_tcp(&peer);
        server_listen_udp(&peer);
        begin();
        ask_all(40, DNS_ANY, SEC);
        cr_expect_eq(n_answered(40), 40);
        cr_expect_eq(peer.n_tcp, 40);
        cr_expect_eq(peer.n_udp, 0);
        cr_expect_eq(peer.n_connections, 1);
        cr_expect(dns_server_has_answered(server));
}

Test(dns_server, refused_tcp_leaves_udp_and_refused_udp_leaves_nothing)
{
        server_listen_udp(&peer);
        begin();
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(asks[0].error, -ECONNREFUSED);
        cr_expect(dns_server_is_up(server));
        cr_expect_not(dns_server_tcp_works(server));
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(n_answered(1), 1);
        cr_expect_eq(peer.n_udp, 1);

        server_close(&peer);
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(asks[0].error, -ECONNREFUSED);
        cr_expect_not(dns_server_is_up(server));
        cr_expect_eq(dns_server_error(server), -ECONNREFUSED);
        cr_expect_eq(ask(&asks[0], DNS_ANY), -EHOSTDOWN);
        cr_expect_eq(n_changes, 1);

        server_listen_udp(&peer);
        run_for(5 * SEC / 2);
        cr_expect(dns_server_is_up(server));
        cr_expect_eq(n_changes, 2);
}

Test(dns_server, freed_it_ends_what_is_in_flight)
{
        server_listen_tcp(&peer);
        peer.tcp = SILENT;
        begin();
        cr_assert_eq(ask(&asks[0], DNS_ANY), 0);
        cr_assert_eq(ask(&asks[1], DNS_ANY), 0);
        dns_query_cancel(&asks[1].query);
        server = dns_server_free(server);
        cr_expect(asks[0].done && asks[0].error == -ECANCELED);
        cr_expect_not(asks[1].done);
}

/* ---- standing ---- */

Test(dns_server, shows_the_cluster_by_its_soa)
{
        server_listen_tcp(&peer);
        begin();
        cr_expect_eq(dns_server_standing(server), DNS_UNKNOWN);
        dns_server_introduce(server);
        dns_server_introduce(server);
        run_for(SEC / 10);
        cr_expect_eq(dns_server_standing(server), DNS_SHOWN);
        cr_expect_eq(peer.n_probes, 1);

        /* A denial counts only where nothing was shown for five minutes. */
        for (unsigned int i = 0; i < 5; i++)
                dns_server_deny_cluster(server);
        cr_expect_eq(dns_server_standing(server), DNS_SHOWN);
}

Test(dns_server, without_the_soa_it_shows_nothing_and_may_deny)
{
        server_listen_tcp(&peer);
        peer.hides_soa = true;
        begin();
        dns_server_introduce(server);
        run_for(SEC / 10);
        cr_expect_eq(peer.n_probes, 1);
        for (unsigned int i = 0; i < 3; i++) {
                cr_expect_eq(dns_server_standing(server), DNS_UNKNOWN);
                dns_server_deny_cluster(server);
        }
        cr_expect_eq(dns_server_standing(server), DNS_DENIED);
        dns_server_has_addresses(server);
        cr_expect_eq(dns_server_standing(server), DNS_UNKNOWN);
        for (unsigned int i = 0; i < 5; i++)
                dns_server_deny_cluster(server);
        cr_expect_eq(dns_server_standing(server), DNS_UNKNOWN, "it has answered for another name");
        dns_server_show_cluster(server);
        cr_expect_eq(dns_server_standing(server), DNS_SHOWN);
}

Test(dns_server, silence_about_the_soa_is_not_counted)
{
        server_listen_tcp(&peer);
        server_listen_udp(&peer);
        peer.drops_soa = true;
        begin();
        ask_all(1, DNS_ANY, SEC);
        peer.tcp = SILENT;
        dns_server_introduce(server);
        run_for(SEC / 10);
        cr_assert_eq(ask(&asks[0], DNS_ANY), 0); /* one that is lost, beside the probe */
        run_for(SEC * 22 / 10);
        cr_expect_eq(asks[0].error, -ETIMEDOUT);
        cr_expect_eq(peer.n_probes, 1);
        cr_expect(dns_server_tcp_works(server));
        peer.tcp = ANSWER;
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(peer.n_tcp, 3);
        cr_expect_eq(n_changes, 0);
}

Test(dns_server, one_that_has_never_answered_is_given_up_by_probes_alone)
{
        server_listen_tcp(&peer);
        server_listen_udp(&peer);
        peer.tcp = peer.udp = SILENT;
        begin();
        dns_server_introduce(server);
        run_for(12 * SEC);
        cr_expect_not(dns_server_is_up(server));
        cr_expect_eq(dns_server_error(server), -ETIMEDOUT);
        peer.tcp = peer.udp = ANSWER;
        run_for(5 * SEC / 2);
        cr_expect(dns_server_is_up(server));
        cr_expect_eq(dns_server_standing(server), DNS_SHOWN);
}

/* ---- connections ---- */

Test(dns_server, connection_to_a_cache_is_soon_replaced)
{
        server_listen_tcp(&peer);
        peer.cached = true;
        begin();
        ask_all(1, DNS_ANY, SEC);
        run_for(6 * SEC / 10);
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(peer.n_connections, 2);
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(peer.n_connections, 2, "not for each question");

        /* What is in flight by the old one is waited for. */
        peer.tcp = SILENT;
        cr_assert_eq(ask(&asks[1], DNS_ANY), 0);
        run_for(6 * SEC / 10);
        peer.tcp = ANSWER;
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(peer.n_connections, 3);
        cr_expect_not(asks[1].done);
        run_for(16 * SEC / 10);
        cr_expect(asks[1].done && asks[1].error == -ETIMEDOUT);
}

Test(dns_server, connection_to_an_authority_stays)
{
        server_listen_tcp(&peer);
        begin();
        for (unsigned int i = 0; i < 4; i++) {
                ask_all(1, DNS_ANY, SEC);
                run_for(6 * SEC / 10);
        }
        cr_expect_eq(peer.n_connections, 1);
}

Test(dns_server, one_answer_a_connection_serves_sixty)
{
        server_listen_tcp(&peer);
        peer.one_answer = true;
        begin();
        ask_all(60, DNS_ANY, 10 * SEC);
        cr_expect_eq(n_answered(60), 60, "%u", n_answered(60));
        cr_expect_eq(n_changes, 0);
        cr_expect(dns_server_tcp_works(server));
}

/* ---- EDNS ---- */

Test(dns_server, formerr_means_without_edns)
{
        server_listen_udp(&peer);
        peer.formerr_to_opt = true;
        context.transport = DNS_UDP;
        begin();
        ask_all(60, DNS_ANY, 5 * SEC);
        cr_expect_eq(n_answered(60), 60, "%u", n_answered(60));
        peer.n_opts = 0;
        ask_all(60, DNS_ANY, 5 * SEC);
        cr_expect_eq(n_answered(60), 60);
        cr_expect(peer.n_opts == 0 || DNS_HAVE_RECORDS, "it is remembered; newer c-ares asks each again by itself");
        cr_expect_eq(n_changes, 0);
}

Test(dns_server, formerr_of_a_header_is_found_out_by_probes)
{
        server_listen_udp(&peer);
        peer.formerr_alone = true;
        context.transport = DNS_UDP;
        begin();
        ask_all(2, DNS_ANY, 5 * SEC);
        cr_expect_eq(n_answered(2), 0);
        run_for(3 * SEC);
        cr_assert(dns_server_is_up(server));
        ask_all(60, DNS_ANY, SEC);
        cr_expect_eq(n_answered(60), 60);
}

/* c-ares 1.18 takes eleven bytes from a question that it believes to have an OPT record. */
Test(dns_server, formerr_without_edns_leaves_questions_whole)
{
        server_listen_udp(&peer);
        peer.udp = FORMERR;
        context.transport = DNS_UDP;
        begin();
        for (unsigned int i = 0; i < 3; i++)
                ask_all(10, DNS_ANY, SEC);
        cr_expect_eq(asks[0].error, 0);
        cr_expect_eq(asks[0].rcode, DNS_RCODE_FORMERR);
        cr_expect_eq(peer.n_malformed, 0);
        cr_expect(dns_server_is_up(server));
}

Test(dns_server, loss_does_not_end_edns)
{
        server_listen_udp(&peer);
        context.transport = DNS_UDP;
        begin();
        peer.udp = SILENT;
        ask_all(2, DNS_ANY, 5 * SEC);
        peer.udp = TRUNCATED; /* also what is answered without EDNS */
        run_for(3 * SEC);
        cr_assert(dns_server_is_up(server));
        ask_all(1, DNS_ANY, SEC);
        peer.n_opts = 0;
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(peer.n_opts, 1);
}

/* ---- our own shortage ---- */

/* Return: how many descriptors were opened until there was none left. */
static unsigned int use_up_descriptors(int ret[static 64])
{
        struct rlimit limit;
        unsigned int n = 0;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = 64;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        while ((ret[n] = dup(0)) >= 0)
                n++;
        cr_assert_eq(errno, EMFILE);
        return n;
}

Test(dns_server, lack_of_descriptors_is_not_the_servers)
{
        unsigned int n_fds;
        int fds[64];

        server_listen_tcp(&peer);
        peer.one_answer = true;
        begin();
        ask_all(1, DNS_TCP, SEC);
        run_for(SEC / 10); /* the connection is closed */
        n_fds = use_up_descriptors(fds);
        for (enum dns_transport transport = DNS_TCP; transport <= DNS_UDP; transport++) {
                cr_assert_eq(ask(&asks[0], transport), 0);
                cr_expect(asks[0].done && asks[0].error == -EMFILE, "%d", asks[0].error);
        }
        cr_expect(dns_server_is_up(server));
        cr_expect(dns_server_tcp_works(server));
        while (n_fds > 0)
                close(fds[--n_fds]);
        ask_all(1, DNS_ANY, SEC);
        cr_expect_eq(n_answered(1), 1);
        cr_expect_eq(n_changes, 0);
}
