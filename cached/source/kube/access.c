/*
 * Rights by SelfSubjectAccessReview: the API server answers as it would decide, whatever grants the right, so
 * nothing has to be tried that could do harm.
 *
 *     who am I        SelfSubjectReview (1.28 and newer), for the subject of the RoleBindings
 *     may I           one review for each namespace, resource and verb, one after the other
 *     what is missing Roles and RoleBindings, YAML; the answers stand before them as its comments
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "source/kube/access.h"
#include "source/kube/connection.h"
#include "source/kube/decode/field.h"

#define ASK_USEC (15 * USEC_PER_SEC)
#define BODY_MAX (256U << 10)

struct access {
        sd_event *event;
        struct kube_connection connection;
        struct kube_transport *transport;
        char *body;
        size_t n_body;
        struct kube_end end;
        char text[256]; /* of the end */
        char user[256];
        FILE *to;
        bool is_missing;
};

/* A resource in a namespace, and what is to be done with it. */
struct access_right {
        const char *namespace, *group, *resource;
        const char *verbs[2];
        const char *role;
};

/* ---- one question ---- */

static void access_on_status(void *userdata, unsigned int status)
{
        (void)userdata;
        (void)status;
}

static int access_on_data(void *userdata, const char *bytes, size_t n)
{
        struct access *a = userdata;
        char *body = a->n_body + n > BODY_MAX ? NULL : realloc(a->body, a->n_body + n);

        if (!body)
                return -EMSGSIZE;
        memcpy(body + a->n_body, bytes, n);
        a->body = body;
        a->n_body += n;
        return 0;
}

static void access_on_done(void *userdata, const struct kube_end *end)
{
        struct access *a = userdata;

        a->end = *end;
        (void)snprintf(a->text, sizeof(a->text), "%s", end->text ? end->text : "");
        (void)sd_event_exit(a->event, 0);
}

static void access_on_retry(void *userdata)
{
        (void)userdata;
}

/* A loop can be left once only, so each question has one of its own, with its connection. */
static int access_open(struct access *a, const struct source_kube_options *options)
{
        int r = sd_event_new(&a->event);

        if (r >= 0)
                r = kube_connection_init(&a->connection, a->event, access_on_retry, NULL);
        if (r >= 0)
                r = kube_connection_configure(&a->connection, options);
        if (r < 0)
                return r;
        a->transport = kube_connection_open(&a->connection);
        return a->transport ? 0 : -EACCES;
}

static void access_close(struct access *a)
{
        kube_connection_deinit(&a->connection);
        a->event = sd_event_unref(a->event);
        free(a->body);
        a->body = NULL;
        a->n_body = 0;
}

/* Return: the answer, for json_decref(); NULL: none, and @a says why. */
static json_t *access_ask(struct access *a, const struct source_kube_options *options, const char *path,
                          json_t *question)
{
        const struct kube_reply reply = { access_on_status, access_on_data, access_on_done, a };
        _cleanup_(cleanup_free) char *body = json_dumps(question, JSON_COMPACT);
        const struct kube_request request = { .path = path, .body = body, .time_max_usec = ASK_USEC };
        struct kube_call *call;
        json_t *answer = NULL;
        int r = body ? access_open(a, options) : -ENOMEM;

        a->end = (struct kube_end){ .error = r };
        a->text[0] = '\0';
        if (r == 0)
                r = a->transport->ops->start(a->transport, &request, &reply, &call);
        if (r == 0 && sd_event_loop(a->event) >= 0 && a->end.error == 0)
                answer = a->n_body > 0 ? json_loadb(a->body, a->n_body, 0, NULL) : NULL;
        if (answer && a->end.status != 200 && a->end.status != 201) {
                json_decref(answer);
                answer = NULL;
        }
        access_close(a);
        json_decref(question);
        return answer;
}

/* There is no connection, which has said why, and need not say it again. */
static bool access_is_closed(const struct access *a)
{
        return a->end.error == -EACCES && !a->text[0];
}

static void access_log_failure(const struct access *a)
{
        if (access_is_closed(a))
                return;
        if (a->end.error < 0)
                log_message(LOG_ERR, "kubernetes: %s", a->text[0] ? a->text : strerror(-a->end.error));
        else
                log_message(LOG_ERR, "kubernetes: HTTP status %u from the API server", a->end.status);
}

/* ---- who and what ---- */

