#pragma once

/*
 * Names of services in the configuration, and the namespace that completes them.
 */

#include "answer/target.h" /* KHS_LABEL_MAX */
#include "config/origin.h"

/* The name of a section, completed; all parts in lower case. */
struct config_name {
        char service[KHS_LABEL_MAX + 1]; /* empty for a [namespace] */
        char namespace[KHS_LABEL_MAX + 1];
        char key[2 * KHS_LABEL_MAX + 2]; /* "S.N" */
};

/**
 * config_name_parse() - read S, S.N, S.N.svc or S.N.svc.D, the last perhaps with a final dot
 * @domain:    D
 * @namespace: N where none is written
 *
 * Return: 0; -EINVAL: none of these; -EXDEV: a name outside D; -ENAMETOOLONG: S.N.svc.D is longer
 * than a name may be.
 */
int config_name_parse(struct config_name *ret, const char *text, const char *domain, const char *namespace);

/**
 * config_namespace_auto() - the namespace of a daemon that was given none
 *
 * That of its own service account; else N of the first "N.svc.D" in resolv.conf's search list;
 * else "default".
 *
 * Return: 0 or -ENOMEM.
 */
int config_namespace_auto(const struct config_origin *origin, const char *domain, char **ret);
