#pragma once

/*
 * Which registered services of a namespace are watched by which label selector.
 *
 * A watch of everything costs the API server and the network what nobody asked for; one watch for each
 * service does not scale either. So names are put together into a few selectors of bounded size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KUBE_SELECTORS_MAX 4U    /* watches of a namespace */
#define KUBE_SELECTOR_MAX  4096U /* bytes of one */

struct kube_selector {
        bool is_all;    /* every slice that has a service; those of other services are filtered here */
        char **names;   /* sorted; owned */
        size_t n_names; /* 0: this one is not in use */
        size_t n_bytes; /* of the names, with a comma each */
};

struct kube_selectors {
        struct kube_selector groups[KUBE_SELECTORS_MAX];
};

/**
 * kube_selectors_update() - watch these names, all of them and no others
 * @names:       sorted, unique
 * @ret_changed: a bit for each group that needs another watch, or none any more
 *
 * A name that goes is still watched, and ignored, until its group changes for another reason. Names that
 * come change as few groups as possible, one if there is room.
 *
 * Return: 0; -ENOMEM: all is as it was.
 */
int kube_selectors_update(struct kube_selectors *s, const char *const *names, size_t n_names,
                          unsigned int *ret_changed);
void kube_selectors_deinit(struct kube_selectors *s);

/* The group that has the name, or -1. */
int kube_selectors_find(const struct kube_selectors *s, const char *name);

/* The label selector; for free(); NULL when there is no memory. */
char *kube_selector_text(const struct kube_selector *group);
