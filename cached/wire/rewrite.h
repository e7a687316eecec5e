#pragma once

/*
 * A reply that c-ares 1.28 or newer has parsed, turned back into bytes for the readers of this folder.
 */

#include <stddef.h>
#include <stdint.h>

#define CARES_NO_DEPRECATED /* ares_send() is what 1.18 has */
#include <ares.h>

#define DNS_HAVE_RECORDS (ARES_VERSION >= 0x011c00)

#if DNS_HAVE_RECORDS
/**
 * dns_rewrite() - those parts of a reply that are looked at
 *
 * @ret: to be freed; may be longer than a message on the wire
 *
 * Return: 0; -ENOMEM; -EBADMSG for what is no reply to one question.
 */
int dns_rewrite(const ares_dns_record_t *reply, uint8_t **ret, size_t *ret_n);
#endif
