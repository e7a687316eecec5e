/*
 * add and remove: registering services with a running daemon.
 *
 * The file system is the interface: a file for each service in a directory that the daemon follows,
 *
 *     add user-svc.shop:8080      RUNDIR/conf.d/ctl-user-svc.shop.conf     [service user-svc.shop]
 *                                 (--persist: CONFDIR/conf.d)             port = 8080
 *
 * so that who may write there may register, and what was registered stands in plain text. A file appears and
 * disappears in one step. Nobody else's files are touched.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hint.h"
#include "base/util.h"
#include "config/merge/name.h"
#include "ctl/configuration.h"
#include "ctl/ctl.h"

struct registering {
        struct config *config;
        struct config_name name;
        const char *dir; /* of its file */
        char path[512];
};

static int register_name(struct ctl *ctl, struct registering *r, const char *text)
{
        int error = config_name_parse(&r->name, text, r->config->cluster_domain, r->config->namespace);

        if (error == -EXDEV)
                return ctl_misuse(ctl, "%s: found %s, expected a name in the cluster domain %s", ctl->command->name,
                                  text, r->config->cluster_domain);
        if (error < 0)
                return ctl_misuse(ctl, "%s: found %s, expected NAME[.NAMESPACE]%s", ctl->command->name, text,
                                  strcmp(ctl->command->name, "add") == 0 ? "[:PORT]" : "");
        r->dir = ctl->flags[CTL_PERSIST] ? K8SHSVC_CONFDIR "/conf.d" : K8SHSVC_RUNDIR "/conf.d";
        (void)snprintf(r->path, sizeof(r->path), "%s/ctl-%s.conf", r->dir, r->name.key);
        return 0;
}

/* Return: 0, or the exit status after a line. Free the configuration in any case. */
static int register_begin(struct ctl *ctl, struct registering *r, const char *text)
{
        int error = ctl_load_configuration(&r->config, NULL, NULL);

        return error < 0 ? ctl_no(ctl, "the configuration can't be read: %s", strerror(-error))
                         : register_name(ctl, r, text);
}

static int register_done(struct ctl *ctl, const struct registering *r)
{
        if (ctl->flags[CTL_JSON]) {
                json_put_open(&ctl->json, NULL, '{');
                json_put_text(&ctl->json, "service", r->name.key);
                json_put_text(&ctl->json, "file", r->path);
                json_put_close(&ctl->json, '}');
                json_put_end(&ctl->json);
        } else {
                (void)fprintf(ctl->out.to, "%s\n", r->path);
        }
        return CTL_YES;
}

/* ---- add ---- */

static int register_write_all(int fd, const char *text)
{
        for (size_t n = strlen(text); n > 0;) {
                ssize_t written = write(fd, text, n);

                if (written < 0 && errno != EINTR)
                        return -errno;
                if (written > 0) {
                        text += written;
                        n -= (size_t)written;
                }
        }
        return 0;
}

/* The daemon, which is another user, reads it whatever our umask is. */
static int register_make_directory(const char *dir)
{
        if (mkdir(dir, 0755) < 0)
                return errno == EEXIST ? 0 : -errno;
        return chmod(dir, 0755) < 0 ? -errno : 0;
}

/* A hidden file is no configuration until it gets its name. */
static int register_replace_file(const char *dir, const char *path, const char *text)
{
        char temporary[512];
        int fd, r = register_make_directory(dir);

        if (r < 0)
                return r;
        (void)snprintf(temporary, sizeof(temporary), "%s/.ctl-XXXXXX", dir);
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = register_write_all(fd, text);
        if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
                r = -errno;
        (void)close(fd);
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}

static const struct config_service *register_alias(const struct config_service *sections, size_t n, const char *alias)
{
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < sections[i].n_aliases; k++)
                        if (strcmp(sections[i].aliases[k], alias) == 0)
                                return &sections[i];
        return NULL;
}

