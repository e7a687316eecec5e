/*
 * Typed access to what the API server sent. jansson's own accessors make no difference between a field
 * that is missing and one of another type; here the second is told, so that a slice whose "ready" is the
 * string "false" is not taken for a ready one.
 */

#include <string.h>
#include <time.h>

#include "answer/target.h" /* KHS_LABEL_MAX, KHS_NAME_MAX */
#include "source/kube/decode/field.h"

json_t *kube_field(const json_t *object, const char *name, json_type type, bool *ret_bad)
{
        json_t *value = json_object_get(object, name);

        if (!value || json_is_null(value))
                return NULL;
        if (json_typeof(value) == type)
                return value;
        if (ret_bad)
                *ret_bad = true;
        return NULL;
}

const char *kube_text(const json_t *value)
{
        const char *text = json_string_value(value);

        return text && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *kube_field_text(const json_t *object, const char *name, bool *ret_bad)
{
        const json_t *value = kube_field(object, name, JSON_STRING, ret_bad);
        const char *text = kube_text(value);

        if (value && !text && ret_bad)
                *ret_bad = true;
        return text;
}

bool kube_field_bool(const json_t *object, const char *name, bool missing, bool *ret_bad)
{
        const json_t *value = json_object_get(object, name);

        if (!value || json_is_null(value))
                return missing;
        if (!json_is_boolean(value))
                *ret_bad = true;
        return json_is_true(value);
}

static const json_t *field_metadata(const json_t *object)
{
        return kube_field(object, "metadata", JSON_OBJECT, NULL);
}

const char *kube_object_name(const json_t *object)
{
        return kube_field_text(field_metadata(object), "name", NULL);
}

const char *kube_object_namespace(const json_t *object)
{
        return kube_field_text(field_metadata(object), "namespace", NULL);
}

const char *kube_object_version(const json_t *object)
{
        return kube_field_text(field_metadata(object), "resourceVersion", NULL);
}

const char *kube_object_label(const json_t *object, const char *label)
{
        return kube_field_text(kube_field(field_metadata(object), "labels", JSON_OBJECT, NULL), label, NULL);
}

const char *kube_object_annotation(const json_t *object, const char *annotation)
{
        return kube_field_text(kube_field(field_metadata(object), "annotations", JSON_OBJECT, NULL), annotation, NULL);
}

uint64_t kube_time_parse(const char *text)
{
        uint64_t usec = 0, unit = 100000;
        struct tm tm = { 0 };
        const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        time_t seconds = rest ? timegm(&tm) : -1;

        if (seconds < 0)
                return 0;
        if (*rest == '.') {
                for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
                        usec += (uint64_t)(*rest - '0') * unit;
        }
        return strcmp(rest, "Z") == 0 ? (uint64_t)seconds * 1000000 + usec : 0;
}

static bool field_is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool field_is_label(const char *text, size_t n)
{
        if (n == 0 || n > KHS_LABEL_MAX || !field_is_alnum(text[0]) || !field_is_alnum(text[n - 1]))
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!field_is_alnum(text[i]) && text[i] != '-')
                        return false;
        }
        return true;
}

bool kube_is_label(const char *text)
{
        return field_is_label(text, strlen(text));
}

bool kube_is_name(const char *text)
{
        if (strlen(text) > KHS_NAME_MAX)
                return false;
        for (;; text++) {
                size_t n = strcspn(text, ".");

                if (!field_is_label(text, n))
                        return false;
                text += n;
                if (*text == '\0')
                        return true;
        }
}

const char *kube_printable(const char *text, char *ret, size_t n_ret)
{
        size_t n = 0;

        for (; text[n] && n + 1 < n_ret; n++)
                ret[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
        ret[n] = '\0';
        return ret;
}
