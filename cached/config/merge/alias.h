#pragma once

/*
 * The rules of aliases.
 */

#include "config/merge/draft.h"

/* Takes away the aliases that break a rule, and reports them. Return: 0; -ENOMEM. */
int config_aliases_check(struct config_drafts *drafts);
