/*
 * Queries of the API, spelled in one place.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/watch/query.h"

char *kube_query_escape(const char *text)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/,()";
        char *ret = malloc(strlen(text) * 3 + 1), *at = ret;

        if (!ret)
                return NULL;
        for (; *text; text++) {
                if (strchr(plain, *text))
                        *at++ = *text;
                else
                        at += sprintf(at, "%%%02X", (unsigned int)(unsigned char)*text);
        }
        *at = '\0';
        return ret;
}

static char *query_make(const char *path, const char *selector, const char *rest, const char *name, const char *value)
{
        _cleanup_(cleanup_free) char *escaped = kube_query_escape(selector);
        _cleanup_(cleanup_free) char *escaped_value = kube_query_escape(value ? value : "");
        char *ret;

        if (!escaped || !escaped_value)
                return NULL;
        if (asprintf(&ret, "%s?%s%s%s%s%s%s", path, escaped[0] ? "labelSelector=" : "", escaped, escaped[0] ? "&" : "",
                     rest, value ? name : "", escaped_value) < 0)
                return NULL;
        return ret;
}

char *kube_query_list(const char *path, const char *selector, unsigned int limit, const char *next)
{
        char rest[32];

        (void)snprintf(rest, sizeof(rest), "limit=%u", limit);
        return query_make(path, selector, rest, "&continue=", next);
}

char *kube_query_watch(const char *path, const char *selector, const char *version, unsigned int timeout_s)
{
        char rest[80];

        (void)snprintf(rest, sizeof(rest), "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u", timeout_s);
        return query_make(path, selector, rest, "&resourceVersion=", version);
}

char *kube_query_stream(const char *path, const char *selector, unsigned int timeout_s)
{
        char rest[160];

        (void)snprintf(rest, sizeof(rest),
                       "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                       "&timeoutSeconds=%u",
                       timeout_s);
        return query_make(path, selector, rest, "", NULL);
}
