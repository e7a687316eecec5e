/* Objects out of bytes, cut at every place. */

#include "kube-fixture.h"

#include <errno.h>
#include <string.h>

#include "source/kube/watch/stream.h"

struct seen {
        char text[4096];
        unsigned int n;
        int answer; /* of the callback */
};

static int on_object(void *userdata, json_t *object)
{
        struct seen *seen = userdata;
        char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

        snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text), "%s;", text);
        free(text);
        seen->n++;
        return seen->answer;
}

static int feed(bool is_list, const char *text, size_t n, size_t piece, struct seen *seen)
{
        struct kube_stream stream;
        int r = 0;

        *seen = (struct seen){ .answer = seen->answer };
        kube_stream_init(&stream, is_list, on_object, seen);
        for (size_t at = 0; at < n && r == 0; at += piece)
                r = kube_stream_feed(&stream, text + at, n - at < piece ? n - at : piece);
        if (r == 0)
                r = kube_stream_end(&stream);
        kube_stream_deinit(&stream);
        return r;
}

Test(kube_stream, objects_whatever_the_pieces)
{
        static const struct {
                bool is_list;
                const char *text, *want;
        } rows[] = {
                { false, "", "" },
                { false, "\n \r\n\t", "" },
                { false, "{}\n{\"a\":1}\n", "{};{\"a\":1};" },
                { false, "{\"a\":1}{\"b\":[{}]}", "{\"a\":1};{\"b\":[{}]};" },
                { false, "{\n \"a\":\n\"}{\\\"][\"}\n", "{\"a\":\"}{\\\"][\"};" },
                { false, "{\"a\":\"\\\\\"}{}", "{\"a\":\"\\\\\"};{};" },
                { false, "{\"a\":\"b\\u0000c\"}{}", "{\"a\":\"b\\u0000c\"};{};" }, /* a container's last words */
                { true, "{\"items\":[]}", "{\"items\":[]};" },
                { true, "{\"items\":null,\"a\":1}", "{\"a\":1,\"items\":null};" },
                { true, "{\"kind\":\"L\",\"items\":[{\"x\":[1]},{}],\"m\":{\"items\":[{\"no\":1}]}}",
                  "{\"x\":[1]};{};{\"items\":[],\"kind\":\"L\",\"m\":{\"items\":[{\"no\":1}]}};" },
                { true, " { \"items\" : [ {} , {\"items\":[{}]} ] } ", "{};{\"items\":[{}]};{\"items\":[]};" },
                { true, "{\"kind\":\"Status\",\"code\":410}", "{\"code\":410,\"kind\":\"Status\"};" },
                { true, "{\"a\":[{\"b\":1}],\"items\":[{}]}", "{};{\"a\":[{\"b\":1}],\"items\":[]};" },
        };
        struct seen seen = { .answer = 0 };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                for (size_t piece = 1; piece < strlen(rows[i].text) + 2; piece++) {
                        cr_assert_eq(feed(rows[i].is_list, rows[i].text, strlen(rows[i].text), piece, &seen), 0, "%s",
                                     rows[i].text);
                        cr_assert_str_eq(seen.text, rows[i].want);
                }
        }
}

Test(kube_stream, what_is_no_such_stream_is_refused)
{
        static const struct {
                bool is_list;
                const char *text;
        } rows[] = {
                { false, "{" },
                { false, "{\"a\":\"" },
                { false, "[]" },
                { false, "}" },
                { false, "null" },
                { false, "{a}" },
                { false, "{\"a\":}" },
                { false, "{]" },
                { false, "\"a\"" },
                { false, "{} x" },
                { true, "" },
                { true, "{\"items\":[1]}" },
                { true, "{} {}" },
                { true, "{\"items\":[{}" },
                { true, "{\"items\":[[]]}" },
                { true, "<html>" },
                { true, "{\"items\":[\"a\"]}" },
                { true, "[{}]" },
                { false, "\x1f\x8b\x08" },
                { true, "{\"items\":[{]}]}" },
        };
        struct seen seen = { .answer = 0 };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                cr_expect_eq(feed(rows[i].is_list, rows[i].text, strlen(rows[i].text), 3, &seen), -EBADMSG, "%s",
                             rows[i].text);
        cr_expect_eq(feed(false, "{\"a\":\"\0\"}", 9, 100, &seen), -EBADMSG, "a zero byte");
}

Test(kube_stream, the_callback_ends_it)
{
        struct seen seen = { .answer = -ESTALE };

        cr_assert_eq(feed(false, "{}{}{}", 6, 6, &seen), -ESTALE);
        cr_assert_eq(seen.n, 1);
}

/* Text of @n bytes: begin, then fill as often as it fits, then end. */
static char *make(const char *begin, const char *fill, const char *end, size_t n)
{
        char *text = malloc(n + 1);
        size_t at = strlen(begin);

        memcpy(text, begin, at);
        for (; at + strlen(fill) + strlen(end) <= n; at += strlen(fill))
                memcpy(text + at, fill, strlen(fill));
        strcpy(text + at, end);
        return text;
}

Test(kube_stream, memory_is_bounded)
{
        static const struct {
                bool is_list;
                const char *begin, *fill, *end;
                size_t n;
                int want;
        } rows[] = {
                { false, "{\"a\":\"", "x", "\"}", 5U << 20, 0 },
                { true, "{\"items\":[{\"a\":\"", "x", "\"},{}]}", 5U << 20, 0 },
                { false, "{\"a\":\"", "x", "\"}", KUBE_OBJECT_MAX + 4096, -EMSGSIZE },
                { false, "{\"a\":\"", "x", "\"}", 200U << 20, -EMSGSIZE },
                { false, "{\"a\":[", "[],", "[]]}", 4U << 20, -EMSGSIZE }, /* 1.3 million values */
                { true, "{\"a\":\"", "x", "\"}", 5U << 20, -EMSGSIZE },
                { true, "{\"items\":[", "{},", "{}]}", 4U << 20, 0 }, /* as many as there may be */
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char *text = make(rows[i].begin, rows[i].fill, rows[i].end, rows[i].n);
                struct seen seen = { .answer = 0 };

                cr_expect_eq(feed(rows[i].is_list, text, strlen(text), 16384, &seen), rows[i].want, "row %zu", i);
                free(text);
        }
}
