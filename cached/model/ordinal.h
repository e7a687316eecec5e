#pragma once

/* The number of a StatefulSet's pod, read from its host name. */

#include <stdint.h>

/**
 * host_ordinal() - the number behind the last "-" of "NAME-NUMBER"
 *
 * Decimal as Kubernetes writes it: no leading zeros, at most INT32_MAX. An address with dashes, which is
 * what a pod without a host name has instead, has no ordinal: any IPv4 one, and the IPv6 one that is the
 * pod's own ("be--ef-0" may be a StatefulSet's).
 *
 * Return: the number, or -1.
 */
int32_t host_ordinal(const char *host, uint8_t family, const uint8_t *bytes);
