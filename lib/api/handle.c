/*
 * Handles, names and errors of the C API.
 *
 * A handle holds what a caller knows of itself: its search list and its reports. Which namespace the list means depends
 * on the table's cluster domain, which is known only during a lookup. Everything else belongs to the process
 * (read/process.h, read/map.h), so handles are cheap, and closing one leaves the map to the others.
 *
 *     "user-svc.default"              name
 *     "kubernetes://default/user-svc:8080"    target:  name "user-svc.default"   port 8080
 *
 * No name contains a colon, and every target with more than a name has one.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/handle.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* The words behind "search" or "domain"; the last such line counts, as in glibc. */
static void handle_take_search(k8shsvc *h, const char *line)
{
        size_t n_key = strcspn(line, " \t\n"), n = 0;
        char *save = NULL;

        if (n_key != strlen("search") || (memcmp(line, "search", n_key) != 0 && memcmp(line, "domain", n_key) != 0))
                return;
        memset(h->search, 0, sizeof(h->search));
        strcpy(h->text, line + n_key);
        for (char *word = strtok_r(h->text, " \t\n", &save); word && n < KHS_SEARCH_MAX;
             word = strtok_r(NULL, " \t\n", &save))
                h->search[n++] = word;
}

static void handle_read_search(k8shsvc *h)
{
        char line[KHS_LINE_MAX];
        FILE *file = fopen(RESOLV_CONF, "re");

        if (!file)
                return;
        while (fgets(line, sizeof(line), file))
                handle_take_search(h, line);
        (void)fclose(file);
}

KHS_PUBLIC int k8shsvc_open(k8shsvc **ret)
{
        int saved_errno = errno;
        k8shsvc *h;

        if (!ret)
                return -EINVAL;
        h = calloc(1, sizeof(*h));
        if (h) {
                handle_read_search(h);
                *ret = h;
        }
        errno = saved_errno;
        return h ? 0 : -ENOMEM;
}

KHS_PUBLIC void k8shsvc_close(k8shsvc *h)
{
        free(h);
}

/* ---- names ---- */

const struct khs_port khs_no_port = { .kind = KHS_PORT_NONE };

/* "kubernetes://NAMESPACE/S" means S.NAMESPACE.svc. */
static int request_compose_name(struct khs_request *request)
{
        const struct khs_target *target = &request->target;
        size_t n = target->n_name;

        if (n + 1 + target->n_namespace > KHS_NAME_MAX + 1)
                return -ENOENT;
        memcpy(request->name, target->name, n);
        if (target->n_namespace > 0) {
                request->name[n++] = '.';
                memcpy(request->name + n, target->namespace, target->n_namespace);
                n += target->n_namespace;
                memcpy(request->name + n, KHS_SVC, sizeof(KHS_SVC) - 1);
                n += sizeof(KHS_SVC) - 1;
        }
        request->query.name = request->name;
        request->query.n_name = n;
        request->port = &request->target.port;
        return 0;
}

int khs_request_parse(struct khs_request *ret, const char *text)
{
        if (khs_target_parse(text, &ret->target) < 0)
                return -EINVAL;
        return request_compose_name(ret);
}

/* ---- errors ---- */

int khs_request_error(const struct khs_request *request, int r)
{
        switch (r) {
        case -EADDRNOTAVAIL:
                return -ENODATA;
        case -EBADMSG: /* to a program, damage and endless change are the same: this table is of no use now */
        case -EBUSY:
                return -ENOTCONN;
        case -ENOENT:
                return memchr(request->query.name, '/', request->query.n_name) ? -EINVAL : -ENOENT;
        default:
                return r;
        }
}

KHS_PUBLIC const char *k8shsvc_strerror(int error)
{
        switch (error < 0 ? -(unsigned int)error : (unsigned int)error) {
        case 0:
                return "success";
        case EINVAL:
                return "invalid argument or malformed target";
        case ENOMEM:
                return "out of memory";
        case ENOENT:
                return "not registered";
        case ENODATA:
                return "the service has no endpoint";
        case ESTALE:
                return "the service was never resolved, or its data is too old";
        case ENOTCONN:
                return "no usable table, or its daemon is silent";
        case ENOBUFS:
                return "the buffer is too small";
        case EOPNOTSUPP:
                return "the table has no index of addresses";
        case ETIMEDOUT:
                return "nothing has changed";
        case EINTR:
                return "interrupted by a signal handler";
        default:
                return "unknown error";
        }
}
