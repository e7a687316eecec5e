/* Two sources held as one: who is followed, and what of their reports is passed on. */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdarg.h>

#include "base/log.h"
#include "base/util.h"
#include "fake-source.h"
#include "source/fallback.h"

#define GRACE (100 * USEC_PER_MSEC)

static sd_event *event;
static struct source *fallback;
static struct fake_source kube, dns;
static int n_freed;
static char logged[1024];

/* What came through. */
static struct {
        unsigned int n;
        char key[64];
        struct finding finding;
        unsigned int n_discovered;
} heard;

void log_message(int priority, const char *format, ...)
{
        size_t n = strlen(logged);
        va_list args;

        (void)priority;
        va_start(args, format);
        n += (size_t)vsnprintf(logged + n, sizeof(logged) - n, format, args);
        va_end(args);
        (void)snprintf(logged + n, sizeof(logged) - n, "\n");
}

static void on_report(void *userdata, const char *key, const struct finding *finding)
{
        (void)userdata;
        heard.n++;
        (void)snprintf(heard.key, sizeof(heard.key), "%s", key);
        heard.finding = *finding;
}

static void on_discovered(void *userdata, const char *namespace, const char *name, bool present)
{
        (void)userdata;
        (void)namespace;
        (void)name;
        heard.n_discovered += present;
}

static const struct source_service services[] = {
        { .key = "a.x", .namespace = "x", .source = KHS_SOURCE_KUBERNETES },
        { .key = "b.x", .namespace = "x", .source = KHS_SOURCE_KUBERNETES },
        { .key = "c.x", .namespace = "x", .source = KHS_SOURCE_DNS },
        { .key = "pods.x", .namespace = "x", .source = KHS_SOURCE_KUBERNETES, .selector = "app=pods" },
};

static void update(size_t n_services, bool report_again)
{
        const struct source_reports reports = { on_report, on_discovered, NULL };
        const struct source_set set = { .services = services, .n_services = n_services, .report_again = report_again };

        cr_assert_eq(source_start(fallback, &reports, &set), 0);
}

static void update_one(const struct source_service *service)
{
        const struct source_set set = { .services = service, .n_services = 1 };

        cr_assert_eq(source_update(fallback, &set), 0);
}

static void run(uint64_t usec)
{
        for (uint64_t end = usec_now() + usec; usec_now() < end;)
                cr_assert_geq(sd_event_run(event, 5000), 0);
}

static void setup(void)
{
        kube = (struct fake_source){ .source.ops = &fake_kube_ops, .freed = &n_freed };
        dns = (struct fake_source){ .source.ops = &fake_dns_ops, .freed = &n_freed };
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(source_fallback_new(&fallback, event, &kube.source, &dns.source, KHS_SOURCE_KUBERNETES, GRACE), 0);
        update(4, false);
}

static void teardown(void)
{
        source_free(fallback);
        cr_expect_eq(n_freed, 2);
        sd_event_unref(event);
}

TestSuite(fallback, .init = setup, .fini = teardown, .timeout = 20);

static void all_answer(void)
{
        fake_whole(&kube, "a.x", 1, false);
        fake_whole(&kube, "b.x", 2, false);
        fake_whole(&kube, "pods.x", 3, false);
}

Test(fallback, each_service_goes_to_its_own_source)
{
        cr_expect_str_eq(kube.services, "a.x b.x pods.x");
        cr_expect_str_eq(dns.services, "c.x");
        cr_expect(fallback->ops->serves_sections);
        cr_expect(fallback->ops->knows_hosts(fallback, &services[0]));
        cr_expect_not(fallback->ops->knows_hosts(fallback, &services[2]), "DNS has to ask");

        fake_answer(&dns, "c.x", KHS_SOURCE_DNS, 9);
        cr_expect_str_eq(heard.key, "c.x");
        cr_expect_eq(heard.finding.reason, KHS_REASON_NONE);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 9);
        cr_expect_eq(heard.n, 1, "nobody asked it for a.x");
        source_discovered(&kube.source, "x", "new", true);
        cr_expect_eq(heard.n_discovered, 1);
}

Test(fallback, failure_within_the_grace_changes_no_source)
{
        all_answer();
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        cr_expect_eq(heard.finding.kind, FINDING_FAILURE, "the service is stale meanwhile");
        run(GRACE / 2);
        fake_whole(&kube, "a.x", 1, false);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "c.x");
        cr_expect_str_eq(logged, "");
}

