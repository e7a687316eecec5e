/*
 * Words for the table's numbers. A newer daemon may write numbers that are not here.
 */

#include <netinet/in.h>
#include <stddef.h>

#include "view/words.h"

#define WORD_AT(words, i) ((i) < sizeof(words) / sizeof((words)[0]) ? (words)[i] : NULL)

const char *view_state_word(uint32_t state)
{
        static const char *const words[] = {
                [KHS_SERVICE_PENDING] = "pending", [KHS_SERVICE_FRESH] = "fresh",     [KHS_SERVICE_STALE] = "stale",
                [KHS_SERVICE_EMPTY] = "empty",     [KHS_SERVICE_EXPIRED] = "expired",
        };

        return WORD_AT(words, state);
}

const char *view_source_word(uint32_t source)
{
        static const char *const words[] = {
                [KHS_SOURCE_DNS] = "dns",
                [KHS_SOURCE_KUBERNETES] = "kubernetes",
                [KHS_SOURCE_STATIC] = "static",
        };

        return WORD_AT(words, source);
}

const char *view_reason_word(uint32_t reason)
{
        static const char *const words[] = {
                [KHS_REASON_TIMEOUT] = "timeout",
                [KHS_REASON_REFUSED] = "refused",
                [KHS_REASON_SERVFAIL] = "servfail",
                [KHS_REASON_NXDOMAIN] = "nxdomain",
                [KHS_REASON_NODATA] = "nodata",
                [KHS_REASON_FOREIGN] = "foreign",
                [KHS_REASON_MALFORMED] = "malformed",
                [KHS_REASON_TRUNCATED] = "truncated",
                [KHS_REASON_FILTERED] = "filtered",
                [KHS_REASON_NO_SERVER] = "no-server",
                [KHS_REASON_RESTART] = "restart",
                [KHS_REASON_TLS] = "tls",
                [KHS_REASON_UNAUTHORIZED] = "unauthorized",
                [KHS_REASON_FORBIDDEN] = "forbidden",
                [KHS_REASON_API] = "api",
                [KHS_REASON_NO_SLICE] = "no-slice",
                [KHS_REASON_NONE_READY] = "none-ready",
        };

        return WORD_AT(words, reason);
}

const char *view_order_word(uint32_t order)
{
        static const char *const words[] = {
                [KHS_ORDER_ROTATE] = "rotate", [KHS_ORDER_RANDOM] = "random", [KHS_ORDER_STICKY] = "sticky",
                [KHS_ORDER_ZONE] = "zone",     [KHS_ORDER_NODE] = "node",
        };

        return WORD_AT(words, order);
}

const char *view_family_word(uint32_t family)
{
        static const char *const words[] = {
                [KHS_FAMILY_ANY] = "any",
                [KHS_FAMILY_IPV4] = "ipv4",
                [KHS_FAMILY_IPV6] = "ipv6",
        };

        return WORD_AT(words, family);
}

const char *view_answers_word(uint32_t answers)
{
        if (answers == KHS_ANSWERS_AUTO)
                return "auto";
        if (answers == KHS_ANSWERS_ALL)
                return "all";
        return answers == 1 ? "single" : NULL;
}

const char *view_protocol_word(uint32_t protocol)
{
        switch (protocol) {
        case IPPROTO_TCP:
                return "TCP";
        case IPPROTO_UDP:
                return "UDP";
        case IPPROTO_SCTP:
                return "SCTP";
        default:
                return NULL;
        }
}
