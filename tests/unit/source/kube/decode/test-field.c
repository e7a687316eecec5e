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

Test(kube_field, reads_no_text_with_a_nul_byte)
{
        const char *text = "{\"good\":\"a\",\"bad\":\"a\\u0000b\",\"number\":1}";
        json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);
        bool bad = false;

        cr_assert_not_null(object);
        cr_expect_str_eq(kube_field_text(object, "good", &bad), "a");
        cr_expect_null(kube_field_text(object, "none", &bad));
        cr_expect_not(bad);
        cr_expect_null(kube_field_text(object, "bad", &bad));
        cr_expect(bad);
        cr_expect_null(kube_field_text(object, "number", NULL));
        json_decref(object);
}
