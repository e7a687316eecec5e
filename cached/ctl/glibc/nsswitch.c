/*
 * nsswitch.conf as glibc reads it: of several lines the last one counts, words are case-sensitive but for the
 * actions, and an action belongs to the service before it.
 *
 *     hosts: files k8shsvc [!UNAVAIL=return] dns
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/util.h"
#include "ctl/glibc/nsswitch.h"

#define FILE_MAX (64U << 10)

/* "NOTFOUND=return", "!UNAVAIL=return"; others say nothing about where a lookup ends. */
static void nsswitch_take_action(struct nsswitch_service *service, const char *word, size_t n)
{
        static const char *const statuses[] = { "SUCCESS", "NOTFOUND", "UNAVAIL", "TRYAGAIN" };
        const char *equals = memchr(word, '=', n);
        bool negated = n > 0 && word[0] == '!';
        size_t n_status;

        if (!equals)
                return;
        word += negated;
        n_status = (size_t)(equals - word);
        for (size_t i = 0; i < 4; i++) {
                bool named = strlen(statuses[i]) == n_status && strncasecmp(word, statuses[i], n_status) == 0;

                if (named != negated)
                        service->returns[i] = strncasecmp(equals + 1, "return", 6) == 0;
        }
}

static const char *nsswitch_take_actions(struct nsswitch *nsswitch, const char *at, const char *end)
{
        for (at++; at < end && *at != ']';) {
                size_t n = strcspn(at, " \t]");

                if (nsswitch->n_services > 0)
                        nsswitch_take_action(&nsswitch->services[nsswitch->n_services - 1], at, n);
                at += n;
                at += strspn(at, " \t");
        }
        return at < end ? at + 1 : end;
}

static void nsswitch_take_line(struct nsswitch *ret, const char *at)
{
        const char *end = at + strcspn(at, "#\n");
        size_t n_line;

        *ret = (struct nsswitch){ .found = true };
        at += strspn(at, " \t");
        n_line = at < end ? (size_t)(end - at) : 0;
        while (n_line > 0 && isspace((unsigned char)at[n_line - 1]))
                n_line--;
        if (n_line >= sizeof(ret->line))
                n_line = sizeof(ret->line) - 1;
        memcpy(ret->line, at, n_line);

        while (at < end && ret->n_services < NSSWITCH_SERVICES_MAX) {
                struct nsswitch_service *service = &ret->services[ret->n_services];
                size_t n = strcspn(at, " \t\r[#\n");

                if (n > 0 && n < sizeof(service->name)) {
                        memcpy(service->name, at, n);
                        service->returns[NSSWITCH_SUCCESS] = true;
                        ret->n_services++;
                }
                at += n;
                at += strspn(at, " \t\r");
                if (*at == '[')
                        at = nsswitch_take_actions(ret, at, end);
        }
}

void nsswitch_parse(struct nsswitch *ret, const char *text)
{
        *ret = (struct nsswitch){ 0 };
        for (const char *line = text; line && *line; line = strchr(line, '\n')) {
                line += *line == '\n';
                line += strspn(line, " \t");
                if (strncmp(line, "hosts", 5) == 0 && line[5 + strspn(line + 5, " \t")] == ':')
                        nsswitch_take_line(ret, strchr(line, ':') + 1);
        }
}

int nsswitch_read(struct nsswitch *ret, const char *path)
{
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n;
        int r = file_read(path, FILE_MAX, &text, &n);

        if (r == 0)
                nsswitch_parse(ret, text);
        return r;
}

size_t nsswitch_find(const struct nsswitch *nsswitch, const char *name)
{
        for (size_t i = 0; i < nsswitch->n_services; i++) {
                if (strcmp(nsswitch->services[i].name, name) == 0)
                        return i;
        }
        return nsswitch->n_services;
}

/* `dns` and `resolve` know the same names. Any other does not, and with [NOTFOUND=return] that ends the lookup. */
const char *nsswitch_in_front(const struct nsswitch *nsswitch, size_t at)
{
        for (size_t i = 0; i < at && i < nsswitch->n_services; i++) {
                const struct nsswitch_service *service = &nsswitch->services[i];

                if (strcmp(service->name, "dns") == 0 || strcmp(service->name, "resolve") == 0 ||
                    service->returns[NSSWITCH_NOTFOUND])
                        return service->name;
        }
        return NULL;
}
