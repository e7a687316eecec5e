/*
 * Names are kept in the form in which they are sent, folded to lower case once, so that comparing is
 * memcmp() and a suffix is found by stepping over whole labels: "xcluster.local" is not below
 * "cluster.local". Every name that leaves this file ends with its root label and has at most 255 bytes.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "wire/name.h"

int dns_name_parse(struct dns_name *ret, const char *text)
{
        struct dns_name name = { 0 };
        size_t n = 0;

        while (*text) {
                size_t n_label = strcspn(text, ".");

                if (n_label == 0 || n_label > KHS_LABEL_MAX || n + n_label + 2 > DNS_NAME_WIRE_MAX)
                        return -EINVAL;
                name.wire[n++] = (uint8_t)n_label;
                for (size_t i = 0; i < n_label; i++)
                        name.wire[n++] = dns_lower((uint8_t)text[i]);
                text += n_label;
                text += *text == '.';
        }
        if (n == 0)
                return -EINVAL;
        name.n = (uint8_t)(n + 1);
        *ret = name;
        return 0;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
        return a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

bool dns_name_below(const struct dns_name *name, const struct dns_name *domain)
{
        size_t at = 0;

        while (name->n - at > domain->n)
                at += name->wire[at] + 1U;
        return name->n - at == domain->n && memcmp(name->wire + at, domain->wire, domain->n) == 0;
}

/* One or more labels of text in front of a name. */
static int name_prepend(struct dns_name *ret, const char *labels, const struct dns_name *name)
{
        struct dns_name longer;
        size_t n_front;
        int r = dns_name_parse(&longer, labels);

        if (r < 0)
                return r;
        n_front = longer.n - 1U; /* without its root label */
        if (n_front + name->n > DNS_NAME_WIRE_MAX)
                return -EINVAL;
        memcpy(longer.wire + n_front, name->wire, name->n);
        longer.n = (uint8_t)(n_front + name->n);
        *ret = longer;
        return 0;
}

int dns_name_of_service(struct dns_name *ret, const char *key, const struct dns_name *domain)
{
        struct dns_name name;
        int r = name_prepend(&name, "svc", domain);

        return r < 0 ? r : name_prepend(ret, key, &name);
}

int dns_name_of_port(struct dns_name *ret, const struct khs_port *port, const struct dns_name *service)
{
        char labels[sizeof(port->name) + 6];

        snprintf(labels, sizeof(labels), "_%s._%s", port->name, port->udp ? "udp" : "tcp");
        return name_prepend(ret, labels, service);
}

int dns_name_of_host(struct dns_name *ret, const char *host, const struct dns_name *service)
{
        return name_prepend(ret, host, service);
}

void dns_name_of_address(struct dns_name *ret, uint8_t family, const uint8_t *bytes)
{
        char text[sizeof("255.255.255.255.in-addr.arpa") + 32 * 2] = "";
        size_t n = 0;

        if (family == AF_INET) {
                snprintf(text, sizeof(text), "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
        } else {
                for (size_t i = 16; i-- > 0; n += 4)
                        snprintf(text + n, sizeof(text) - n, "%x.%x.", bytes[i] & 15U, bytes[i] >> 4U);
                snprintf(text + n, sizeof(text) - n, "ip6.arpa");
        }
        (void)dns_name_parse(ret, text);
}

bool dns_name_get_host(const struct dns_name *name, const struct dns_name *service, char ret[static KHS_LABEL_MAX + 1])
{
        size_t n = name->wire[0];

        if (n == 0 || name->n != 1 + n + service->n || memcmp(name->wire + 1 + n, service->wire, service->n) != 0)
                return false;
        for (size_t i = 0; i < n; i++) {
                char c = (char)name->wire[1 + i];

                if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
                        return false;
                ret[i] = c;
        }
        ret[n] = '\0';
        return true;
}
