/*
 * Names are found by the lookup that programs make, with the search list of this machine's resolv.conf. A name that
 * nobody has registered is compared with those that are: in full, and without its namespace.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/lookup.h"
#include "base/file.h"
#include "base/hint.h"
#include "base/util.h"
#include "ctl/name.h"

#define RESOLV_CONF     "/etc/resolv.conf"
#define RESOLV_CONF_MAX (64U << 10)
#define SEARCH_MAX      32U

/* ---- the search list ---- */

struct search {
        char *text;
        const char *domains[SEARCH_MAX + 1]; /* point into the text */
};

/* As glibc: of several such lines the last one counts. */
static void name_read_search(struct search *ret)
{
        char *lines = NULL, *words = NULL, *line;
        size_t n;

        *ret = (struct search){ 0 };
        if (file_read(RESOLV_CONF, RESOLV_CONF_MAX, &ret->text, &n) < 0)
                return;
        for (line = strtok_r(ret->text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
                size_t n_domains = 0;

                if (strcspn(line, " \t") != 6 || (memcmp(line, "search", 6) != 0 && memcmp(line, "domain", 6) != 0))
                        continue;
                for (char *word = strtok_r(line + 6, " \t\r", &words); word && n_domains < SEARCH_MAX;
                     word = strtok_r(NULL, " \t\r", &words))
                        ret->domains[n_domains++] = word;
                ret->domains[n_domains] = NULL;
        }
}

/* ---- what is not there ---- */

static void name_offer(struct hint *hint, const char *name, const struct view_service *service)
{
        size_t n_first = strcspn(service->key, ".");
        char first[256];

        hint_offer(hint, name, service->key);
        if (!strchr(name, '.')) {
                struct hint near = { 0 };

                memcpy(first, service->key, n_first);
                first[n_first] = '\0';
                hint_offer(&near, name, first);
                if (near.text[0] && (!hint->text[0] || near.distance < hint->distance)) {
                        hint->distance = near.distance;
                        (void)snprintf(hint->text, sizeof(hint->text), "; did you mean %s?", service->key);
                }
        }
}

static int name_unknown(struct ctl *ctl, const char *name)
{
        struct hint hint = { 0 };

        for (size_t i = 0; i < ctl->catalog.n_services; i++)
                name_offer(&hint, name, &ctl->catalog.services[i]);
        for (size_t i = 0; i < ctl->catalog.n_aliases; i++)
                hint_offer(&hint, name, ctl->catalog.aliases[i].name);
        return ctl_no(ctl, "%s: no registered service has this name%s", name, hint.text);
}

static int name_error(struct ctl *ctl, const char *name, int error)
{
        switch (-error) {
        case ENOENT:
                return name_unknown(ctl, name);
        case ENODATA:
                return ctl_no(ctl, "%s: the service has no such pod", name);
        case EBADMSG:
                return ctl_no(ctl, "%s: its record is damaged", name);
        case EBUSY:
                return ctl_no(ctl, "%s: it changes all the time", name);
        default:
                return ctl_no(ctl, "%s: %s", name, strerror(-error));
        }
}

/* ---- finding ---- */

/* Return: as khs_lookup_find(). @ret_key: of the service. */
static int name_lookup(struct ctl *ctl, const char *name, size_t n_name, char ret_key[static 256],
                       char ret_pod[static KHS_LABEL_MAX + 1])
{
        const struct khs_pin pin = { .view = &ctl->table.file.view, .now_ds = ctl->table.now_ds };
        struct khs_query query = { .name = name, .n_name = n_name };
        struct khs_lookup lookup;
        struct search search;
        int r;

        name_read_search(&search);
        query.search = search.domains;
        query.n_search = SEARCH_MAX;
        r = khs_lookup_begin(&lookup, &query, &pin);
        if (r == 0)
                r = khs_lookup_find(&lookup);
        free(search.text);
        if (r < 0)
                return r;
        memcpy(ret_key, lookup.name.text + lookup.key_at, lookup.found.n_key);
        ret_key[lookup.found.n_key] = '\0';
        ret_pod[0] = '\0';
        if (lookup.n_pod > 0) {
                memcpy(ret_pod, lookup.name.text, lookup.name.n_first);
                ret_pod[lookup.name.n_first] = '\0';
        }
        return 0;
}

/* Leaves the service with the endpoints of one host, IPv4 first. */
static int name_narrow(struct view_service *s, const char *host)
{
        struct view_endpoint *kept = calloc((size_t)s->n_endpoints + 1, sizeof(*kept));
        uint32_t n[2] = { 0 };

        if (!kept)
                return -ENOMEM;
        for (int six = 0; six < 2; six++) {
                for (uint32_t i = 0; i < s->n_endpoints; i++) {
                        const char *text = view_service_text(s, s->endpoints[i].host);

                        if (text && strcmp(text, host) == 0 && (s->endpoints[i].family == AF_INET6) == six)
                                kept[n[0] + n[1]++] = s->endpoints[i];
                }
                n[0] = six ? n[0] : n[1];
                n[1] = six ? n[1] : 0;
        }
        free(s->endpoints);
        s->endpoints = kept;
        s->n4 = n[0];
        s->n6 = n[1];
        s->n_endpoints = n[0] + n[1];
        return 0;
}

static int name_find(struct ctl *ctl, const char *name, size_t n_name, struct ctl_found *ret)
{
        char key[256], pod[KHS_LABEL_MAX + 1];
        int r = name_lookup(ctl, name, n_name, key, pod);

        if (r == 0)
                r = view_catalog_whole(&ctl->catalog, &ctl->table, key, &ret->service);
        if (r == 0 && pod[0]) {
                r = name_narrow(&ret->service, pod);
                if (r < 0)
                        view_service_deinit(&ret->service);
        }
        return r < 0 ? name_error(ctl, name, r) : 0;
}

int ctl_find_name(struct ctl *ctl, const char *name, struct ctl_found *ret)
{
        ret->target = (struct khs_target){ .name = name };
        if (strpbrk(name, ":/"))
                return ctl_misuse(ctl, "%s: found %s, expected the name of a service, without a port",
                                  ctl->command->name, name);
        return name_find(ctl, name, strlen(name), ret);
}

int ctl_find_target(struct ctl *ctl, const char *target, struct ctl_found *ret)
{
        _cleanup_(cleanup_free) char *name = NULL;

        if (khs_target_parse(target, &ret->target) < 0)
                return ctl_misuse(ctl, "%s: found %s, expected NAME[.NAMESPACE][:PORT]", ctl->command->name, target);
        /* As the C API has it: ".svc" excludes aliases and pods. */
        if (asprintf(&name, "%.*s%s%.*s%s", (int)ret->target.n_name, ret->target.name,
                     ret->target.n_namespace > 0 ? "." : "", (int)ret->target.n_namespace, ret->target.namespace,
                     ret->target.n_namespace > 0 ? ".svc" : "") < 0) {
                name = NULL;
                return ctl_no(ctl, "%s", strerror(ENOMEM));
        }
        return name_find(ctl, name, strlen(name), ret);
}
