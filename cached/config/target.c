/*
 * Targets, see config/target.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "answer/target.h"
#include "base/util.h"
#include "config/keys/value.h"
#include "config/target.h"

static void report(struct config_file *file, const char *target)
{
        struct config_place place = { .path = file->path };

        config_findings_add(&file->reading, LOG_ERR, &place, "found %s, expected NAME[.NAMESPACE][:PORT]",
                            config_quote(target, strlen(target)).text);
}

int config_target_add(struct config_file *file, const char *target)
{
        _cleanup_(cleanup_free) char *title = NULL;
        struct khs_target parsed;
        const char *port = strrchr(target, ':');
        bool with_namespace;
        int r;

        if (khs_target_parse(target, &parsed) < 0) {
                report(file, target);
                return 0;
        }
        /* "kubernetes://NAMESPACE/NAME": the name may not bring a namespace of its own. */
        with_namespace = parsed.n_namespace > 0;
        if (with_namespace && memchr(parsed.name, '.', parsed.n_name)) {
                report(file, target);
                return 0;
        }
        r = asprintf(&title, "service %.*s%s%.*s", (int)parsed.n_name, parsed.name, with_namespace ? "." : "",
                     (int)parsed.n_namespace, with_namespace ? parsed.namespace : "");
        if (r < 0) {
                title = NULL;
                return -ENOMEM;
        }
        r = config_file_add(file, NULL, title, strlen(title), 0);
        if (r >= 0 && parsed.port.kind != KHS_PORT_NONE)
                r = config_file_add(file, "port", port + 1, strlen(port + 1), 0);
        return r;
}

int config_targets_add(struct config_file *file, const char *targets)
{
        const char *word;
        size_t n_word;

        while (config_word_next(&targets, &word, &n_word)) {
                _cleanup_(cleanup_free) char *target = strndup(word, n_word);
                int r = target ? config_target_add(file, target) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}
