/* Which addresses of a service are served where some are near: by every order, policy and family. */

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "answer/lookup.h"
#include "rundir-fixture.h"
#include "table/policy.h"

#define N_TURNS 60

static const char *const hosts[] = { "web-0", "web-1", "web-2", "web-3", "web-4",
                                     "web-5", "web-6", "web-7", "web-8", "web-9" };

static bool is_near(char c)
{
        return c == 'n';
}

/*
 * web.default as a text draws it, "n.n/.n": near addresses and others of each family. Behind a second slash, for each
 * further endpoint, the place of the address that it shares.
 */
static void put_drawn(struct fixture *f, const char *drawn, uint32_t policy)
{
        size_t n4 = strcspn(drawn, "/"), n6 = strcspn(drawn + n4 + 1, "/");
        struct khs_row row = fixture_row("web.default", 0, (uint32_t)n4, (uint32_t)n6);
        const char *at = drawn + n4 + 1 + n6;
        static uint16_t version = 1, shared[4];
        struct khs_row_endpoint endpoints[16];
        static const struct khs_row_port ports[] = { { "grpc", 7000, IPPROTO_TCP } };
        uint32_t n = 0;

        for (const char *c = drawn; c < at; c++)
                if (*c != '/')
                        endpoints[n++] = (struct khs_row_endpoint){ .near = is_near(*c) };
        for (row.n_shared = 0; *at && at[1 + row.n_shared]; row.n_shared++)
                shared[row.n_shared] = (uint16_t)(at[1 + row.n_shared] - '0');
        for (uint32_t i = 0; i < n + row.n_shared; i++) {
                if (i >= n)
                        endpoints[i] = (struct khs_row_endpoint){ .near = false };
                endpoints[i].host = hosts[i];
                endpoints[i].ordinal = (int32_t)i;
                endpoints[i].ports = ports;
                endpoints[i].n_ports = 1;
        }
        row.shared = shared;
        row.endpoints = endpoints;
        row.policy = policy;
        row.port = 0;
        row.version = version++;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

/* How often each address was served, and was the first of its family, and each host was where rows are asked for. */
struct served {
        uint32_t n4[16], n6[16], first4[16], first6[16], hosts[16];
        bool rows;
};

static int plan_any(struct khs_lookup *l, void *user)
{
        const struct served *s = user;

        if (s->rows && l->n_pod == 0) {
                cr_assert_eq(khs_attrs_open(l->view, &l->found, &l->attrs), 0);
                khs_lookup_shared(l);
        }
        return 0;
}

static void count_rows(const struct khs_lookup *l, struct served *s, int family, uint32_t n)
{
        for (uint32_t i = 0; s->rows && i < n; i++) {
                uint32_t number = khs_lookup_row(l, family, i);
                struct khs_attr_row row;

                cr_assert_lt(number, l->attrs.n_rows);
                khs_attrs_row(l->view, &l->attrs, number, &row);
                s->hosts[khs_attr_ordinal(&row)]++;
        }
}

static void count(const struct khs_lookup *l, void *user)
{
        uint8_t v4[64][4], v6[64][16];
        struct served *s = user;

        if (l->v4.count > 0)
                khs_lookup_copy(l, AF_INET, v4, sizeof(v4[0]));
        if (l->v6.count > 0)
                khs_lookup_copy(l, AF_INET6, v6, sizeof(v6[0]));
        for (uint32_t i = 0; i < l->v4.count; i++)
                s->n4[v4[i][3]]++;
        for (uint32_t i = 0; i < l->v6.count; i++)
                s->n6[v6[i][15]]++;
        if (l->v4.count > 0)
                s->first4[v4[0][3]]++;
        if (l->v6.count > 0)
                s->first6[v6[0][15]]++;
        count_rows(l, s, AF_INET, l->v4.count);
        count_rows(l, s, AF_INET6, l->v6.count);
}

static struct served serve(const char *name, int family, bool all, bool far, bool rows)
{
        const struct khs_query query = {
                .name = name, .n_name = strlen(name), .family = family, .all = all, .far = far
        };
        struct served ret = { .rows = rows };

        for (int i = 0; i < N_TURNS; i++)
                cr_assert_eq(khs_lookup(&query, plan_any, count, &ret), 0);
        return ret;
}

/* Those that were served at all, as they are drawn: "n.n/.n". */
static const char *drawn_of(const uint32_t *n4, const uint32_t *n6, const char *drawn)
{
        static char text[32];
        size_t six = strcspn(drawn, "/") + 1;

        (void)snprintf(text, sizeof(text), "%s", drawn);
        for (size_t i = 0; text[i]; i++)
                if (text[i] != '/')
                        text[i] = (i < six ? n4[i] : n6[i - six]) > 0 ? '*' : '.';
        return text;
}

static const struct {
        const char *drawn;
        enum khs_order order;
        const char *served;
} cases[] = {
        { "n.n./.n", KHS_ORDER_ZONE, "*.*./.*" },   { "n.n./.n", KHS_ORDER_NODE, "*.*./.*" },
        { "n.n./.n", KHS_ORDER_ROTATE, "****/**" }, { "n.n./.n", KHS_ORDER_RANDOM, "****/**" },
        { "..../..", KHS_ORDER_ZONE, "****/**" },   { "nnnn/nn", KHS_ORDER_ZONE, "****/**" },
        { ".../..n", KHS_ORDER_ZONE, "***/..*" }, /* each family by itself */
        { "..n/...", KHS_ORDER_ZONE, "..*/***" },   { "n/", KHS_ORDER_ZONE, "*/" },
        { "/.n", KHS_ORDER_ZONE, "/.*" },           { "....n...n/", KHS_ORDER_NODE, "....*...*/" },
};

static void check_even(const uint32_t *n, const char *what, const char *drawn)
{
        uint32_t least = UINT32_MAX, most = 0;

        for (int i = 0; i < 16; i++) {
                least = n[i] > 0 && n[i] < least ? n[i] : least;
                most = n[i] > most ? n[i] : most;
        }
        cr_expect(most == 0 || most - least <= 3, "%s of %s: %u to %u", what, drawn, least, most);
}

Test(lookup, serves_the_near_addresses_of_each_family_and_all_where_none_is_near)
{
        static const uint32_t answers[] = { KHS_ANSWERS_ALL, 1, KHS_ANSWERS_AUTO, 2 };
        struct fixture f;

        rundir_init(&f);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                for (size_t a = 0; a < sizeof(answers) / sizeof(answers[0]); a++) {
                        struct served s;

                        put_drawn(&f, cases[i].drawn, khs_policy(answers[a], cases[i].order, KHS_FAMILY_ANY));
                        for (int all = 0; all < 2; all++) {
                                s = serve("web.default", AF_UNSPEC, all, false, false);
                                cr_expect_str_eq(drawn_of(s.n4, s.n6, cases[i].drawn), cases[i].served, "%s, %u: %s",
                                                 cases[i].drawn, answers[a], drawn_of(s.n4, s.n6, cases[i].drawn));
                                if (cases[i].order == KHS_ORDER_RANDOM)
                                        continue;
                                check_even(s.first4, "IPv4", cases[i].drawn);
                                check_even(s.first6, "IPv6", cases[i].drawn);
                        }
                        if (cases[i].drawn[0] == '/')
                                continue;
                        s = serve("web.default", AF_INET, false, false, false);
                        cr_expect_eq(strncmp(drawn_of(s.n4, s.n6, cases[i].drawn), cases[i].served,
                                             strcspn(cases[i].drawn, "/")),
                                     0);
                }
        }
        khs_writer_free(f.writer);
        (void)close(f.dir_fd);
}

