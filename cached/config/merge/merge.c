/*
 * Merging: a walk through the entries of all files, lowest first.
 *
 * There are two walks. [daemon] comes first, because the cluster domain and the namespace complete
 * the names of all other sections, those of lower files too. Each walk reports its own findings. A
 * key is parsed when it is met and replaces what lower files set; a value that is wrong leaves that
 * in place.
 *
 * An empty value restores the inherited one: what the key would be had no file set it, that is
 * [daemon]'s for source, refresh-min, refresh-max and max-stale of a service, and the built-in
 * default for all others. So a drop-in can undo what a lower file says.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "config/keys/field.h"
#include "config/keys/value.h"
#include "config/merge/complete.h"
#include "config/merge/draft.h"
#include "config/merge/merge.h"
#include "config/merge/name.h"

#define EXPECTED_SECTIONS "[daemon], [service NAME.NAMESPACE], [pods NAME.NAMESPACE] or [namespace NAMESPACE]"

/* Where a walk through a file is. */
struct walk {
        struct config_drafts *drafts;
        struct config_mark at;
        uint8_t section; /* enum config_section; 0: none, or one whose keys are left out */
        struct config_draft *draft;
};

static struct config_quote quote(const char *text)
{
        return config_quote(text, strlen(text));
}

/* ---- sections ---- */

static const struct config_word section_words[] = {
        { "daemon", CONFIG_SECTION_DAEMON },
        { "service", CONFIG_SECTION_SERVICE },
        { "pods", CONFIG_SECTION_PODS },
        { "namespace", CONFIG_SECTION_NAMESPACE },
        { 0 },
};

/* "service  a.b" -> CONFIG_SECTION_SERVICE, "a.b"; 0 for an unknown title, with a hint. */
static uint8_t title_parse(const char *title, const char **ret_name, struct hint *ret_hint)
{
        const struct config_word *known;
        const char *start;
        size_t n_word;
        char word[32];

        if (!config_word_next(&title, &start, &n_word) || n_word >= sizeof(word))
                return 0;
        memcpy(word, start, n_word);
        word[n_word] = '\0';
        *ret_name = title + strspn(title, " \t");

        known = config_word_find(section_words, word);
        if (known && (known->value != CONFIG_SECTION_DAEMON || **ret_name == '\0'))
                return (uint8_t)known->value;
        *ret_hint = config_word_hint(section_words, word);
        return 0;
}

static void walk_report_name(const struct walk *walk, const char *name, int error)
{
        const char *domain = walk->drafts->config->cluster_domain;
        struct config_quote found = quote(name);

        if (error == -EXDEV)
                config_mark_report(&walk->at, NULL, LOG_ERR, "found %s, expected a name in the cluster domain %s",
                                   found.text, domain);
        else if (error == -ENAMETOOLONG)
                config_mark_report(&walk->at, NULL, LOG_ERR, "found %s, expected at most %u bytes with .svc.%s",
                                   found.text, KHS_NAME_MAX, domain);
        else
                config_mark_report(&walk->at, NULL, LOG_ERR,
                                   "found %s, expected NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.%s", found.text,
                                   domain);
}

/* A label alone, read as the service of a name that is cut off again. -EINVAL: reported. */
static int walk_namespace_name(const struct walk *walk, const char *text, struct config_name *ret)
{
        const struct config *config = walk->drafts->config;

        if (!config_label_valid(text, strlen(text)) ||
            config_name_parse(ret, text, config->cluster_domain, config->namespace) < 0) {
                config_mark_report(&walk->at, NULL, LOG_ERR, "found %s, expected the name of a namespace",
                                   quote(text).text);
                return -EINVAL;
        }
        strcpy(ret->namespace, ret->service);
        strcpy(ret->key, ret->service);
        ret->service[0] = '\0';
        return 0;
}

/* -EINVAL: reported. */
static int walk_service_name(const struct walk *walk, const char *text, struct config_name *ret)
{
        const struct config *config = walk->drafts->config;
        int r;

        r = config_name_parse(ret, text, config->cluster_domain, config->namespace);
        if (r == 0)
                return 0;
        walk_report_name(walk, text, r);
        return -EINVAL;
}

/* "1.2" and "0x7f.1" are numbers to inet_aton(3), which getaddrinfo() asks before any module. */
static void walk_warn_of_number(const struct walk *walk, const struct config_name *name)
{
        const char *text = name->key;
        struct in_addr address;

        if (inet_aton(text, &address) == 0)
                text = name->service;
        if (inet_aton(text, &address) != 0)
                config_mark_report(&walk->at, NULL, LOG_WARNING,
                                   "found '%s', which getaddrinfo() reads as an address, expected a name that "
                                   "programs can look up: only longer ones work, such as %s.svc.%s",
                                   text, name->key, walk->drafts->config->cluster_domain);
}

/* Goes into the draft of a name, which is made if it is new; a name that is bad is reported. */
static int walk_section(struct walk *walk, uint8_t section, const char *text)
{
        struct config_drafts *drafts = walk->drafts;
        struct config_name name;
        int r;

        if (section == CONFIG_SECTION_NAMESPACE)
                r = walk_namespace_name(walk, text, &name);
        else
                r = walk_service_name(walk, text, &name);
        if (r < 0)
                return 0;
        walk->draft = config_drafts_find(drafts, section, name.key);
        if (!walk->draft && drafts->n_of[section] >= CONFIG_SERVICES_MAX) {
                config_mark_report(&walk->at, NULL, LOG_ERR, "found one section too many, expected at most %u",
                                   CONFIG_SERVICES_MAX);
                return 0;
        }
        if (!walk->draft) {
                r = config_drafts_add(drafts, section, &name, &walk->at, &walk->draft);
                if (r < 0)
                        return r;
                if (section != CONFIG_SECTION_NAMESPACE)
                        walk_warn_of_number(walk, &name);
        }
        walk->section = section;
        return 0;
}

