/*
 * What the table says of services themselves: one by its name, or all.
 *
 * All are read from one file, which stays pinned while the caller looks at them. A service that changes at this moment
 * is read again, so that none is missing only because it is busy.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "api/handle.h"
#include "table/policy.h"

#define MAX_TRIES     16
#define MAX_INFO_SIZE 1024U /* of the information, in a later version */

_Static_assert(sizeof(struct k8shsvc_info) == 304 && offsetof(struct k8shsvc_info, age_ms) == 256, "ABI");
_Static_assert((int)K8SHSVC_STATE_EXPIRED == KHS_SERVICE_EXPIRED && (int)K8SHSVC_SOURCE_STATIC == KHS_SOURCE_STATIC &&
                       (int)K8SHSVC_REASON_NONE_READY == KHS_REASON_NONE_READY &&
                       (int)K8SHSVC_ORDER_NODE == KHS_ORDER_NODE && K8SHSVC_ANSWERS_ALL == KHS_ANSWERS_ALL,
               "the table's numbers");

static uint8_t services_flags(const struct khs_record *record)
{
        return (record->key & KHS_REC_HOSTS_COMPLETE ? K8SHSVC_HOSTS_COMPLETE : 0) |
               (record->key & KHS_REC_TRUNCATED ? K8SHSVC_TRUNCATED : 0) |
               (record->key & KHS_REC_V4_UNKNOWN ? K8SHSVC_IPV4_UNKNOWN : 0) |
               (record->key & KHS_REC_V6_UNKNOWN ? K8SHSVC_IPV6_UNKNOWN : 0);
}

/* A daemon that is late, or gone, has not said so of data that is too old. */
static uint8_t services_state(const struct khs_record *record, uint32_t now_ds)
{
        uint8_t state = (uint8_t)record->status;
        bool old = (int32_t)(record->stale_until_ds - now_ds) < 0;

        return old && (state == KHS_SERVICE_FRESH || state == KHS_SERVICE_STALE) ? KHS_SERVICE_EXPIRED : state;
}

/* All but the name. */
static void services_read(const struct khs_view *view, uint32_t now_ds, const struct khs_found *found,
                          struct k8shsvc_info *ret)
{
        const struct khs_record *record = &found->record;
        struct khs_attrs_at attrs = { .n_rows = record->n4 + record->n6 };
        int32_t age_ds = (int32_t)(now_ds - record->since_ds);

        if (khs_attrs_open(view, found, &attrs) < 0)
                attrs = (struct khs_attrs_at){ .n_rows = record->n4 + record->n6 };
        ret->age_ms = age_ds > 0 ? (uint64_t)age_ds * 100 : 0;
        ret->n_endpoints = attrs.n_rows;
        ret->n_ipv4 = record->n4;
        ret->n_ipv6 = record->n6;
        ret->version = record->version;
        ret->generation = khs_view_generation(view);
        ret->ttl_s = record->ttl_s;
        ret->answers = (uint16_t)khs_policy_answers(record->policy);
        ret->port = (uint16_t)record->port;
        ret->port_base = attrs.head.port_base;
        ret->order = (uint8_t)khs_policy_order(record->policy);
        ret->family = (uint8_t)khs_policy_family(record->policy);
        ret->state = services_state(record, now_ds);
        ret->reason = (uint8_t)(record->status >> 8);
        ret->source = (uint8_t)(record->status >> 16);
        ret->flags = services_flags(record);
}

static bool services_size_ok(size_t size)
{
        return size > 0 && size <= MAX_INFO_SIZE;
}

/* ---- one ---- */

static int services_find(const struct khs_query *query, const struct khs_pin *pin, struct k8shsvc_info *ret)
{
        struct khs_lookup l;
        int r = khs_lookup_begin(&l, query, pin);

        while (r == 0) {
                r = khs_lookup_find(&l);
                if (r < 0)
                        break;
                khs_view_copy_bytes(l.view, l.found.block + KHS_UNIT_WORDS, l.found.n_key, ret->service);
                ret->service[l.found.n_key] = '\0';
                services_read(l.view, l.now_ds, &l.found, ret);
                if (khs_found_valid(l.view, &l.found))
                        break;
        }
        return r;
}

KHS_PUBLIC int k8shsvc_info(k8shsvc *h, const char *name, size_t size, struct k8shsvc_info *ret)
{
        struct k8shsvc_info info = { 0 };
        struct khs_request request;
        struct khs_pin pin;
        int r;

        if (!h || !name || !ret || !services_size_ok(size))
                return -EINVAL;
        r = khs_request_init(&request, h, name, AF_UNSPEC);
        if (r < 0)
                return r;
        r = khs_map_enter(&pin);
        if (r < 0)
                return r;
        r = services_find(&request.query, &pin, &info);
        khs_map_leave(&pin);
        if (r < 0)
                return khs_request_error(&request, r);
        memset(ret, 0, size);
        memcpy(ret, &info, size < sizeof(info) ? size : sizeof(info));
        return 0;
}

/* ---- all ---- */

/* Return: 0; -ENOENT: no service; -EAGAIN: it changed meanwhile. */
static int services_read_entry(const struct khs_pin *pin, uint32_t entry, struct k8shsvc_info *ret)
{
        struct khs_found found;
        int r = khs_view_entry(pin->view, entry, &found, ret->service);

        if (r == -EAGAIN)
                return r;
        /* A key has no NUL: what a damaged one hides behind it is nothing that could be looked up. */
        if (r < 0 || found.record.key & KHS_REC_ALIAS || strlen(ret->service) != found.n_key)
                return -ENOENT;
        services_read(pin->view, pin->now_ds, &found, ret);
        return khs_found_valid(pin->view, &found) ? 0 : -EAGAIN;
}

static int services_walk(const struct khs_pin *pin, int (*each)(const struct k8shsvc_info *info, void *user),
                         void *user)
{
        union {
                uint8_t room[MAX_INFO_SIZE]; /* what a program of a later version may look at is 0 */
                struct k8shsvc_info info;
        } service = { { 0 } };
        int r = 0;

        for (uint32_t entry = 0; r == 0 && entry < pin->view->n_buckets * KHS_BUCKET_ENTRIES; entry++) {
                int found = -EAGAIN;

                for (int tries = 0; found == -EAGAIN && tries < MAX_TRIES; tries++)
                        found = services_read_entry(pin, entry, &service.info);
                if (found == 0)
                        r = each(&service.info, user);
        }
        return r;
}

KHS_PUBLIC int k8shsvc_list(k8shsvc *h, size_t size, int (*each)(const struct k8shsvc_info *info, void *user),
                            void *user)
{
        struct khs_pin pin;
        int r;

        if (!h || !each || !services_size_ok(size))
                return -EINVAL;
        r = khs_map_enter(&pin);
        if (r < 0)
                return r;
        r = services_walk(&pin, each, user);
        khs_map_leave(&pin);
        return r;
}
