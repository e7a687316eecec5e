/*
 * Names as programs write them, search lists and targets: any bytes. The input is one line for each:
 * the zone, the name or target, then domains of the search list.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer/name.h"
#include "answer/target.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

#define MAX_SEARCH 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly its size, NUL-terminated: what reads beyond it is seen. */
static char *copy_line(const uint8_t **data, size_t *size, size_t *ret_n)
{
        const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
        size_t n = end ? (size_t)(end - *data) : *size;
        char *line = malloc(n + 1);

        CHECK(line);
        if (n > 0)
                memcpy(line, *data, n);
        line[n] = '\0';
        *data += end ? n + 1 : n;
        *size -= end ? n + 1 : n;
        *ret_n = n;
        return line;
}

static bool same(const struct khs_name *a, const struct khs_name *b)
{
        return a->len == b->len && a->n_labels == b->n_labels && a->n_first == b->n_first &&
               a->in_cluster == b->in_cluster && memcmp(a->text, b->text, a->len) == 0;
}

static void check_name(const struct khs_name *name, const char *zone, size_t n_zone)
{
        char text[1024];
        const struct khs_zone zone_text = { .bytes = zone, .n = n_zone };
        struct khs_name again;
        uint32_t n_labels = 1;
        size_t n = name->len;

        CHECK(name->len >= 1 && name->len <= KHS_NAME_MAX && name->text[name->len] == '\0');
        for (size_t i = 0; i < name->len; i++) {
                char c = name->text[i];

                CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.');
                n_labels += c == '.';
        }
        CHECK(name->n_labels == n_labels && name->n_first >= 1 && name->n_first <= KHS_LABEL_MAX);
        CHECK(name->text[name->n_first] == (n_labels > 1 ? '.' : '\0'));
        if (!name->in_cluster)
                return;

        /* S.N.svc means what S.N.svc.D means. */
        CHECK(n_labels == 2 || n_labels == 3);
        memcpy(text, name->text, n);
        memcpy(text + n, ".svc", 4);
        n += 4;
        if (khs_name_parse(&again, text, n, &zone_text) == 0 && n_zone > 0)
                CHECK(again.in_cluster);
        text[n++] = '.';
        if (n + n_zone > KHS_NAME_MAX)
                return;
        memcpy(text + n, zone, n_zone);
        if (khs_name_parse(&again, text, n + n_zone, &zone_text) == 0)
                CHECK(same(&again, name));
}

/* The name as it was written, in lower case: text, or text.svc, or text.svc.zone, perhaps with a final dot. */
static void check_form(const struct khs_name *name, const char *text, size_t n_text, const char *zone, size_t n_zone)
{
        size_t n = name->len;

        for (size_t i = 0; i < n; i++)
                CHECK(n <= n_text && (text[i] | 0x20) == (name->text[i] | 0x20));
        if (name->in_cluster) {
                CHECK(n + 4 <= n_text && strncasecmp(text + n, ".svc", 4) == 0);
                n += 4;
                if (n < n_text && !(n + 1 == n_text && text[n] == '.')) {
                        CHECK(text[n] == '.' && n + 1 + n_zone <= n_text);
                        CHECK(strncasecmp(text + n + 1, zone, n_zone) == 0);
                        n += 1 + n_zone;
                        n += n < n_text && text[n] == '.';
                }
        }
        CHECK(n == n_text);
}

static void check_target(const char *text)
{
        size_t n = strlen(text);
        struct khs_target target;
        int r = khs_target_parse(text, &target);

        CHECK(r == 0 || r == -EINVAL);
        if (r < 0)
                return;
        CHECK(target.n_name >= 1 && target.name >= text && target.name + target.n_name <= text + n);
        CHECK(target.n_namespace <= KHS_LABEL_MAX);
        CHECK(!target.n_namespace || (target.namespace >= text && target.namespace + target.n_namespace < text + n));
        switch (target.port.kind) {
        case KHS_PORT_NONE:
                break;
        case KHS_PORT_NUMBER:
        case KHS_PORT_BASE:
                CHECK(target.port.number > 0);
                break;
        case KHS_PORT_NAME:
                CHECK(memchr(target.port.name, '\0', sizeof(target.port.name)) && target.port.name[0]);
                break;
        default:
                CHECK(false);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *zone, *text, *search[MAX_SEARCH + 1] = { NULL }, namespace[KHS_LABEL_MAX + 1];
        size_t n_zone, n_text, n;
        struct khs_zone zone_text;
        struct khs_name name;
        int r;

        zone = copy_line(&data, &size, &n_zone);
        text = copy_line(&data, &size, &n_text);
        for (int i = 0; i < MAX_SEARCH && size > 0; i++)
                search[i] = copy_line(&data, &size, &n);
        if (n_zone > KHS_NAME_MAX)
                n_zone = KHS_NAME_MAX;

        for (size_t i = 0; i < n_zone; i++)
                zone[i] = zone[i] >= 'A' && zone[i] <= 'Z' ? (char)(zone[i] | 0x20) : zone[i];

        /* Not NUL-terminated for whoever is told the length. */
        text[n_text] = 'x';
        zone_text = (struct khs_zone){ .bytes = zone, .n = n_zone };
        r = khs_name_parse(&name, text, n_text, &zone_text);
        text[n_text] = '\0';
        CHECK(r == 0 || r == -ENOENT);
        if (r == 0) {
                CHECK(name.len >= 1 && name.len <= KHS_NAME_MAX && name.text[name.len] == '\0');
                if (khs_name_valid(&name))
                        check_name(&name, zone, n_zone);
                check_form(&name, text, n_text, zone, n_zone);
        }

        n = khs_name_search((const char *const *)search, MAX_SEARCH, &zone_text, namespace);
        CHECK(n <= KHS_LABEL_MAX);
        CHECK(n == 0 || (strlen(namespace) == n && !strchr(namespace, '.')));
        check_target(text);

        for (int i = 0; search[i]; i++)
                free(search[i]);
        free(text);
        free(zone);
        return 0;
}
