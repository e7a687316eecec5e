/*
 * Ordinals of pods.
 *
 * DNS gives a pod without a host name its address as one, "10-244-0-11" or "fd00--1". The number at its end
 * would make a port of "3000+" that nobody listens on, so such names are told apart here.
 */

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "answer/target.h" /* KHS_LABEL_MAX */
#include "model/ordinal.h"

/* An address once the dashes are what they stand for. */
static bool host_is_address(const char *host, uint8_t family, const uint8_t *bytes)
{
        char text[KHS_LABEL_MAX + 1];
        uint8_t parsed[16];
        size_t n = strlen(host);

        if (n > KHS_LABEL_MAX)
                return false;
        for (int six = 0; six < 2; six++) {
                for (size_t i = 0; i <= n; i++)
                        text[i] = host[i] != '-' ? host[i] : six ? ':' : '.';
                if (inet_pton(six ? AF_INET6 : AF_INET, text, parsed) == 1)
                        return !six || (family == AF_INET6 && memcmp(parsed, bytes, 16) == 0);
        }
        return false;
}

int32_t host_ordinal(const char *host, uint8_t family, const uint8_t *bytes)
{
        const char *dash = strrchr(host, '-'), *digits = dash ? dash + 1 : NULL;
        int64_t number = 0;

        if (!dash || dash == host || *digits == '\0' || (digits[0] == '0' && digits[1] != '\0'))
                return -1;
        for (const char *c = digits; *c; c++) {
                if (*c < '0' || *c > '9' || c - digits >= 10)
                        return -1;
                number = number * 10 + (*c - '0');
        }
        return number > INT32_MAX || host_is_address(host, family, bytes) ? -1 : (int32_t)number;
}
