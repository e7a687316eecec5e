/*
 * Sleeping until a service changes.
 *
 *     token     0: nothing seen yet     1: looked, and not registered
 *               else: a hash of what the name meant, and the version that was seen of it
 *
 * The counter on which read/wait.h sleeps is read before the record, so that a change in between ends the sleep before
 * it begins.
 */

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "api/handle.h"
#include "read/wait.h"
#include "table/siphash.h"

#define TOKEN_ABSENT 1ULL         /* looked, and not registered */
#define TOKEN_SEEN   (1ULL << 63) /* something else */

static uint64_t wait_now_usec(void)
{
        struct timespec now = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What the table says of all services now. */
static uint64_t wait_token_of_table(const struct khs_view *view)
{
        return ((uint64_t)khs_view_generation(view) << 32 | khs_wait_counter(view)) + 2;
}

/* Of a service or pod. An alias may come to lead to another service, which may have the same version. */
static uint64_t wait_token_of_found(const struct khs_lookup *l)
{
        static const uint8_t key[16] = "k8shsvc tokens";
        const char *canonical;
        size_t n;

        canonical = khs_lookup_canonical(l, &n);
        return TOKEN_SEEN | khs_siphash13(key, canonical, n) << 32 | l->found.record.version;
}

/* What it says of a name. Return: 0; -EBUSY it is not known at this moment; -ENOENT not a name of a service. */
static int wait_token_of_name(const struct khs_query *query, const struct khs_pin *pin, uint64_t *ret)
{
        struct khs_lookup l;
        int r;

        r = khs_lookup_begin(&l, query, pin);
        if (r < 0 || !khs_name_valid(&l.name))
                return -ENOENT;
        r = khs_lookup_find(&l);
        if (r < 0 && r != -ENOENT && r != -ENODATA) /* the latter: a pod that is not there */
                return -EBUSY;
        *ret = r == 0 ? wait_token_of_found(&l) : TOKEN_ABSENT;
        return 0;
}

/*
 * One look and at most one sleep.
 *
 * Return: 0 changed; -EAGAIN look again; -EINTR; -ENOENT.
 */
static int wait_once(const struct khs_query *query, uint64_t *token, uint64_t sleep_usec)
{
        struct khs_pin pin;
        uint64_t now = 0;
        uint32_t seen;
        int r;

        r = khs_map_enter(&pin);
        if (r == 0) {
                seen = khs_wait_counter(pin.view);
                if (query)
                        r = wait_token_of_name(query, &pin, &now);
                else
                        now = wait_token_of_table(pin.view);
                if (r == 0 && now == *token) {
                        r = khs_wait(pin.view, seen, sleep_usec);
                        r = r < 0 ? r : -EAGAIN;
                }
                khs_map_leave(&pin);
        }

        if (r == -ENOTCONN || r == -EBUSY) {
                r = khs_wait(NULL, 0, sleep_usec);
                return r < 0 ? r : -EAGAIN;
        }
        if (r == 0)
                *token = now;
        return r;
}

/* @query: NULL: any service. */
static int wait_for(const struct khs_query *query, uint64_t *token, int timeout_ms)
{
        uint64_t end = timeout_ms < 0 ? UINT64_MAX : wait_now_usec() + (uint64_t)timeout_ms * 1000, now;
        int r;

        do {
                now = wait_now_usec();
                r = wait_once(query, token, end > now ? end - now : 0);
        } while (r == -EAGAIN && now < end);
        return r == -EAGAIN ? -ETIMEDOUT : r;
}

KHS_PUBLIC int k8shsvc_wait(k8shsvc *h, const char *name, uint64_t *token, int timeout_ms)
{
        struct khs_request request;
        int r;

        if (!h || !token)
                return -EINVAL;
        if (!name)
                return wait_for(NULL, token, timeout_ms);
        r = khs_request_init(&request, h, name, AF_UNSPEC);
        if (r < 0)
                return r;
        return khs_request_error(&request, wait_for(&request.query, token, timeout_ms));
}