static void access_ask_user(struct access *a, const struct source_kube_options *options)
{
        json_t *answer = access_ask(
                a, options, "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                json_pack("{s:s,s:s}", "apiVersion", "authentication.k8s.io/v1", "kind", "SelfSubjectReview"));
        const json_t *status = kube_field(answer, "status", JSON_OBJECT, NULL);
        const char *user = kube_field_text(kube_field(status, "userInfo", JSON_OBJECT, NULL), "username", NULL);

        (void)kube_printable(user ? user : "system:serviceaccount:k8shsvc:k8shsvc", a->user, sizeof(a->user));
        json_decref(answer);
}

/* Return: whether it is allowed; a negative errno: nobody knows. */
static int access_ask_right(struct access *a, const struct source_kube_options *options,
                            const struct access_right *right, const char *verb)
{
        json_t *attributes =
                json_pack("{s:s,s:s,s:s}", "verb", verb, "group", right->group, "resource", right->resource);
        json_t *answer;
        int r;

        if (right->namespace)
                (void)json_object_set_new(attributes, "namespace", json_string(right->namespace));
        answer = access_ask(a, options, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                            json_pack("{s:s,s:s,s:{s:o}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                      "SelfSubjectAccessReview", "spec", "resourceAttributes", attributes));
        if (!answer)
                return a->end.error < 0 ? a->end.error : -EREMOTEIO;
        r = json_is_true(json_object_get(kube_field(answer, "status", JSON_OBJECT, NULL), "allowed"));
        json_decref(answer);
        return r;
}

/* ---- what is missing ---- */

static void access_print_role(const struct access *a, const struct access_right *right)
{
        const char *prefix = "system:serviceaccount:", *name = NULL;
        const char *kind = right->namespace ? "" : "Cluster";

        fprintf(a->to, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sRole\nmetadata:\n  name: %s\n", kind,
                right->role);
        if (right->namespace)
                fprintf(a->to, "  namespace: %s\n", right->namespace);
        fprintf(a->to, "rules:\n  - apiGroups: [\"%s\"]\n    resources: [%s]\n    verbs: [%s%s%s]\n", right->group,
                right->resource, right->verbs[0], right->verbs[1] ? ", " : "", right->verbs[1] ? right->verbs[1] : "");
        fprintf(a->to, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sRoleBinding\nmetadata:\n  name: %s\n",
                kind, right->role);
        if (right->namespace)
                fprintf(a->to, "  namespace: %s\n", right->namespace);
        fprintf(a->to, "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: %sRole\n  name: %s\nsubjects:\n", kind,
                right->role);
        if (strncmp(a->user, prefix, strlen(prefix)) == 0)
                name = strchr(a->user + strlen(prefix), ':');
        if (name)
                fprintf(a->to, "  - kind: ServiceAccount\n    namespace: %.*s\n    name: %s\n",
                        (int)(name - a->user - (ptrdiff_t)strlen(prefix)), a->user + strlen(prefix), name + 1);
        else
                fprintf(a->to, "  - kind: User\n    apiGroup: rbac.authorization.k8s.io\n    name: \"%s\"\n", a->user);
}

/* Return: 0 or a negative errno. */
static int access_check(struct access *a, const struct source_kube_options *options, const struct access_right *right,
                        bool is_needed)
{
        bool missing = false;

        for (size_t i = 0; i < 2 && right->verbs[i]; i++) {
                int allowed = access_ask_right(a, options, right, right->verbs[i]);

                if (allowed < 0)
                        return allowed;
                fprintf(a->to, "# %s%s%s on %s%s%s: %s\n", right->namespace ? right->namespace : "",
                        right->namespace ? ": " : "", right->verbs[i], right->resource, right->group[0] ? "." : "",
                        right->group,
                        allowed     ? "allowed"
                        : is_needed ? "MISSING"
                                    : "missing, but not needed");
                missing = missing || !allowed;
        }
        if (missing)
                access_print_role(a, right);
        a->is_missing = a->is_missing || (missing && is_needed);
        return 0;
}

/* Whether an earlier one of the same kind is in the same namespace. */
static bool access_is_first(const struct source_set *set, size_t at, bool pods)
{
        for (size_t i = 0; i < at; i++) {
                const struct source_service *s = &set->services[i];

                if (strcmp(s->namespace, set->services[at].namespace) == 0 && (s->selector || s->go_micro) == pods)
                        return false;
        }
        for (size_t i = 0; i < set->n_namespaces && !pods; i++) {
                if (strcmp(set->namespaces[i].namespace, set->services[at].namespace) == 0)
                        return false;
        }
        return true;
}

static bool access_wants_place(const struct source_set *set)
{
        bool near = false;

        for (size_t i = 0; i < set->n_services; i++)
                near = near || set->services[i].order == KHS_ORDER_ZONE || set->services[i].order == KHS_ORDER_NODE;
        for (size_t i = 0; i < set->n_namespaces; i++)
                near = near || set->namespaces[i].order == KHS_ORDER_ZONE || set->namespaces[i].order == KHS_ORDER_NODE;
        return near;
}

int kube_access_check(const struct source_kube_options *options, const struct source_set *set, FILE *to)
{
        const struct access_right slices = {
                NULL, "discovery.k8s.io", "endpointslices", { "list", "watch" }, "k8shsvc"
        };
        const struct access_right pods = { NULL, "", "pods", { "list", "watch" }, "k8shsvc-pods" };
        const struct access_right nodes = { NULL, "", "nodes", { "get" }, "k8shsvc-zone" };
        struct access a = { .to = to };
        int r = 0;

        access_ask_user(&a, options);
        if (access_is_closed(&a))
                return a.end.error;
        for (size_t i = 0; i < set->n_namespaces && r == 0; i++) {
                struct access_right right = slices;

                right.namespace = set->namespaces[i].namespace;
                r = access_check(&a, options, &right, true);
        }
        for (size_t i = 0; i < set->n_services && r == 0; i++) {
                bool is_pods = set->services[i].selector || set->services[i].go_micro;
                struct access_right right = is_pods ? pods : slices;

                right.namespace = set->services[i].namespace;
                if (access_is_first(set, i, is_pods))
                        r = access_check(&a, options, &right, true);
        }
        if (r == 0 && access_wants_place(set))
                r = access_check(&a, options, &nodes, false);
        if (r < 0)
                access_log_failure(&a);
        return r < 0 ? r : a.is_missing;
}
