/*
 * Targets as configuration: each is written as the section and key that it stands for, and what is
 * written is read like a file,
 *
 *     kubernetes://shop/cart:grpc        [service cart.shop]
 *                                        port = grpc
 *
 * so that it is completed, merged and judged by the same code. Only what would change the meaning
 * of such a line is refused here; whether a name is one is the merge's to say.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "answer/target.h"
#include "base/util.h"
#include "config/file/ini.h"
#include "config/keys/value.h"
#include "config/target.h"

static bool target_parse(const char *target, struct khs_target *ret)
{
        for (const char *c = target; *c; c++)
                if (*c <= ' ' || *c >= 0x7f)
                        return false;
        if (khs_target_parse(target, ret) < 0)
                return false;
        /* "kubernetes://NAMESPACE/NAME": the name may not bring a namespace of its own. */
        return ret->n_namespace == 0 || !memchr(ret->name, '.', ret->n_name);
}

static void target_write(FILE *text, struct config_file *file, const char *target)
{
        struct config_place place = { .path = file->path };
        struct khs_target parsed;

        if (!target_parse(target, &parsed)) {
                config_findings_add(&file->reading, LOG_ERR, &place, "found %s, expected NAME[.NAMESPACE][:PORT]",
                                    config_quote(target, strlen(target)).text);
                return;
        }
        (void)fprintf(text, "[service %.*s%s%.*s]\n", (int)parsed.n_name, parsed.name,
                      parsed.n_namespace > 0 ? "." : "", (int)parsed.n_namespace,
                      parsed.n_namespace > 0 ? parsed.namespace : "");
        if (parsed.port.kind != KHS_PORT_NONE)
                (void)fprintf(text, "port = %s\n", strrchr(target, ':') + 1);
}

static int target_list_write(FILE *text, struct config_file *file, const char *list)
{
        const char *word;
        size_t n_word;

        while (config_word_next(&list, &word, &n_word)) {
                _cleanup_(cleanup_free) char *target = strndup(word, n_word);

                if (!target)
                        return -ENOMEM;
                target_write(text, file, target);
        }
        return 0;
}

/* Fills file->text. */
static int targets_format(struct config_file *file, const char *list, const char *const *targets, size_t n_targets,
                          size_t *ret_n_text)
{
        FILE *text = open_memstream(&file->text, ret_n_text);
        int r = 0;

        if (!text)
                return -ENOMEM;
        if (list)
                r = target_list_write(text, file, list);
        for (size_t i = 0; i < n_targets; i++)
                target_write(text, file, targets[i]);
        if (fclose(text) != 0)
                r = -ENOMEM;
        return r;
}

int config_targets_read(struct config_file **ret, const char *path, const char *list, const char *const *targets,
                        size_t n_targets)
{
        _cleanup_(config_file_unrefp) struct config_file *file = NULL;
        size_t n_text = 0;
        int r;

        r = config_file_new(&file, path);
        if (r >= 0)
                r = targets_format(file, list, targets, n_targets, &n_text);
        if (r >= 0)
                r = config_ini_parse(file, n_text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < file->n_entries; i++)
                file->entries[i].line = 0;
        *ret = file;
        file = NULL;
        return 0;
}
