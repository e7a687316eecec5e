/* Times as the API server writes them, and what is none. */

#include <criterion/criterion.h>

#include "source/kube/decode/field.h"

static const struct {
        const char *text;
        uint64_t usec;
} times[] = {
        { "2026-11-29T00:55:49Z", UINT64_C(1795913749000000) },
        { "2026-11-29T00:55:49.5Z", UINT64_C(1795913749500000) },
        { "2026-11-29T00:55:49.123456Z", UINT64_C(1795913749123456) },
        { "2026-11-29T00:55:49.123456789Z", UINT64_C(1795913749123456) },
        { "1970-01-01T00:00:01Z", 1000000 },
        /* none, or none that it writes */
        { "", 0 },
        { "Z", 0 },
        { "2026-11-29", 0 },
        { "2026-11-29T00:55:49", 0 },
        { "2026-11-29T00:55:49+01:00", 0 },
        { "2026-11-29T00:55:49.Zx", 0 },
        { "2026-13-29T00:55:49Z", 0 },
        { "1969-12-31T23:59:00Z", 0 },
        { "2026-11-29T00:55:49.1234567890123456789012345678901234567890", 0 },
};

Test(kube_field, reads_times)
{
        for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
                cr_expect_eq(kube_time_parse(times[i].text), times[i].usec, "%s: %llu", times[i].text,
                             (unsigned long long)kube_time_parse(times[i].text));
}