/* Who has a name in another way than by [service]. NULL: nobody. @ret_how: how. */
static const struct config_service *register_other(const struct config *config, const char *key, const char **ret_how)
{
        const struct config_service *alias = register_alias(config->services, config->n_services, key);
        const char *dot = strchr(key, '.');

        *ret_how = "as [pods]";
        for (size_t i = 0; i < config->n_pods; i++)
                if (strcmp(config->pods[i].key, key) == 0)
                        return &config->pods[i];
        *ret_how = "as an alias";
        if (!alias)
                alias = register_alias(config->pods, config->n_pods, key);
        if (alias)
                return alias;
        *ret_how = "as one of a [namespace], where it exists";
        for (size_t i = 0; i < config->n_namespaces && dot; i++)
                if (strcmp(config->namespaces[i].namespace, dot + 1) == 0)
                        return &config->namespaces[i];
        return NULL;
}

static int register_write(struct ctl *ctl, const struct registering *r, const char *port)
{
        const char *how;
        const struct config_service *other = register_other(r->config, r->name.key, &how);
        char text[512];
        int error;

        if (other && other->name)
                return ctl_no(ctl, "%s: %s registers it %s", r->name.key, other->origin, how);
        (void)snprintf(text, sizeof(text), "# k8shsvcctl add\n[service %s]\n%s%s%s", r->name.key, port ? "port = " : "",
                       port ? port : "", port ? "\n" : "");
        if (ctl->flags[CTL_PERSIST])
                (void)register_make_directory(K8SHSVC_CONFDIR);
        error = register_replace_file(r->dir, r->path, text);
        if (error == -ENOENT && !ctl->flags[CTL_PERSIST])
                return ctl_no(ctl, "add: there is no " K8SHSVC_RUNDIR ": start k8shsvcd first, or add --persist");
        return error < 0 ? ctl_no(ctl, "%s: %s", r->path, strerror(-error)) : register_done(ctl, r);
}

int ctl_add(struct ctl *ctl)
{
        _cleanup_(cleanup_free) char *name = NULL;
        struct registering registering = { 0 };
        struct khs_target target;
        int r;

        for (const char *c = ctl->argument; *c; c++) {
                if (*c <= ' ' || *c >= 0x7f)
                        return ctl_misuse(ctl, "add: found %s, expected NAME[.NAMESPACE][:PORT]", ctl->argument);
        }
        if (khs_target_parse(ctl->argument, &target) < 0 || strchr(ctl->argument, ']'))
                return ctl_misuse(ctl, "add: found %s, expected NAME[.NAMESPACE][:PORT]", ctl->argument);
        if (asprintf(&name, "%.*s%s%.*s", (int)target.n_name, target.name, target.n_namespace > 0 ? "." : "",
                     (int)target.n_namespace, target.namespace) < 0)
                name = NULL;
        r = name ? register_begin(ctl, &registering, name) : ctl_no(ctl, "%s", strerror(ENOMEM));
        if (r == 0)
                r = register_write(ctl, &registering,
                                   target.port.kind == KHS_PORT_NONE ? NULL : strrchr(ctl->argument, ':') + 1);
        (void)config_free(registering.config);
        return r;
}

/* ---- remove ---- */

static int register_refuse(struct ctl *ctl, const struct registering *r)
{
        const struct config_service *registered = config_find(r->config, r->name.key);
        struct hint hint = { 0 };
        char persistent[512];
        const char *how;

        for (size_t i = 0; i < r->config->n_services; i++)
                hint_offer(&hint, r->name.key, r->config->services[i].key);
        if (!registered) {
                registered = register_other(r->config, r->name.key, &how);
                return registered ? ctl_no(ctl, "%s: %s registers it %s, which this command does not change",
                                           r->name.key, registered->origin, how)
                                  : ctl_no(ctl, "%s: it is not registered%s", r->name.key, hint.text);
        }
        (void)snprintf(persistent, sizeof(persistent), K8SHSVC_CONFDIR "/conf.d/ctl-%s.conf:", r->name.key);
        return ctl_no(ctl, "%s: it is registered by %s%s", r->name.key, registered->origin,
                      strncmp(registered->origin, persistent, strlen(persistent)) == 0
                              ? "; --persist removes it"
                              : ", which this command does not change");
}

int ctl_remove(struct ctl *ctl)
{
        struct registering registering = { 0 };
        int r = register_begin(ctl, &registering, ctl->argument);

        if (r == 0) {
                if (unlink(registering.path) == 0)
                        r = register_done(ctl, &registering);
                else if (errno == ENOENT)
                        r = register_refuse(ctl, &registering);
                else
                        r = ctl_no(ctl, "%s: %s", registering.path, strerror(errno));
        }
        (void)config_free(registering.config);
        return r;
}
