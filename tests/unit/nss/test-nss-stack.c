/*
 * How much stack the module uses, measured: programs look names up on threads with little of it. Each
 * call is made on a stack of one byte's repetition, beside a call of a function that does nothing; the
 * difference in what has changed is the module's, with all that it calls.
 */

#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <resolv.h>
#include <sys/socket.h>

#include "answer/order.h"
#include "read/process.h"
#include "rundir-fixture.h"

#define PAINT 0xa5
/* The least that glibc makes a thread with, on arm64. */
#define N_STACK 131072

/* For every name and address, on every way to the table. */
#define LIMIT 2048U

enum nss_status _nss_k8shsvc_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_k8shsvc_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                              size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp,
                                              char **canonp);
enum nss_status _nss_k8shsvc_gethostbyaddr2_r(const void *address, socklen_t n_address, int family, struct hostent *ret,
                                              char *buffer, size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp);

static struct fixture fixture;

/* One call in a thread of its own. */
struct job {
        const char *name;    /* or */
        const void *address; /* of 16 bytes */
        int family;
        enum nss_status status;
        __typeof__(_nss_k8shsvc_gethostbyname4_r) *by_name4;
        __typeof__(_nss_k8shsvc_gethostbyname3_r) *by_name3;
        __typeof__(_nss_k8shsvc_gethostbyaddr2_r) *by_address;
};

static enum nss_status no_name4(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t n_buffer,
                                int *errnop, int *h_errnop, int32_t *ttlp)
{
        (void)name, (void)pat, (void)buffer, (void)n_buffer, (void)errnop, (void)h_errnop, (void)ttlp;
        return NSS_STATUS_SUCCESS;
}

static enum nss_status no_name3(const char *name, int family, struct hostent *ret, char *buffer, size_t n_buffer,
                                int *errnop, int *h_errnop, int32_t *ttlp, char **canonp)
{
        (void)name, (void)family, (void)ret, (void)buffer, (void)n_buffer, (void)errnop, (void)h_errnop, (void)ttlp;
        (void)canonp;
        return NSS_STATUS_SUCCESS;
}

static enum nss_status no_address(const void *address, socklen_t n_address, int family, struct hostent *ret,
                                  char *buffer, size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp)
{
        (void)address, (void)n_address, (void)family, (void)ret, (void)buffer, (void)n_buffer, (void)errnop;
        (void)h_errnop, (void)ttlp;
        return NSS_STATUS_SUCCESS;
}

static void *job_run(void *userdata)
{
        static char buffer[65536], *canonical;
        static struct gaih_addrtuple *tuples;
        static struct hostent host;
        static int error, h_error;
        static int32_t ttl;
        struct __res_state *resolver = __res_state();
        struct job *j = userdata;

        /* As in a pod of namespace b. */
        resolver->options |= RES_INIT;
        resolver->dnsrch[0] = (char *)"b.svc.cluster.local";
        resolver->dnsrch[1] = NULL;
        if (j->address)
                j->status =
                        j->by_address(j->address, 16, AF_INET6, &host, buffer, sizeof(buffer), &error, &h_error, &ttl);
        else if (j->family == AF_UNSPEC)
                j->status = j->by_name4(j->name, &tuples, buffer, sizeof(buffer), &error, &h_error, &ttl);
        else
                j->status = j->by_name3(j->name, j->family, &host, buffer, sizeof(buffer), &error, &h_error, &ttl,
                                        &canonical);
        tuples = NULL;
        return NULL;
}

