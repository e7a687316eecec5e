#pragma once

/*
 * The end of a merge.
 */

#include "config/merge/draft.h"

/**
 * config_complete() - what is left to do when all files are walked
 *
 * Inherits, judges, and moves the drafts' services into the arrays of drafts->config.
 *
 * Return: 0; -ENOMEM.
 */
int config_complete(struct config_drafts *drafts);