/* @daemon: which of the two walks this is. */
static int walk_head(struct walk *walk, bool daemon)
{
        struct hint hint = { 0 };
        const char *name = "";
        uint8_t section = title_parse(walk->at.entry->value, &name, &hint);

        walk->section = 0;
        walk->draft = NULL;
        if (daemon && section == CONFIG_SECTION_DAEMON)
                walk->section = section;
        if (daemon && section == 0)
                config_mark_report(&walk->at, NULL, LOG_ERR, "found an unknown section, expected %s%s",
                                   EXPECTED_SECTIONS, hint.text);
        if (daemon || section == 0 || section == CONFIG_SECTION_DAEMON)
                return 0;
        return walk_section(walk, section, name);
}

/* ---- keys ---- */

static void mark_report_value(const struct config_mark *at, const struct config_key *key, const char *bad, int error)
{
        size_t n_bad = config_key_is_list(key) ? strcspn(bad, " \t\n\v\f\r") : strlen(bad);

        if (error == -E2BIG)
                config_mark_report(at, key->name, LOG_ERR, "found too many, expected at most %llu",
                                   (unsigned long long)key->max);
        else
                config_mark_report(at, key->name, LOG_ERR, "found %s, expected %s%s", config_quote(bad, n_bad).text,
                                   key->expected, config_word_hint(key->words, at->entry->value).text);
}

/* Whether the key may be set here; if it was set before in this file, it must be a list. */
static bool mark_is_first(const struct config_mark *at, const struct config_key *key, const struct config_mark *before)
{
        if (before->file != at->file || config_key_is_list(key))
                return true;
        config_mark_report(at, key->name, LOG_ERR, "found a second value, expected one (the first is in line %u)",
                           (unsigned int)before->entry->line);
        return false;
}

static int key_apply(const struct config_mark *at, const struct config_key *key, void *object, struct config_mark *mark)
{
        const char *value = at->entry->value, *bad = value;
        int r;

        if (!mark_is_first(at, key, mark))
                return 0;
        if (*value)
                r = config_key_set(key, object, value, mark->file == at->file, &bad);
        else
                r = config_key_reset(key, object);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                mark_report_value(at, key, bad, r);
        else
                *mark = *at;
        return 0;
}

static int walk_key(struct walk *walk)
{
        const struct config_key *key = config_key_find(walk->section, walk->at.entry->key);
        struct config_drafts *drafts = walk->drafts;
        char names[CONFIG_KEY_NAMES_MAX];

        if (!key) {
                config_key_names(walk->section, walk->at.entry->key, names);
                config_mark_report(&walk->at, walk->at.entry->key, LOG_ERR, "found an unknown key, expected one of %s",
                                   names);
                return 0;
        }
        if (walk->section == CONFIG_SECTION_DAEMON)
                return key_apply(&walk->at, key, drafts->config, &drafts->marks[key - config_daemon_keys]);
        return key_apply(&walk->at, key, &walk->draft->service, &walk->draft->marks[key - config_service_keys]);
}

/* ---- files ---- */

static int walk_file(struct config_drafts *drafts, struct config_file *file, bool daemon)
{
        struct walk walk = { .drafts = drafts, .at.file = file };

        for (size_t i = 0; i < file->n_entries; i++) {
                const struct config_entry *entry = &file->entries[i];
                int r = 0;

                walk.at.entry = entry;
                if (!entry->key)
                        r = walk_head(&walk, daemon);
                else if (walk.section)
                        r = walk_key(&walk);
                else if (!entry->section && daemon)
                        config_mark_report(&walk.at, entry->key, LOG_ERR,
                                           "found a key before any section, expected a [SECTION] above it");
                if (r < 0)
                        return r;
        }
        return 0;
}

static int walk_files(struct config_drafts *drafts, struct config_file **files, size_t n_files, bool daemon)
{
        for (size_t i = 0; i < n_files; i++) {
                int r = walk_file(drafts, files[i], daemon);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Gives the namespace its final value. */
static int namespace_complete(struct config *config, const struct config_origin *origin)
{
        char *namespace;
        int r;

        config->namespace_explicit = strcmp(config->namespace, "auto") != 0;
        if (config->namespace_explicit)
                return 0;
        r = config_namespace_auto(origin, config->cluster_domain, &namespace);
        if (r < 0)
                return r;
        free(config->namespace);
        config->namespace = namespace;
        return 0;
}

int config_merge(struct config **ret, const struct config_origin *origin, struct config_file **files, size_t n_files)
{
        _cleanup_(config_drafts_deinit) struct config_drafts drafts = { 0 };
        int r;

        for (size_t i = 0; i < n_files; i++) {
                files[i]->rank = i;
                config_findings_clear(&files[i]->merging);
        }
        r = config_drafts_init(&drafts);
        if (r >= 0)
                r = walk_files(&drafts, files, n_files, true);
        if (r >= 0)
                r = namespace_complete(drafts.config, origin);
        if (r >= 0)
                r = walk_files(&drafts, files, n_files, false);
        if (r >= 0)
                r = config_complete(&drafts);
        if (r < 0)
                return r;
        *ret = drafts.config;
        drafts.config = NULL;
        return 0;
}
