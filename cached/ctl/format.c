/*
 * Lines for other programs' configuration files. A line with a hole in it would be a wrong line, so a field of which
 * nothing is known is an error.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/format.h"
#include "view/printable.h"
#include "view/service-json.h"

enum field {
        FIELD_ADDR,
        FIELD_PORT,
        FIELD_HOST,
        FIELD_ORDINAL,
        FIELD_NODE,
        FIELD_ZONE,
        FIELD_SERVICE,
        FIELD_FAMILY,
        N_FIELDS
};

static const char *const names[N_FIELDS] = {
        [FIELD_ADDR] = "addr", [FIELD_PORT] = "port", [FIELD_HOST] = "host",       [FIELD_ORDINAL] = "ordinal",
        [FIELD_NODE] = "node", [FIELD_ZONE] = "zone", [FIELD_SERVICE] = "service", [FIELD_FAMILY] = "family",
};

/* @text: behind "{". Return: the field, and its name's length; N_FIELDS: it is none. */
static enum field format_field_at(const char *text, size_t *ret_n)
{
        *ret_n = strcspn(text, "{}");
        if (text[*ret_n] != '}')
                return N_FIELDS;
        for (size_t f = 0; f < N_FIELDS; f++) {
                if (strlen(names[f]) == *ret_n && memcmp(names[f], text, *ret_n) == 0)
                        return (enum field)f;
        }
        return N_FIELDS;
}

static int format_refuse(const char *text, size_t n, struct format_error *error)
{
        char name[32];

        *error = (struct format_error){ 0 };
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, text);
        (void)snprintf(error->found, sizeof(error->found), "{%s%s", name, text[n] == '}' ? "}" : "");
        for (size_t f = 0; f < N_FIELDS; f++)
                hint_offer(&error->hint, name, names[f]);
        return -EINVAL;
}

int format_check(const char *format, struct format_error *error)
{
        for (const char *p = format; *p; p++) {
                size_t n;

                if (*p != '{' && *p != '}')
                        continue;
                if (p[1] == *p) {
                        p++;
                } else if (*p == '}' || format_field_at(p + 1, &n) == N_FIELDS) {
                        return format_refuse(p + 1, *p == '}' ? 0 : strcspn(p + 1, "{}"), error);
                } else {
                        p += n + 1;
                }
        }
        return 0;
}

/* The text of a field; NULL: nothing is known. */
static const char *format_field_text(enum field field, const struct view_service *s, const struct view_endpoint *e,
                                     char number[static 46])
{
        switch (field) {
        case FIELD_ADDR:
                return view_endpoint_address(e, number);
        case FIELD_PORT:
                (void)snprintf(number, 46, "%u", e->port);
                return e->port > 0 ? number : NULL;
        case FIELD_HOST:
                return view_service_text(s, e->host);
        case FIELD_ORDINAL:
                (void)snprintf(number, 46, "%d", e->ordinal);
                return e->ordinal >= 0 ? number : NULL;
        case FIELD_NODE:
                return view_service_text(s, e->node);
        case FIELD_ZONE:
                return view_service_text(s, e->zone);
        case FIELD_SERVICE:
                return s->key;
        default:
                return e->family == AF_INET6 ? "ipv6" : "ipv4";
        }
}

static void format_write_field(FILE *to, enum field field, const char *text, bool brackets)
{
        brackets = brackets && field == FIELD_ADDR;
        (void)fprintf(to, "%s", brackets ? "[" : "");
        (void)printable_write(to, text);
        (void)fprintf(to, "%s", brackets ? "]" : "");
}

/* @to: NULL: only looks whether everything is known. */
static int format_walk(FILE *to, const char *format, const struct view_service *s, const struct view_endpoint *e,
                       struct format_error *error)
{
        char number[46];

        for (const char *p = format; *p; p++) {
                enum field field;
                const char *text;
                size_t n;

                if ((*p != '{' && *p != '}') || p[1] == *p) {
                        if (to)
                                (void)fputc(*p, to);
                        p += (*p == '{' || *p == '}');
                        continue;
                }
                field = format_field_at(p + 1, &n);
                text = format_field_text(field, s, e, number);
                if (!text) {
                        (void)snprintf(error->field, sizeof(error->field), "%s", names[field]);
                        (void)view_endpoint_address(e, error->address);
                        return -ENODATA;
                }
                p += n + 1;
                if (to)
                        format_write_field(to, field, text, e->family == AF_INET6 && p[1] == ':');
        }
        if (to)
                (void)fputc('\n', to);
        return 0;
}

int format_write(FILE *to, const char *format, const struct view_service *service, const struct view_endpoint *endpoint,
                 struct format_error *error)
{
        int r = format_walk(NULL, format, service, endpoint, error);

        return r < 0 ? r : format_walk(to, format, service, endpoint, error);
}
