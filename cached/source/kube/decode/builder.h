#pragma once

/*
 * Makes a struct kube_slice while its object is being read: arrays that grow, and strings that are stored
 * once. Whatever fails for want of memory is remembered, so that only the end has to be checked.
 */

#include "source/kube/decode/slice.h"

struct kube_builder {
        struct kube_endpoint *endpoints;
        struct khs_row_port *ports; /* names are offsets until the end */
        char *strings;
        uint32_t n_endpoints, endpoints_room;
        uint32_t n_ports, ports_room;
        uint32_t n_strings, strings_room;
        uint32_t *index; /* of offsets, by hash */
        uint32_t n_index, index_room;
        int error;
        unsigned int faults;
};

void kube_builder_deinit(struct kube_builder *b);

/* Offset of the text of @n bytes, which may have zeros in it; another zero is put behind it. 0 when it is empty. */
uint32_t kube_builder_text(struct kube_builder *b, const char *text, size_t n);
void kube_builder_endpoint(struct kube_builder *b, const struct kube_endpoint *endpoint);
/* @name: NULL or "": unnamed */
void kube_builder_port(struct kube_builder *b, const char *name, uint16_t number, uint8_t protocol);

/* Return: 0 or -ENOMEM. */
int kube_builder_finish(struct kube_builder *b, const char *name, const char *service, bool headless,
                        struct kube_slice **ret);