Test(lookup, serves_the_others_too_to_those_who_ask_for_them)
{
        struct served s;
        struct fixture f;

        rundir_init(&f);
        put_drawn(&f, "n.n./.n", khs_policy(1, KHS_ORDER_ZONE, KHS_FAMILY_ANY));
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        s = serve("web.default", AF_UNSPEC, true, true, false);
        cr_expect_str_eq(drawn_of(s.n4, s.n6, "n.n./.n"), "****/**");
        s = serve("web-1.web.default", AF_UNSPEC, false, false, false);
        cr_expect_str_eq(drawn_of(s.n4, s.n6, "n.n./.n"), ".*../..", "a pod's name means that pod");
        khs_writer_free(f.writer);
        (void)close(f.dir_fd);
}

/* Endpoints of shared addresses: places 0..5 are web-0 .. web-5, then come those that share one. */
Test(lookup, serves_every_endpoint_of_a_near_address)
{
        static const struct {
                const char *drawn;
                int family;
                bool far;
                const char *served; /* which of web-0, web-1, ... */
        } rows[] = {
                { "n.n./.n/0135", AF_UNSPEC, false, "*.*..**..*" }, { "n.n./.n/0135", AF_INET, false, "*.*...*..." },
                { "n.n./.n/0135", AF_INET6, false, ".....*...*" },  { "n.n./.n/0135", AF_UNSPEC, true, "**********" },
                { "..../.n/0135", AF_UNSPEC, false, "****.*****" }, { "n.n./../0145", AF_UNSPEC, false, "*.*.***.**" },
                { "n.n./../0145", AF_INET6, false, "....**..**" },  { "n.n./.n/4455", AF_INET6, false, ".....*..**" },
        };
        struct fixture f;

        rundir_init(&f);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[16] = "..........";
                struct served s;

                put_drawn(&f, rows[i].drawn, khs_policy(1, KHS_ORDER_ZONE, KHS_FAMILY_ANY));
                s = serve("web.default", rows[i].family, true, rows[i].far, true);
                for (int host = 0; host < 10; host++)
                        if (s.hosts[host] > 0)
                                text[host] = '*';
                cr_expect_str_eq(text, rows[i].served, "%s: %s instead of %s", rows[i].drawn, text, rows[i].served);
                for (int host = 0; host < 10; host++)
                        cr_expect(s.hosts[host] == 0 || s.hosts[host] == N_TURNS, "%s: web-%d %u times", rows[i].drawn,
                                  host, s.hosts[host]);
        }
        khs_writer_free(f.writer);
        (void)close(f.dir_fd);
}
