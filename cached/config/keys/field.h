#pragma once

/*
 * Fields of struct config and struct config_service, set by their keys. @object is the one that the
 * key's table is for.
 */

#include "config/keys/key.h"

/**
 * config_key_set() - set a field from text
 * @append:  add to a list instead of replacing it
 * @ret_bad: on -EINVAL, where in @text the value is that is none: of a list its word, which ends at a blank
 *
 * Return: 0; -EINVAL, -E2BIG (a list of more than key->max items), -ENOMEM: @object is as before.
 */
int config_key_set(const struct config_key *key, void *object, const char *text, bool append, const char **ret_bad);
/* Back to the default. Return: 0; -ENOMEM. */
int config_key_reset(const struct config_key *key, void *object);
int config_keys_reset(const struct config_key *keys, size_t n_keys, void *object);
