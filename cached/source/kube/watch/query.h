#pragma once

/*
 * The requests of a list+watch as paths with their queries. All return a string for free(), or NULL when there
 * is no memory.
 */

/* Everything but letters, digits and -._~/,() is percent-encoded. */
char *kube_query_escape(const char *text);

/* One page. @next: the token of the page before; NULL: the first page, of the newest version. */
char *kube_query_list(const char *path, const char *selector, unsigned int limit, const char *next);
/* Changes since @version. */
char *kube_query_watch(const char *path, const char *selector, const char *version, unsigned int timeout_s);
/* Everything there is, then changes (KEP-3157). */
char *kube_query_stream(const char *path, const char *selector, unsigned int timeout_s);
