/*
 * Merging, see config/merge.h.
 *
 * The files are walked twice. [daemon] comes first, because the cluster domain and the namespace
 * complete the names of all other sections, also of those in lower files. A key is parsed when it
 * is met and replaces what lower files have set; a value that is wrong leaves it in place.
 *
 * An empty value restores the inherited one: what the key would be had no file set it, that is
 * [daemon]'s for source, refresh-min, refresh-max and max-stale of a service, and the built-in
 * default for all others. So a drop-in can undo what a lower file says.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "config/keys/value.h"
#include "config/merge.h"
#include "config/name.h"

#define EXPECTED_SECTIONS "[daemon], [service NAME.NAMESPACE], [pods NAME.NAMESPACE] or [namespace NAMESPACE]"

/* Where a walk through a file is. */
struct walk {
        struct config_merge *merge;
        struct config_mark at;
        uint8_t section; /* enum config_section; 0: none, or one whose keys are left out */
        struct config_draft *draft;
};

static int compare_keys(const void *a, const void *b)
{
        const char *const *x = a, *const *y = b;

        return strcmp(*x, *y);
}

static void keep(void *node)
{
        (void)node;
}

static void draft_free(struct config_draft *draft)
{
        if (!draft)
                return;
        config_service_deinit(&draft->service);
        free(draft);
}

static void merge_deinit(struct config_merge *merge)
{
        for (size_t i = 0; i < sizeof(merge->trees) / sizeof(merge->trees[0]); i++)
                tdestroy(merge->trees[i], keep);
        for (size_t i = 0; i < merge->n_drafts; i++)
                draft_free(merge->drafts[i]);
        free(merge->drafts);
        config_free(merge->config);
}

struct config_draft *config_merge_find(const struct config_merge *merge, enum config_section section, const char *key)
{
        struct config_draft *const *found = tfind(&key, &merge->trees[section], compare_keys);

        return found ? *found : NULL;
}

static const struct config_entry *mark_entry(const struct config_mark *mark)
{
        return &mark->file->entries[mark->entry];
}

struct config_place config_mark_place(const struct config_mark *mark, const char *key)
{
        const struct config_entry *entry = mark_entry(mark);

        return (struct config_place){
                .path = mark->file->path, .line = entry->line, .section = entry->section, .key = key
        };
}

static struct config_quote quote(const char *text)
{
        return config_quote(text, strlen(text));
}

/* --- sections --- */

static const struct {
        const char *word;
        uint8_t section;
} section_words[] = {
        { "service", CONFIG_SECTION_SERVICE },
        { "pods", CONFIG_SECTION_PODS },
        { "namespace", CONFIG_SECTION_NAMESPACE },
};

/* "service  a.b" -> CONFIG_SECTION_SERVICE, "a.b"; 0 for an unknown title. */
static uint8_t title_parse(const char *title, const char **ret_name)
{
        const char *word;
        size_t n_word;

        *ret_name = "";
        if (strcmp(title, "daemon") == 0)
                return CONFIG_SECTION_DAEMON;
        if (!config_word_next(&title, &word, &n_word))
                return 0;
        for (size_t i = 0; i < sizeof(section_words) / sizeof(section_words[0]); i++) {
                if (n_word != strlen(section_words[i].word) || strncmp(word, section_words[i].word, n_word) != 0)
                        continue;
                *ret_name = title + strspn(title, " \t");
                return section_words[i].section;
        }
        return 0;
}

static void report_name(const struct config_mark *at, const char *name, int error, const char *domain)
{
        struct config_quote found = quote(name);

        if (error == -EXDEV)
                config_mark_report(at, NULL, LOG_ERR, "found %s, expected a name in the cluster domain %s", found.text,
                                   domain);
        else if (error == -ENAMETOOLONG)
                config_mark_report(at, NULL, LOG_ERR, "found %s, expected at most %u bytes with .svc.%s", found.text,
                                   KHS_NAME_MAX, domain);
        else
                config_mark_report(at, NULL, LOG_ERR,
                                   "found %s, expected NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.%s", found.text,
                                   domain);
}

