/* kubeconfig files: what is taken, and what is refused by its name. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/kube/transport/kubeconfig.h"

#define HEAD                                                                                                           \
        "apiVersion: v1\nkind: Config\ncurrent-context: me\npreferences: {}\ncontexts:\n- name: other\n"               \
        "  context: {cluster: none}\n- name: me\n  context:\n    cluster: c1\n    user: u1\n    namespace: web\n"
#define CLUSTER "clusters:\n- name: c1\n  cluster:\n    server: https://api.example.com:6443\n"
#define USER    "users:\n- name: u2\n  user: {exec: {command: x}}\n- name: u1\n  user:\n"

static int read_text(const char *text, struct kube_credentials **ret, char **ret_error)
{
        char path[] = "/tmp/k8shsvc-kubeconfig-XXXXXX";
        int r, fd = mkstemp(path);

        cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
        r = kube_credentials_kubeconfig(ret, path, ret_error);
        unlink(path);
        return r;
}

Test(kube_kubeconfig, everything_in_its_place)
{
        struct kube_credentials *c = NULL;
        char *error, *ca;
        size_t n;
        int r = read_text(HEAD CLUSTER
                          "    certificate-authority-data: Q0EtUEVN\n    tls-server-name: kubernetes\n"
                          "    insecure-skip-tls-verify: false\n    extensions: []\n" USER
                          "    client-certificate-data: Q0VSVA==\n    client-key-data: S0VZ\n    token: abc\n",
                          &c, &error);

        cr_assert_eq(r, 0, "%s", error);
        cr_assert_str_eq(c->url, "https://api.example.com:6443");
        cr_assert_str_eq(c->server_name, "kubernetes");
        cr_assert_str_eq(c->cert.bytes, "CERT");
        cr_assert_str_eq(c->key.bytes, "KEY");
        cr_assert_str_eq(c->token.bytes, "abc");
        cr_assert_eq(file_read(c->ca_file, 100, &ca, &n), 0);
        cr_assert_str_eq(ca, "CA-PEM");
        free(ca);
        kube_credentials_free(c);
}

Test(kube_kubeconfig, files_are_relative_to_it)
{
        struct kube_credentials *c = NULL;
        const char *token;
        char *error;
        int r = read_text(HEAD CLUSTER "    certificate-authority: pki/ca.crt\n" USER
                                       "    client-certificate: /abs/c.crt\n    client-key: c.key\n    tokenFile: t\n",
                          &c, &error);

        cr_assert_eq(r, 0, "%s", error);
        cr_assert_str_eq(c->ca_file, "/tmp/pki/ca.crt");
        cr_assert_str_eq(c->cert_file, "/abs/c.crt");
        cr_assert_str_eq(c->key_file, "/tmp/c.key");
        cr_assert_str_eq(c->token_file, "/tmp/t");
        cr_assert_eq(kube_credentials_token(c, 1, &token), -EACCES);
        kube_credentials_free(c);
}

Test(kube_kubeconfig, without_a_user_and_as_json)
{
        struct kube_credentials *c = NULL;
        char *error;

        cr_assert_eq(
                read_text("{\"current-context\":\"a\",\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":\"b\","
                          "\"user\":\"\"}}],\"clusters\":[{\"name\":\"b\",\"cluster\":{\"server\":"
                          "\"http://127.0.0.1:8001\"}}]}",
                          &c, &error),
                0, "%s", error);
        cr_assert_str_eq(c->url, "http://127.0.0.1:8001");
        kube_credentials_free(c);
}

Test(kube_kubeconfig, refused_with_the_reason)
{
        static const struct {
                const char *text, *error;
        } rows[] = {
                { HEAD CLUSTER "    insecure-skip-tls-verify: true\n" USER,
                  ":17: cluster: insecure-skip-tls-verify is" },
                { HEAD CLUSTER "    proxy-url: http://x\n", ":17: cluster: proxy-url is not supported" },
                { HEAD CLUSTER "    novelty: 1\n", "cluster: novelty is not supported" },
                { HEAD CLUSTER USER "    exec: {command: aws}\n", "user: exec is not supported" },
                { HEAD CLUSTER USER "    auth-provider: {name: gcp}\n", "user: auth-provider is not supported" },
                { HEAD CLUSTER USER "    username: a\n    password: b\n", "user: username is not supported" },
                { HEAD CLUSTER USER "    as: root\n", "user: as is not supported" },
                { HEAD CLUSTER USER "    as-groups: [x]\n", "user: as-groups is not supported" },
                { HEAD CLUSTER USER "    token: [x]\n", "user: the value of token can't be read" },
                { HEAD CLUSTER USER "    client-key-data: '*'\n", "user: the value of client-key-data can't be read" },
                { HEAD CLUSTER USER "    ? [a]\n    : b\n", "user: a key that is no text is not supported" },
                { HEAD CLUSTER "    certificate-authority-data: Q0E\n", "value of certificate-authority-data" },
                { HEAD CLUSTER "users: []\n", "no user called u1" },
                { HEAD CLUSTER, "no user called u1" },
                { HEAD USER, "no cluster called c1" },
                { HEAD "clusters:\n- name: c1\n  cluster: {}\n", "the cluster c1 has no server" },
                { HEAD "clusters:\n- name: c1\n  cluster: {server: 'http://10.0.0.1'}\n",
                  "http is for an address of loopback" },
                { "current-context: x\n", "the context x has no cluster" },
                { "a: b\n", "no current-context" },
                { "", "no current-context" },
                { "- a\n", "no current-context" },
                { "a: [\n", "not YAML" },
                { "a: &a [*a]\ncurrent-context: *a\n", "no current-context" },
                { "\x80\xff", "not YAML" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_credentials *c = NULL;
                char *error = NULL;

                cr_expect_eq(read_text(rows[i].text, &c, &error), -EINVAL, "row %zu", i);
                cr_expect(error && strstr(error, rows[i].error), "row %zu: %s", i, error ? error : "nothing");
                cr_expect_null(c);
                free(error);
        }
}

Test(kube_kubeconfig, no_such_file)
{
        struct kube_credentials *c;
        char *error;

        cr_assert_eq(kube_credentials_kubeconfig(&c, "/nonexistent/config", &error), -ENOENT);
        cr_assert_str_eq(error, "/nonexistent/config: No such file or directory");
        free(error);
}

Test(kube_kubeconfig, base64)
{
        static const struct {
                const char *text, *want;
        } rows[] = { { "YQ==", "a" },  { "YWI=", "ab" },     { "YWJj", "abc" },    { "YW\nJj\n", "abc" },
                     { "YQ", NULL },   { "YQ=", NULL },      { "Y", NULL },        { "", NULL },
                     { "====", NULL }, { "YQ==YQ==", NULL }, { "YW J\tj", "abc" }, { "Y*==", NULL } };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_blob blob = { 0 };

                cr_expect_eq(kube_base64(rows[i].text, &blob), rows[i].want ? 0 : -EINVAL, "%s", rows[i].text);
                if (rows[i].want)
                        cr_expect_str_eq(blob.bytes, rows[i].want);
                kube_blob_wipe(&blob);
        }
}
