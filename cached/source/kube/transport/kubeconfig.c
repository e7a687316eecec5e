/*
 * kubeconfig files, by libyaml's document: nodes by number, so that a file with aliases costs no more than its
 * size, and each with its line.
 *
 *     current-context --> contexts[name] --> cluster --> clusters[name].cluster
 *                                        '-> user    --> users[name].user
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/util.h"
#include "source/kube/transport/kubeconfig.h"

struct reader {
        const char *path;
        yaml_document_t *document;
        struct kube_credentials *credentials;
        char **ret_error;
};

/* A key of a section, and where its value goes; a key without either is one that changes nothing. */
struct reader_key {
        const char *name;
        int (*take)(struct reader *r, const char *value);
};

__attribute__((format(printf, 3, 4))) static int reader_error(struct reader *r, const yaml_node_t *node,
                                                              const char *format, ...)
{
        _cleanup_(cleanup_free) char *text = NULL;
        int n;
        va_list ap;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        n = node ? asprintf(r->ret_error, "%s:%zu: %s", r->path, node->start_mark.line + 1, text)
                 : asprintf(r->ret_error, "%s: %s", r->path, text);
        if (n < 0)
                *r->ret_error = NULL;
        return n < 0 ? -ENOMEM : -EINVAL;
}

/* ---- values ---- */

static int base64_value(char c)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(letters, c) : NULL;

        return at ? (int)(at - letters) : -1;
}

int kube_base64(const char *text, struct kube_blob *ret)
{
        struct kube_blob blob = { .bytes = malloc(strlen(text) / 4 * 3 + 4) };
        unsigned int bits = 0, n_bits = 0, n_padding = 0, n_letters = 0;

        if (!blob.bytes)
                return -ENOMEM;
        for (; *text; text++) {
                int value = base64_value(*text);

                if (strchr(" \t\r\n", *text))
                        continue;
                n_letters++;
                if (*text == '=' && ++n_padding <= 2)
                        continue;
                if (value < 0 || n_padding > 0) {
                        kube_blob_wipe(&blob);
                        return -EINVAL;
                }
                bits = (bits << 6 | (unsigned int)value) & 0xffffff;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        blob.bytes[blob.n++] = (char)(bits >> n_bits & 0xff);
                }
        }
        blob.bytes[blob.n] = '\0';
        if (n_letters % 4 != 0 || blob.n == 0) {
                kube_blob_wipe(&blob);
                return -EINVAL;
        }
        *ret = blob;
        return 0;
}

