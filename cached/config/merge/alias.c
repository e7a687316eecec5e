/*
 * The rules of aliases: what would answer for a name that belongs to somebody else is refused.
 *
 * An alias may not lie in the cluster domain, end in ".svc", be localhost, equal a registered S.N,
 * nor be claimed twice. The first claim stays: first in the order of the files, then of their
 * lines, so that a file added later cannot take a name away from an earlier one.
 *
 * All claims go into one array, sorted by name and then by that order; of each name all but the
 * first are refused. A refused alias is NULL until the end.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "base/util.h"
#include "config/keys/value.h"
#include "config/merge/alias.h"

struct claim {
        struct config_draft *draft;
        size_t index; /* in the draft's service */
};

static char **claim_alias(const struct claim *claim)
{
        return &claim->draft->service.aliases[claim->index];
}

static const struct config_mark *alias_mark(const struct config_draft *draft)
{
        return &draft->marks[CONFIG_SERVICE_ALIAS];
}

static int compare_claims(const void *a, const void *b)
{
        const struct claim *x = a, *y = b;
        const struct config_mark *of_x = alias_mark(x->draft), *of_y = alias_mark(y->draft);
        int r = strcmp(*claim_alias(x), *claim_alias(y));

        if (r != 0)
                return r;
        if (of_x->file != of_y->file)
                return of_x->file->rank < of_y->file->rank ? -1 : 1;
        if (of_x->entry != of_y->entry)
                return of_x->entry < of_y->entry ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

/* "x" lies in "x" and "y.x", as name lies in domain. */
static bool lies_in(const char *name, const char *domain)
{
        size_t n_name = strlen(name), n_domain = strlen(domain);

        if (n_name < n_domain || strcmp(name + n_name - n_domain, domain) != 0)
                return false;
        return n_name == n_domain || name[n_name - n_domain - 1] == '.';
}

static bool has_word(const char *text, const char *wanted)
{
        const char *word;
        size_t n_word;

        while (config_word_next(&text, &word, &n_word))
                if (n_word == strlen(wanted) && strncasecmp(word, wanted, n_word) == 0)
                        return true;
        return false;
}

/*
 * The line of one alias: the list may have grown over several, of which the mark knows the last. A
 * section that goes on elsewhere in its file is not followed: then it is that last line.
 */
static struct config_mark alias_find(const struct config_draft *draft, const char *alias)
{
        struct config_mark mark = *alias_mark(draft);

        for (const struct config_entry *entry = mark.entry; entry->key; entry--)
                if (strcmp(entry->key, "alias") == 0 && has_word(entry->value, alias)) {
                        mark.entry = entry;
                        break;
                }
        return mark;
}

static void alias_refuse(const struct claim *claim, const char *why, const char *who)
{
        char **alias = claim_alias(claim);
        struct config_mark mark = alias_find(claim->draft, *alias);

        config_mark_report(&mark, "alias", LOG_ERR, "found %s, expected %s%s",
                           config_quote(*alias, strlen(*alias)).text, why, who);
        free(*alias);
        *alias = NULL;
}

static bool alias_is_registered(const struct config_drafts *drafts, const char *alias)
{
        const struct config_draft *pods = config_drafts_find(drafts, CONFIG_SECTION_PODS, alias);

        return config_drafts_find(drafts, CONFIG_SECTION_SERVICE, alias) || (pods && !pods->refused);
}

/* Return: whether it may be claimed. */
static bool alias_judge(const struct config_drafts *drafts, const struct claim *claim)
{
        const char *alias = *claim_alias(claim), *domain = drafts->config->cluster_domain;

        if (lies_in(alias, domain))
                alias_refuse(claim, "a name outside the cluster domain ", domain);
        else if (lies_in(alias, "svc"))
                alias_refuse(claim, "a name that does not end in .svc", "");
        else if (lies_in(alias, "localhost"))
                alias_refuse(claim, "a name other than localhost", "");
        else if (alias_is_registered(drafts, alias))
                alias_refuse(claim, "a name other than that of a registered service", "");
        else
                return true;
        return false;
}

static void claims_judge(struct claim *claims, size_t n_claims)
{
        const struct claim *first = claims;

        qsort(claims, n_claims, sizeof(*claims), compare_claims);
        for (size_t i = 1; i < n_claims; i++) {
                if (strcmp(*claim_alias(&claims[i]), *claim_alias(first)) != 0)
                        first = &claims[i];
                else if (first->draft == claims[i].draft)
                        alias_refuse(&claims[i], "each alias once", "");
                else
                        alias_refuse(&claims[i], "an alias that is not taken already by ", first->draft->key);
        }
}

static void aliases_close_gaps(struct config_service *service)
{
        size_t n = 0;

        for (size_t i = 0; i < service->n_aliases; i++)
                if (service->aliases[i])
                        service->aliases[n++] = service->aliases[i];
        service->n_aliases = n;
}

int config_aliases_check(struct config_drafts *drafts)
{
        _cleanup_(cleanup_free) struct claim *claims = NULL;
        size_t n_aliases = 0, n_claims = 0;

        for (size_t i = 0; i < drafts->n_items; i++)
                n_aliases += drafts->items[i]->service.n_aliases;
        if (n_aliases == 0)
                return 0;
        claims = calloc(n_aliases, sizeof(*claims));
        if (!claims)
                return -ENOMEM;
        for (size_t i = 0; i < drafts->n_items; i++)
                for (size_t j = 0; !drafts->items[i]->refused && j < drafts->items[i]->service.n_aliases; j++) {
                        claims[n_claims] = (struct claim){ .draft = drafts->items[i], .index = j };
                        n_claims += alias_judge(drafts, &claims[n_claims]);
                }
        claims_judge(claims, n_claims);
        for (size_t i = 0; i < drafts->n_items; i++)
                aliases_close_gaps(&drafts->items[i]->service);
        return 0;
}