static size_t measure(struct job *j)
{
        static char *stack;
        pthread_attr_t attributes;
        pthread_t thread;
        size_t i = 0;

        if (!stack)
                stack = mmap(NULL, N_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(stack, MAP_FAILED);
        memset(stack, PAINT, N_STACK);
        cr_assert_eq(pthread_attr_init(&attributes), 0);
        cr_assert_eq(pthread_attr_setstack(&attributes, stack, N_STACK), 0);
        cr_assert_eq(pthread_create(&thread, &attributes, job_run, j), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        while ((unsigned char)stack[i] == PAINT)
                i++;
        return N_STACK - i;
}

static void check(struct job j, enum nss_status status, const char *what)
{
        size_t base;

        j.by_name4 = no_name4;
        j.by_name3 = no_name3;
        j.by_address = no_address;
        base = measure(&j);
        j.by_name4 = _nss_k8shsvc_gethostbyname4_r;
        j.by_name3 = _nss_k8shsvc_gethostbyname3_r;
        j.by_address = _nss_k8shsvc_gethostbyaddr2_r;
        for (int i = 0; i < 2; i++) {
                size_t n = measure(&j) - base;

                cr_expect_eq(j.status, status, "%s: status %d", what, j.status);
                cr_expect_leq(n, LIMIT, "%s: %zu bytes", what, n);
                cr_log_info("%s: %zu bytes", what, n);
        }
}

static void check_name(const char *name, enum nss_status status, const char *what)
{
        static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6 };

        for (int i = 0; i < 3; i++)
                check((struct job){ .name = name, .family = families[i] }, status, what);
}

/* ---- the table ---- */

static void put(const char *key, uint32_t n, uint32_t policy, const struct khs_row_endpoint *endpoints)
{
        struct khs_row row = fixture_row(key, 0, n, n);
        static uint32_t version;

        row.version = ++version;
        row.policy = policy;
        row.endpoints = endpoints;
        cr_assert_eq(khs_writer_put(fixture.writer, &row, fixture_now()), 0);
}

static void table_init(void)
{
        static const struct khs_row_endpoint pods[] = {
                { .host = "pod-0" }, { .host = "pod-1" }, { .host = "pod-0" }, { .host = "pod-1" }
        };
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "auto.b", .n_target = 6 };
        struct khs_table_params params = fixture_params();

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        cr_skip_test("not the code that is installed");
#endif
        rundir_init(&fixture);
        params.reverse = true;
        cr_assert_eq(khs_writer_renew(fixture.writer, &params, fixture_now()), 0);
        put("single.b", 8, 1, NULL);
        put("auto.b", 8, KHS_ANSWERS_AUTO, NULL);
        put("sticky.b", 8, khs_policy(KHS_ANSWERS_AUTO, KHS_ORDER_STICKY, KHS_FAMILY_ANY), NULL);
        put("all.b", 100, KHS_ANSWERS_ALL, NULL);
        put("set.b", 2, KHS_ANSWERS_AUTO, pods);
        cr_assert_eq(khs_writer_put(fixture.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(fixture.writer), 0);
}

static void check_services(void)
{
        /* The first maps the table, and the first of several addresses asks for the interfaces. */
        check_name("single.b", NSS_STATUS_SUCCESS, "single");
        check_name("auto.b", NSS_STATUS_SUCCESS, "auto");
        check_name("sticky.b", NSS_STATUS_SUCCESS, "sticky");
        check_name("all.b", NSS_STATUS_SUCCESS, "all");
        check_name("auto.b.svc.cluster.local.", NSS_STATUS_SUCCESS, "the full name");
        check_name("auto", NSS_STATUS_SUCCESS, "one label");
        check_name("users.internal", NSS_STATUS_SUCCESS, "an alias");
        check_name("www.example.com", NSS_STATUS_UNAVAIL, "not ours");
        check_name("localhost", NSS_STATUS_UNAVAIL, "localhost");
        check_name("nobody.b.svc", NSS_STATUS_UNAVAIL, "not registered");
}

static void check_seldom(void)
{
        static const uint8_t pod[16] = { 0xfd, [15] = 1 }, nobody[16] = { 0xfd, [15] = 200 };

        check_name("pod-0.set.b.svc.cluster.local", NSS_STATUS_SUCCESS, "a pod");
        check_name("pod-0.set", NSS_STATUS_SUCCESS, "a pod, two labels");
        check_name("pod-7.set.b.svc", NSS_STATUS_UNAVAIL, "no pod");
        check((struct job){ .address = pod }, NSS_STATUS_SUCCESS, "an address");
        check((struct job){ .address = nobody }, NSS_STATUS_UNAVAIL, "an address of nobody");
}

Test(nss_stack, is_small_where_the_table_is_mapped)
{
        table_init();
        check_services();
        check_seldom();
}

Test(nss_stack, is_small_where_the_table_is_read)
{
        table_init();
        khs_process_prepare();
        khs_process.remap_owner = 1; /* as if a thread had left for good while it mapped it */
        check_services();
        check_seldom();
}

Test(nss_stack, is_small_without_a_table)
{
        check_name("auto.b", NSS_STATUS_UNAVAIL, "no table");
}