Test(fallback, second_is_followed_after_the_grace_and_says_why)
{
        all_answer();
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_TIMEOUT);
        fake_failure(&kube, "b.x", KHS_SOURCE_KUBERNETES, KHS_REASON_TLS);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "a.x b.x c.x");
        cr_expect_str_eq(kube.services, "a.x b.x pods.x", "the first goes on trying");
        cr_expect_not_null(strstr(logged, "DNS is asked for 2 services"), "%s", logged);
        cr_expect_eq(strchr(logged, '\n') - logged + 1, (long)strlen(logged), "one line: %s", logged);

        fake_answer(&dns, "b.x", KHS_SOURCE_DNS, 7);
        cr_expect_eq(heard.finding.source, KHS_SOURCE_DNS);
        cr_expect_eq(heard.finding.kind, FINDING_ANSWER);
        cr_expect_eq(heard.finding.reason, KHS_REASON_TLS, "also while fresh");
        heard.n = 0;
        fake_failure(&kube, "b.x", KHS_SOURCE_KUBERNETES, KHS_REASON_FORBIDDEN);
        cr_expect_eq(heard.n, 0, "nobody needs to hear that it still fails");
        fake_failure(&dns, "b.x", KHS_SOURCE_DNS, KHS_REASON_SERVFAIL);
        cr_expect_eq(heard.finding.reason, KHS_REASON_FORBIDDEN);
}

Test(fallback, first_report_of_the_first_takes_the_service_back)
{
        all_answer();
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        fake_failure(&kube, "b.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        run(2 * GRACE);
        cr_assert_str_eq(dns.services, "a.x b.x c.x");
        logged[0] = '\0';
        fake_whole(&kube, "a.x", 1, false);
        fake_whole(&kube, "b.x", 0, false);
        cr_expect_eq(heard.finding.kind, FINDING_WHOLE);
        cr_expect_eq(heard.finding.n_endpoints, 0, "an empty list is an answer");
        heard.n = 0;
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 7);
        cr_expect_eq(heard.n, 0, "one that was on its way");
        run(GRACE);
        cr_expect_str_eq(dns.services, "c.x");
        cr_expect_not_null(strstr(logged, "answers again for 2 services"), "%s", logged);
        cr_expect_eq(strchr(logged, '\n') - logged + 1, (long)strlen(logged), "one line: %s", logged);
}

Test(fallback, what_dns_does_not_know_stays_with_its_last_good_answer)
{
        all_answer();
        fake_whole(&kube, "b.x", 2, true);
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        fake_failure(&kube, "b.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        fake_failure(&kube, "pods.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "a.x c.x");
}

Test(fallback, silence_from_the_beginning_is_a_failure)
{
        fake_whole(&kube, "a.x", 1, false);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "b.x c.x");
        fake_answer(&dns, "b.x", KHS_SOURCE_DNS, 7);
        cr_expect_eq(heard.finding.reason, KHS_REASON_TIMEOUT);
}

Test(fallback, update_keeps_what_goes_on)
{
        all_answer();
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        run(2 * GRACE);
        update(2, true);
        cr_expect_str_eq(kube.services, "a.x b.x");
        cr_expect_str_eq(dns.services, "a.x", "b.x was heard, c.x is gone");
        cr_expect(kube.report_again);
        cr_expect(dns.report_again);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "a.x");
}

/* What the first has said of it was the previous daemon's to hear. */
Test(fallback, not_headless_is_known_from_the_beginning)
{
        const struct source_service seeded = { .key = "new.x",
                                               .namespace = "x",
                                               .source = KHS_SOURCE_KUBERNETES,
                                               .has_data = true,
                                               .not_headless = true };

        update_one(&seeded);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "", "%s", dns.services);
        fake_whole(&kube, "new.x", 1, false);
        fake_failure(&kube, "new.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        run(2 * GRACE);
        cr_expect_str_eq(dns.services, "new.x", "it has become headless");
}

Test(fallback, another_source_or_kind_of_service_begins_anew)
{
        struct source_service service = services[0];

        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        run(2 * GRACE);
        cr_assert_not_null(strstr(dns.services, "a.x"));
        service.source = KHS_SOURCE_DNS;
        update_one(&service);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 7);
        cr_expect_eq(heard.finding.reason, KHS_REASON_NONE, "it is DNS that is to be asked");

        update_one(&services[0]);
        run(2 * GRACE);
        cr_assert_str_eq(dns.services, "a.x");
        service = services[0];
        service.selector = "app=a";
        update_one(&service);
        cr_expect_str_eq(dns.services, "", "pods by label");
}

Test(fallback, what_memory_was_short_for_is_tried_again)
{
        all_answer();
        fake_failure(&kube, "a.x", KHS_SOURCE_KUBERNETES, KHS_REASON_API);
        dns.result = -ENOMEM;
        dns.n_updates = 0;
        run(2 * GRACE);
        cr_expect_eq(dns.n_updates, 1);
        run(USEC_PER_SEC + GRACE);
        cr_expect_eq(dns.n_updates, 2);
        run(USEC_PER_SEC + GRACE);
        cr_expect_eq(dns.n_updates, 2, "once it went well");
}