/* A path is relative to the file that it stands in. */
static int reader_set_path(struct reader *r, char **ret, const char *value)
{
        const char *slash = strrchr(r->path, '/');
        int n = slash && value[0] != '/' ? (int)(slash - r->path) + 1 : 0;

        if (*ret)
                return 0; /* the -data form, which comes first with kubectl, too */
        if (asprintf(ret, "%.*s%s", n, r->path, value) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int reader_set_text(char **ret, const char *value)
{
        free(*ret);
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

static int take_server(struct reader *r, const char *value)
{
        return kube_credentials_set_url(r->credentials, value, r->ret_error);
}

static int take_ca(struct reader *r, const char *value)
{
        return reader_set_path(r, &r->credentials->ca_file, value);
}

static int take_ca_data(struct reader *r, const char *value)
{
        struct kube_blob pem;
        int e = kube_base64(value, &pem);

        if (e < 0)
                return e;
        free(r->credentials->ca_file);
        r->credentials->ca_file = NULL;
        e = kube_credentials_set_ca(r->credentials, &pem);
        kube_blob_wipe(&pem);
        return e;
}

static int take_server_name(struct reader *r, const char *value)
{
        return reader_set_text(&r->credentials->server_name, value);
}

static int take_cert(struct reader *r, const char *value)
{
        return reader_set_path(r, &r->credentials->cert_file, value);
}

static int take_cert_data(struct reader *r, const char *value)
{
        kube_blob_wipe(&r->credentials->cert);
        return kube_base64(value, &r->credentials->cert);
}

static int take_key(struct reader *r, const char *value)
{
        return reader_set_path(r, &r->credentials->key_file, value);
}

static int take_key_data(struct reader *r, const char *value)
{
        kube_blob_wipe(&r->credentials->key);
        return kube_base64(value, &r->credentials->key);
}

static int take_token(struct reader *r, const char *value)
{
        kube_blob_wipe(&r->credentials->token);
        r->credentials->token.bytes = strdup(value);
        r->credentials->token.n = strlen(value);
        return r->credentials->token.bytes ? 0 : -ENOMEM;
}

static int take_token_file(struct reader *r, const char *value)
{
        return reader_set_path(r, &r->credentials->token_file, value);
}

/* It is a promise not to look at the certificate; the opposite is what we do. */
static int take_insecure(struct reader *r, const char *value)
{
        (void)r;
        return strcmp(value, "false") == 0 ? 0 : -ENOTSUP;
}

static const struct reader_key cluster_keys[] = {
        { "server", take_server },
        { "certificate-authority", take_ca },
        { "certificate-authority-data", take_ca_data },
        { "tls-server-name", take_server_name },
        { "insecure-skip-tls-verify", take_insecure },
        { "disable-compression", NULL },
        { "extensions", NULL },
        { 0 },
};

static const struct reader_key user_keys[] = {
        { "client-certificate", take_cert },
        { "client-certificate-data", take_cert_data },
        { "client-key", take_key },
        { "client-key-data", take_key_data },
        { "token", take_token },
        { "tokenFile", take_token_file },
        { "extensions", NULL },
        { 0 },
};

/* ---- nodes ---- */

static const char *reader_text(const yaml_node_t *node)
{
        return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static yaml_node_t *reader_get(struct reader *r, const yaml_node_t *mapping, const char *key)
{
        if (!mapping || mapping->type != YAML_MAPPING_NODE)
                return NULL;
        for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
             pair++) {
                const char *text = reader_text(yaml_document_get_node(r->document, pair->key));

                if (text && strcmp(text, key) == 0)
                        return yaml_document_get_node(r->document, pair->value);
        }
        return NULL;
}

/* Of the list @list, the element with this name, and of that the part that is called @part. */
static yaml_node_t *reader_named(struct reader *r, const char *list, const char *name, const char *part)
{
        yaml_node_t *sequence = reader_get(r, yaml_document_get_root_node(r->document), list);

        if (!sequence || sequence->type != YAML_SEQUENCE_NODE)
                return NULL;
        for (yaml_node_item_t *item = sequence->data.sequence.items.start; item < sequence->data.sequence.items.top;
             item++) {
                yaml_node_t *element = yaml_document_get_node(r->document, *item);
                const char *text = reader_text(reader_get(r, element, "name"));

                if (text && strcmp(text, name) == 0)
                        return reader_get(r, element, part);
        }
        return NULL;
}

static int reader_take(struct reader *r, const struct reader_key *keys, const char *where, const yaml_node_t *key_node,
                       const yaml_node_t *value_node)
{
        const char *key = reader_text(key_node), *value = reader_text(value_node);
        int e;

        while (keys->name && (!key || strcmp(keys->name, key) != 0))
                keys++;
        if (!keys->name)
                return reader_error(r, key_node, "%s: %s is not supported", where, key ? key : "a key that is no text");
        if (!keys->take || (value && value[0] == '\0'))
                return 0;
        e = value ? keys->take(r, value) : -EINVAL;
        if (e == -ENOTSUP)
                return reader_error(r, key_node, "%s: %s is not supported", where, key);
        if (e == -EINVAL && !*r->ret_error)
                return reader_error(r, key_node, "%s: the value of %s can't be read", where, key);
        return e;
}

static int reader_section(struct reader *r, const struct reader_key *keys, const char *where, const char *name,
                          const yaml_node_t *section)
{
        int e = 0;

        if (!section || section->type != YAML_MAPPING_NODE)
                return reader_error(r, NULL, "no %s called %s", where, name);
        for (yaml_node_pair_t *pair = section->data.mapping.pairs.start;
             pair < section->data.mapping.pairs.top && e == 0; pair++)
                e = reader_take(r, keys, where, yaml_document_get_node(r->document, pair->key),
                                yaml_document_get_node(r->document, pair->value));
        return e;
}

static int reader_read(struct reader *r)
{
        yaml_node_t *root = yaml_document_get_root_node(r->document), *context;
        const char *current = reader_text(reader_get(r, root, "current-context")), *cluster, *user;
        int e;

        if (!current || current[0] == '\0')
                return reader_error(r, NULL, "no current-context");
        context = reader_named(r, "contexts", current, "context");
        cluster = reader_text(reader_get(r, context, "cluster"));
        user = reader_text(reader_get(r, context, "user"));
        if (!cluster)
                return reader_error(r, context, "the context %s has no cluster", current);
        e = reader_section(r, cluster_keys, "cluster", cluster, reader_named(r, "clusters", cluster, "cluster"));
        if (e == 0 && !r->credentials->url)
                e = reader_error(r, NULL, "the cluster %s has no server", cluster);
        if (e == 0 && user && user[0])
                e = reader_section(r, user_keys, "user", user, reader_named(r, "users", user, "user"));
        return e;
}

int kube_credentials_kubeconfig(struct kube_credentials **ret, const char *path, char **ret_error)
{
        struct kube_credentials *c = calloc(1, sizeof(*c));
        struct kube_blob text = { 0 };
        yaml_document_t document;
        yaml_parser_t parser;
        struct reader reader = { path, &document, c, ret_error };
        int r;

        *ret_error = NULL;
        if (!c)
                return -ENOMEM;
        c->ca_fd = -1;
        r = file_read(path, KUBE_KUBECONFIG_MAX, &text.bytes, &text.n);
        if (r < 0) {
                if (reader_error(&reader, NULL, "%s", strerror(-r)) == -ENOMEM)
                        r = -ENOMEM;
        } else if (!yaml_parser_initialize(&parser)) {
                r = -ENOMEM;
        } else {
                yaml_parser_set_input_string(&parser, (const unsigned char *)text.bytes, text.n);
                if (yaml_parser_load(&parser, &document)) {
                        r = reader_read(&reader);
                        yaml_document_delete(&document);
                } else {
                        r = reader_error(&reader, NULL, "not YAML: %s at line %zu",
                                         parser.problem ? parser.problem : "no memory", parser.problem_mark.line + 1);
                }
                yaml_parser_delete(&parser);
        }
        kube_blob_wipe(&text);
        if (r < 0) {
                kube_credentials_free(c);
                return r;
        }
        *ret = c;
        return 0;
}