/* -EINVAL: reported. */
static int section_name(const struct walk *walk, uint8_t section, const char *text, struct config_name *ret)
{
        const struct config *config = walk->merge->config;
        int r;

        if (section != CONFIG_SECTION_NAMESPACE) {
                r = config_name_parse(ret, text, config->cluster_domain, config->namespace);
                if (r < 0)
                        report_name(&walk->at, text, r, config->cluster_domain);
                return r < 0 ? -EINVAL : 0;
        }
        /* A label alone, read as the service of a name that is cut off again. */
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

static int format_origin(const struct config_mark *mark, char **ret)
{
        uint32_t line = mark_entry(mark)->line;
        int r;

        r = line > 0 ? asprintf(ret, "%s:%u", mark->file->path, (unsigned int)line)
                     : asprintf(ret, "%s", mark->file->path);
        if (r >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

static int draft_new(const struct walk *walk, uint8_t section, const struct config_name *name,
                     struct config_draft **ret)
{
        struct config_draft *draft = calloc(1, sizeof(*draft));
        struct config_service *service;

        if (!draft)
                return -ENOMEM;
        service = &draft->service;
        draft->section = section;
        draft->head = walk->at;
        if (name->service[0])
                service->name = strdup(name->service);
        service->namespace = strdup(name->namespace);
        service->key = strdup(name->key);
        draft->key = service->key;
        if (!draft->key || !service->namespace || (name->service[0] && !service->name) ||
            format_origin(&draft->head, &service->origin) < 0 ||
            config_keys_reset(config_service_keys, CONFIG_N_SERVICE_KEYS, service) < 0) {
                draft_free(draft);
                return -ENOMEM;
        }
        *ret = draft;
        return 0;
}

/* Takes over @draft, also on failure. */
static int draft_add(struct config_merge *merge, struct config_draft *draft)
{
        if (merge->n_drafts == merge->n_allocated) {
                size_t n = merge->n_allocated ? merge->n_allocated * 2 : 64;
                struct config_draft **drafts = reallocarray(merge->drafts, n, sizeof(*drafts));

                if (!drafts) {
                        draft_free(draft);
                        return -ENOMEM;
                }
                merge->drafts = drafts;
                merge->n_allocated = n;
        }
        merge->drafts[merge->n_drafts++] = draft;
        merge->n_of[draft->section]++;
        return tsearch(draft, &merge->trees[draft->section], compare_keys) ? 0 : -ENOMEM;
}

/* The draft of the section's name, made if it is new; NULL when it can't be, which is reported. */
static int section_open(struct walk *walk, uint8_t section, const char *text)
{
        struct config_merge *merge = walk->merge;
        struct config_draft *draft = NULL;
        struct config_name name;
        int r;

        if (section_name(walk, section, text, &name) < 0)
                return 0;
        walk->draft = config_merge_find(merge, section, name.key);
        if (walk->draft) {
                walk->section = section;
                return 0;
        }
        if (merge->n_of[section] >= CONFIG_SERVICES_MAX) {
                config_mark_report(&walk->at, NULL, LOG_ERR, "found one section too many, expected at most %u",
                                   CONFIG_SERVICES_MAX);
                return 0;
        }
        r = draft_new(walk, section, &name, &draft);
        if (r >= 0)
                r = draft_add(merge, draft);
        if (r < 0)
                return r;
        walk->draft = draft;
        walk->section = section;
        return 0;
}

/* @daemon: which of the two walks this is; each reports its own findings. */
static int walk_head(struct walk *walk, bool daemon)
{
        const char *title = mark_entry(&walk->at)->value, *name;
        uint8_t section = title_parse(title, &name);

        walk->section = 0;
        walk->draft = NULL;
        if (daemon && section == CONFIG_SECTION_DAEMON)
                walk->section = section;
        if (daemon && section == 0)
                config_mark_report(&walk->at, NULL, LOG_ERR, "found an unknown section, expected %s",
                                   EXPECTED_SECTIONS);
        if (daemon || section == 0 || section == CONFIG_SECTION_DAEMON)
                return 0;
        return section_open(walk, section, name);
}

/* --- keys --- */

static void report_value(const struct config_mark *at, const struct config_key *key, int error)
{
        const struct config_entry *entry = mark_entry(at);
        struct config_quote found;

        if (error == -E2BIG) {
                config_mark_report(at, key->name, LOG_ERR, "found too many, expected at most %llu",
                                   (unsigned long long)key->max);
                return;
        }
        found = quote(entry->value);
        config_mark_report(at, key->name, LOG_ERR, "found %s, expected %s", found.text, key->expected);
}

/* Whether the key may be set here; if it was before in this file, it must be a list. */
static bool first_in_file(const struct config_mark *at, const struct config_key *key, const struct config_mark *before)
{
        if (before->file != at->file || config_key_is_list(key))
                return true;
        config_mark_report(at, key->name, LOG_ERR, "found a second value, expected one (the first is in line %u)",
                           (unsigned int)mark_entry(before)->line);
        return false;
}

static int key_apply(const struct config_mark *at, const struct config_key *key, void *object, struct config_mark *mark)
{
        const char *value = mark_entry(at)->value;
        int r;

        if (!first_in_file(at, key, mark))
                return 0;
        if (*value)
                r = config_key_set(key, object, value, mark->file == at->file);
        else
                r = config_key_reset(key, object);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                report_value(at, key, r);
                return 0;
        }
        *mark = *at;
        mark->restored = !*value;
        return 0;
}

static void report_unknown(const struct walk *walk)
{
        const struct config_mark *at = &walk->at;
        char names[512];

        config_key_names(walk->section, names, sizeof(names));
        config_mark_report(at, mark_entry(at)->key, LOG_ERR, "found an unknown key, expected one of %s", names);
}

static int walk_key(struct walk *walk)
{
        const struct config_entry *entry = mark_entry(&walk->at);
        const struct config_key *key = config_key_find(walk->section, entry->key);
        struct config_merge *merge = walk->merge;

        if (!key) {
                report_unknown(walk);
                return 0;
        }
        if (walk->section == CONFIG_SECTION_DAEMON)
                return key_apply(&walk->at, key, merge->config, &merge->marks[key - config_daemon_keys]);
        return key_apply(&walk->at, key, &walk->draft->service, &walk->draft->marks[key - config_service_keys]);
}

static int walk_file(struct config_merge *merge, struct config_file *file, bool daemon)
{
        struct walk walk = { .merge = merge, .at.file = file };

        for (size_t i = 0; i < file->n_entries; i++) {
                const struct config_entry *entry = &file->entries[i];
                int r = 0;

                walk.at.entry = i;
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

static int merge_files(struct config_merge *merge, struct config_file **files, size_t n_files, bool daemon)
{
        for (size_t i = 0; i < n_files; i++) {
                int r = walk_file(merge, files[i], daemon);

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
        _cleanup_(merge_deinit) struct config_merge merge = { 0 };
        int r;

        merge.config = calloc(1, sizeof(*merge.config));
        if (!merge.config)
                return -ENOMEM;
        for (size_t i = 0; i < n_files; i++) {
                files[i]->rank = i;
                config_findings_clear(&files[i]->merging);
        }

        r = config_keys_reset(config_daemon_keys, CONFIG_N_DAEMON_KEYS, merge.config);
        if (r >= 0)
                r = merge_files(&merge, files, n_files, true);
        if (r >= 0)
                r = namespace_complete(merge.config, origin);
        if (r >= 0)
                r = merge_files(&merge, files, n_files, false);
        if (r >= 0)
                r = config_complete(&merge);
        if (r < 0)
                return r;

        *ret = merge.config;
        merge.config = NULL;
        return 0;
}
