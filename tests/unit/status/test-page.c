/* The status page out of arbitrary bytes. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "status/page.h"

static char *written(const struct snapshot *snapshot)
{
        char *text = NULL;
        size_t n;
        FILE *to = open_memstream(&text, &n);

        cr_assert_not_null(to);
        page_write(to, snapshot);
        (void)fclose(to);
        return text;
}

Test(page, a_name_can_not_forge_an_element)
{
        struct view_service service = { .key = "<script>\"'&\n\xff\xc3\xbc", .state = 77, .source = 78, .reason = 79 };
        const struct snapshot snapshot = { .catalog = { .services = &service, .n_services = 1 } };
        char *text = written(&snapshot);

        cr_expect(strstr(text, ">&#60;script&#62;&#34;&#39;&#38;&#32;\xef\xbf\xbd\xc3\xbc</th>"), "%s", text);
        cr_expect(strstr(text, ">77</td>") && strstr(text, ">78</td>") && strstr(text, ">79</td>"), "%s", text);
        free(text);
}

Test(page, says_how_long)
{
        static const struct {
                uint32_t age_ds;
                const char *text;
        } cases[] = {
                { 0, ">0.0 s<" },           { 599, ">59.9 s<" },         { 600, ">1 min 0 s<" },
                { 36000, ">1 h 0 min<" },   { 863999, ">23 h 59 min<" }, { 864000, ">1 d 0 h<" },
                { UINT32_MAX, ">4971 d " },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct view_service service = { .key = "a.b", .age_ds = cases[i].age_ds };
                const struct snapshot snapshot = { .catalog = { .services = &service, .n_services = 1 } };
                char *text = written(&snapshot);

                cr_expect(strstr(text, cases[i].text), "%s", cases[i].text);
                free(text);
        }
}

Test(page, says_why_it_is_not_well)
{
        struct view_service service = { .key = "a.<b>" };
        struct snapshot snapshot = { .error = -ENOENT };
        char *text = written(&snapshot);

        cr_expect(strstr(text, "No table</strong>: there is none"));
        cr_expect_null(strstr(text, "<table"));
        free(text);
        snapshot = (struct snapshot){ .table.alive = KHS_DEAD, .header.beat_age_ds = 400 };
        text = written(&snapshot);
        cr_expect(strstr(text, "Dead</strong>: the last heartbeat was 40.0 s ago"));
        free(text);
        snapshot = (struct snapshot){ .pending = service.key,
                                      .states = { 1 },
                                      .catalog = { .services = &service, .n_services = 1 } };
        text = written(&snapshot);
        cr_expect(strstr(text, "Not ready</strong>: no first answer yet for 1 of 1 services, as for a.&#60;b&#62;"),
                  "%s", text);
        free(text);
        snapshot = (struct snapshot){ .header.n_refused = 7 };
        text = written(&snapshot);
        cr_expect(strstr(text, "Not ready</strong>: the table has no room for 7 of the registered services"), "%s",
                  text);
        free(text);
}
