#pragma once

/* A service as the table has it: what the table shall say, what an earlier table said, and what people read. */

#include "model/service.h"

/* What the table shall say. Points into the service; valid until its next change. */
void service_row(const struct service *s, struct khs_row *ret);

/**
 * service_seed() - begin with what the table of an earlier daemon said
 * @row: of that table; its times must be of this boot
 *
 * Addresses that the filter admits are stale from now, for what is left of their max-stale, with the
 * attributes that they had; the version goes on.
 *
 * Return: 0; -ENOMEM, the service is as it was.
 */
int service_seed(struct service *s, const struct khs_row *row, uint64_t now);

const char *service_state_name(enum khs_service_state state);
/* Why it is not fresh, or not by the preferred source; NULL where there is nothing to say. */
const char *service_reason(const struct service *s);
