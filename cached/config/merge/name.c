/*
 * Names as an administrator writes them, completed to S.N.
 *
 * The full form is taken too, since that is what people copy out of a program's configuration; a
 * name in another cluster's domain is refused by its own error, because nothing here could serve it.
 *
 * The namespace is looked up each time that the configuration is read: a pod's service account and
 * search list are there before the daemon and do not change, and on a node neither says anything.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer/name.h"
#include "base/file.h"
#include "base/resolv-conf.h"
#include "base/util.h"
#include "config/keys/value.h"
#include "config/merge/name.h"

#define SMALL_FILE_MAX (256U << 10)
#define SEARCH_MAX     64U /* domains; glibc before 2.26 took 6 */

static void name_copy(char *ret, const char *text, size_t n_text)
{
        for (size_t i = 0; i < n_text; i++)
                ret[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        ret[n_text] = '\0';
}

/* What may follow S.N: nothing, ".svc", ".svc.D" or ".svc.D.". */
static int name_check_tail(const char *tail, const char *domain)
{
        size_t n_domain = strlen(domain);

        if (*tail == '\0')
                return 0;
        if (strncasecmp(tail, ".svc", 4) != 0 || (tail[4] != '\0' && tail[4] != '.'))
                return -EINVAL;
        if (tail[4] == '\0')
                return 0;
        tail += 5;
        if (strncasecmp(tail, domain, n_domain) != 0)
                return -EXDEV;
        tail += n_domain;
        return *tail == '\0' || strcmp(tail, ".") == 0 ? 0 : -EXDEV;
}

int config_name_parse(struct config_name *ret, const char *text, const char *domain, const char *namespace)
{
        size_t n_service = strcspn(text, "."), n_namespace = strlen(namespace);
        const char *tail = text + n_service;
        int r;

        if (*tail == '.') {
                namespace = tail + 1;
                n_namespace = strcspn(namespace, ".");
                tail = namespace + n_namespace;
        }
        if (!config_label_valid(text, n_service) || !config_label_valid(namespace, n_namespace))
                return -EINVAL;
        r = name_check_tail(tail, domain);
        if (r < 0)
                return r;
        if (n_service + 1 + n_namespace + strlen(".svc.") + strlen(domain) > KHS_NAME_MAX)
                return -ENAMETOOLONG;

        name_copy(ret->service, text, n_service);
        name_copy(ret->namespace, namespace, n_namespace);
        strcpy(ret->key, ret->service);
        strcat(ret->key, ".");
        strcat(ret->key, ret->namespace);
        return 0;
}

/* -ENOENT: the file says nothing that can be used. */
static int namespace_from_account(const char *path, char **ret)
{
        _cleanup_(cleanup_free) char *text = NULL;
        const char *cursor, *word;
        size_t n_text, n_word;
        int r;

        r = file_read(path, SMALL_FILE_MAX, &text, &n_text);
        if (r < 0)
                return r == -ENOMEM ? r : -ENOENT;
        cursor = text;
        if (!config_word_next(&cursor, &word, &n_word) || !config_label_valid(word, n_word))
                return -ENOENT;
        text[(size_t)(word - text) + n_word] = '\0';
        return config_label_parse(word, ret);
}

/* Splits the words of a search list in place. */
static size_t namespace_split_search(char *line, const char **ret)
{
        const char *cursor = line, *word;
        size_t n_word, n = 0;

        while (n < SEARCH_MAX && config_word_next(&cursor, &word, &n_word)) {
                char *end = line + (word - line) + n_word;

                ret[n++] = word;
                if (*end == '\0')
                        break;
                *end = '\0';
                cursor = end + 1;
        }
        return n;
}

static int namespace_from_resolv_conf(const char *path, const char *domain, char **ret)
{
        const char *search[SEARCH_MAX + 1] = { NULL };
        const struct khs_zone zone = { .bytes = domain, .n = strlen(domain) };
        char namespace[KHS_LABEL_MAX + 1];
        struct resolv_conf conf;
        int r = resolv_conf_read(&conf, path);

        if (r < 0)
                return r == -ENOMEM ? r : -ENOENT;
        search[namespace_split_search(conf.search, search)] = NULL;
        if (khs_name_search(search, SEARCH_MAX, &zone, namespace) == 0)
                return -ENOENT;
        return config_label_valid(namespace, strlen(namespace)) ? config_label_parse(namespace, ret) : -ENOENT;
}

int config_namespace_auto(const struct config_origin *origin, const char *domain, char **ret)
{
        int r = -ENOENT;

        if (origin->service_account_namespace)
                r = namespace_from_account(origin->service_account_namespace, ret);
        if (r == -ENOENT && origin->resolv_conf)
                r = namespace_from_resolv_conf(origin->resolv_conf, domain, ret);
        if (r == -ENOENT)
                r = config_label_parse("default", ret);
        return r;
}
