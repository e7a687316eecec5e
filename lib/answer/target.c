/*
 * Targets and ports.
 *
 *     kubernetes://default/user-svc:grpc       [scheme://[namespace]/] name [:port]
 *
 * No name contains a colon or a slash, so a target can be split without knowing anything about names: the slashes
 * delimit the scheme and the namespace, the colon the port.
 */

#include <errno.h>
#include <string.h>

#include "answer/target.h"

#define SCHEME "kubernetes://"

static bool target_is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool target_is_port_char(char c)
{
        return target_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static int target_parse_number(const char *text, size_t n_text, uint16_t *ret)
{
        uint32_t number = 0;

        if (n_text == 0 || n_text > 5)
                return -EINVAL;
        for (size_t i = 0; i < n_text; i++) {
                if (!target_is_digit(text[i]))
                        return -EINVAL;
                number = number * 10 + (uint32_t)(text[i] - '0');
        }
        if (number == 0 || number > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t)number;
        return 0;
}

static int target_parse_port_name(const char *text, size_t n_text, struct khs_port *ret)
{
        struct khs_port port = { .kind = KHS_PORT_NAME };
        bool letters = false;

        if (n_text > 4 && memcmp(text + n_text - 4, "/udp", 4) == 0)
                port.udp = true;
        if (port.udp || (n_text > 4 && memcmp(text + n_text - 4, "/tcp", 4) == 0))
                n_text -= 4;
        if (n_text == 0 || n_text > KHS_LABEL_MAX)
                return -EINVAL;
        for (size_t i = 0; i < n_text; i++) {
                char c = text[i];

                if (!target_is_port_char(c) || (c == '-' && (i == 0 || i == n_text - 1)))
                        return -EINVAL;
                letters = letters || !target_is_digit(c);
                port.name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        /* "53/udp" is meant as a number, and no SRV record has such a name (RFC 6335, 5.1). */
        if (!letters)
                return -EINVAL;
        *ret = port;
        return 0;
}

int khs_port_parse(const char *text, size_t n_text, struct khs_port *ret)
{
        struct khs_port port = { .kind = KHS_PORT_NUMBER };
        bool digits = n_text > 0;

        for (size_t i = 0; i < n_text; i++)
                digits = digits && (target_is_digit(text[i]) || (text[i] == '+' && i == n_text - 1));
        if (!digits)
                return target_parse_port_name(text, n_text, ret);

        if (text[n_text - 1] == '+') {
                port.kind = KHS_PORT_BASE;
                n_text--;
        }
        if (target_parse_number(text, n_text, &port.number) < 0)
                return -EINVAL;
        *ret = port;
        return 0;
}

int khs_target_parse(const char *text, struct khs_target *ret)
{
        struct khs_target target = { 0 };
        const char *colon;

        if (strncmp(text, SCHEME, strlen(SCHEME)) == 0) {
                const char *slash;

                text += strlen(SCHEME);
                slash = strchr(text, '/');
                if (!slash || slash - text > (ptrdiff_t)KHS_LABEL_MAX)
                        return -EINVAL;
                target.namespace = text;
                target.n_namespace = (size_t)(slash - text);
                text = slash + 1;
        }

        target.name = text;
        target.n_name = strcspn(text, ":/");
        if (target.n_name == 0 || target.n_name > KHS_NAME_MAX + 1)
                return -EINVAL;

        colon = text + target.n_name;
        if (*colon == '/')
                return -EINVAL;
        if (*colon == ':' && khs_port_parse(colon + 1, strlen(colon + 1), &target.port) < 0)
                return -EINVAL;
        *ret = target;
        return 0;
}
