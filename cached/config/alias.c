/*
 * The rules of aliases: what would answer for a name that belongs to somebody else is refused.
 *
 * An alias may not lie in the cluster domain, end in ".svc", be localhost, equal a registered S.N,
 * nor be claimed twice. The first claim stays: first in the order of the files, then of their
 * lines, so that a file added later can't take a name away from an earlier one.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "config/keys/value.h"
#include "config/merge.h"

struct claim {
        const char *alias; /* first: the tree compares it */
        const struct config_draft *draft;
};

/* All drafts with aliases, in the order of their claims, and who has which alias. */
struct claims {
        struct config_draft **drafts;
        struct claim *claims;
        void *tree;
        size_t n_claims;
};

static int compare_claims(const void *a, const void *b)
{
        const char *const *x = a, *const *y = b;

        return strcmp(*x, *y);
}

static void keep(void *node)
{
        (void)node;
}

static void claims_deinit(struct claims *claims)
{
        tdestroy(claims->tree, keep);
        free(claims->claims);
        free(claims->drafts);
}

static const struct config_mark *alias_mark(const struct config_draft *draft)
{
        return &draft->marks[CONFIG_SERVICE_ALIAS];
}

static int compare_drafts(const void *a, const void *b)
{
        const struct config_mark *x = alias_mark(*(struct config_draft *const *)a);
        const struct config_mark *y = alias_mark(*(struct config_draft *const *)b);

        if (x->file != y->file)
                return x->file->rank < y->file->rank ? -1 : 1;
        return x->entry < y->entry ? -1 : x->entry > y->entry;
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
 * The line of one alias: the list may have grown over several, of which the mark knows the last.
 * A section that goes on elsewhere in its file is not followed: then it is that last line.
 */
static struct config_mark alias_line(const struct config_draft *draft, const char *alias)
{
        struct config_mark mark = *alias_mark(draft);
        const struct config_entry *entries = mark.file->entries;

        for (size_t i = mark.entry; entries[i].key; i--)
                if (strcmp(entries[i].key, "alias") == 0 && has_word(entries[i].value, alias)) {
                        mark.entry = i;
                        break;
                }
        return mark;
}

static void refuse(const struct config_draft *draft, const char *alias, const char *why, const char *who)
{
        struct config_mark mark = alias_line(draft, alias);

        config_mark_report(&mark, "alias", LOG_ERR, "found %s, expected %s%s", config_quote(alias, strlen(alias)).text,
                           why, who);
}

/* Whether @alias may stay; the reason why not is reported. */
static bool alias_allowed(const struct config_merge *merge, const struct config_draft *draft, const char *alias)
{
        const char *domain = merge->config->cluster_domain;

        if (lies_in(alias, domain)) {
                refuse(draft, alias, "a name outside the cluster domain ", domain);
                return false;
        }
        if (lies_in(alias, "svc")) {
                refuse(draft, alias, "a name that does not end in .svc", "");
                return false;
        }
        if (lies_in(alias, "localhost")) {
                refuse(draft, alias, "a name other than localhost", "");
                return false;
        }
        if (config_merge_find(merge, CONFIG_SECTION_SERVICE, alias) ||
            config_merge_find(merge, CONFIG_SECTION_PODS, alias)) {
                refuse(draft, alias, "a name other than that of a registered service", "");
                return false;
        }
        return true;
}

/* Return: 1: it is ours; 0: somebody has it; -ENOMEM. */
static int claim(struct claims *claims, const struct config_draft *draft, const char *alias)
{
        struct claim *mine = &claims->claims[claims->n_claims];
        struct claim *const *found;

        *mine = (struct claim){ .alias = alias, .draft = draft };
        found = tsearch(mine, &claims->tree, compare_claims);
        if (!found)
                return -ENOMEM;
        if (*found == mine) {
                claims->n_claims++;
                return 1;
        }
        if ((*found)->draft == draft)
                refuse(draft, alias, "each alias once", "");
        else
                refuse(draft, alias, "an alias that is not taken already by ", (*found)->draft->key);
        return 0;
}

static int draft_check(const struct config_merge *merge, struct claims *claims, struct config_draft *draft)
{
        struct config_service *service = &draft->service;
        size_t n_kept = 0, n = service->n_aliases;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                char *alias = service->aliases[i];

                if (r >= 0)
                        r = alias_allowed(merge, draft, alias) ? claim(claims, draft, alias) : 0;
                if (r > 0)
                        service->aliases[n_kept++] = alias;
                else
                        free(alias);
        }
        service->n_aliases = n_kept;
        return r < 0 ? r : 0;
}

int config_aliases_check(struct config_merge *merge)
{
        _cleanup_(claims_deinit) struct claims claims = { 0 };
        size_t n_drafts = 0, n_aliases = 0;

        claims.drafts = calloc(merge->n_drafts + 1, sizeof(*claims.drafts));
        if (!claims.drafts)
                return -ENOMEM;
        for (size_t i = 0; i < merge->n_drafts; i++) {
                if (merge->drafts[i]->service.n_aliases == 0)
                        continue;
                claims.drafts[n_drafts++] = merge->drafts[i];
                n_aliases += merge->drafts[i]->service.n_aliases;
        }
        /* One more: a claim that is refused needs its place while it is looked up. */
        claims.claims = calloc(n_aliases + 1, sizeof(*claims.claims));
        if (!claims.claims)
                return -ENOMEM;

        qsort(claims.drafts, n_drafts, sizeof(*claims.drafts), compare_drafts);
        for (size_t i = 0; i < n_drafts; i++) {
                int r = draft_check(merge, &claims, claims.drafts[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}
