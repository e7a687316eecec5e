/*
 * Reasons, for people. A source gives a reason as a number, which goes through the model into the table; what it
 * means is said here, for the log and for whoever shows it.
 */

#include <stddef.h>

#include "model/finding.h"

const char *finding_reason_text(enum khs_reason reason)
{
        static const char *const texts[] = {
                [KHS_REASON_TIMEOUT] = "no server answered",
                [KHS_REASON_REFUSED] = "refused",
                [KHS_REASON_SERVFAIL] = "SERVFAIL",
                [KHS_REASON_NXDOMAIN] = "NXDOMAIN",
                [KHS_REASON_NODATA] = "no addresses",
                [KHS_REASON_FOREIGN] = "the servers do not know the cluster",
                [KHS_REASON_MALFORMED] = "unreadable answers",
                [KHS_REASON_TRUNCATED] = "more addresses than DNS can send",
                [KHS_REASON_FILTERED] = "no address is allowed",
                [KHS_REASON_NO_SERVER] = "no server is known",
                [KHS_REASON_RESTART] = "known from before the start",
                [KHS_REASON_TLS] = "the API server can't be trusted",
                [KHS_REASON_UNAUTHORIZED] = "the API server refuses the credentials",
                [KHS_REASON_FORBIDDEN] = "the API server forbids it",
                [KHS_REASON_API] = "the API server fails",
                [KHS_REASON_NO_SLICE] = "no EndpointSlice",
                [KHS_REASON_NONE_READY] = "no endpoint is ready",
        };

        return (size_t)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : NULL;
}
