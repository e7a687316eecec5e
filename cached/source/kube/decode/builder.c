/*
 * The compact form of a slice, made in one pass.
 *
 *     struct kube_slice | endpoints | ports | strings: "\0" name "\0" service "\0" ...      one block
 *
 * 10,000 services of 50 pods are 500,000 endpoints: a few nodes and zones stand in all of them, so equal
 * strings of a slice are found by a hash and stored once.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/kube/decode/builder.h"

void kube_builder_deinit(struct kube_builder *b)
{
        free(b->endpoints);
        free(b->ports);
        free(b->strings);
        free(b->index);
}

/* Room for @n more. Return: false when there is no memory now, or was none before. */
static bool builder_reserve(struct kube_builder *b, void *array, uint32_t n_used, uint32_t *room, uint32_t n,
                            size_t size)
{
        uint32_t wanted = *room > 0 ? *room * 2 : 64;
        void *old, *new;

        if (b->error < 0)
                return false;
        if (n <= *room - n_used)
                return true;
        while (wanted - n_used < n)
                wanted *= 2;
        memcpy(&old, array, sizeof(old));
        new = realloc(old, wanted * size);
        if (!new) {
                b->error = -ENOMEM;
                return false;
        }
        memcpy(array, &new, sizeof(new));
        *room = wanted;
        return true;
}

static uint32_t builder_hash(const char *text, size_t n)
{
        uint32_t hash = 2166136261U; /* FNV-1a: names of one object only, so nobody gains by collisions */

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ (uint8_t)text[i]) * 16777619U;
        return hash;
}

/* Where in the index the text is, or would be. */
static uint32_t builder_find(const struct kube_builder *b, const char *text, size_t n)
{
        uint32_t slot = builder_hash(text, n) & (b->index_room - 1);

        for (; b->index[slot] > 0; slot = (slot + 1) & (b->index_room - 1)) {
                const char *there = b->strings + b->index[slot];

                if (b->index[slot] + n < b->n_strings && memcmp(there, text, n) == 0 && there[n] == '\0')
                        break;
        }
        return slot;
}

static bool builder_grow_index(struct kube_builder *b)
{
        uint32_t room = b->index_room > 0 ? b->index_room * 2 : 256, *old = b->index, n_old = b->index_room;

        if (b->error < 0)
                return false;
        if (b->n_index * 2 < b->index_room)
                return true;
        b->index = calloc(room, sizeof(*b->index));
        if (!b->index) {
                b->index = old;
                b->error = -ENOMEM;
                return false;
        }
        b->index_room = room;
        for (uint32_t i = 0; i < n_old; i++) {
                const char *text = b->strings + old[i];

                if (old[i] > 0)
                        b->index[builder_find(b, text, strlen(text))] = old[i];
        }
        free(old);
        return true;
}

uint32_t kube_builder_text(struct kube_builder *b, const char *text, size_t n)
{
        uint32_t slot;

        if (n == 0 || !builder_grow_index(b))
                return 0;
        /* Offset 0 means "none", so a zero goes first. */
        if (!builder_reserve(b, &b->strings, b->n_strings, &b->strings_room, (uint32_t)n + 2, 1))
                return 0;
        if (b->n_strings == 0)
                b->strings[b->n_strings++] = '\0';
        slot = builder_find(b, text, n);
        if (b->index[slot] > 0)
                return b->index[slot];
        b->index[slot] = b->n_strings;
        b->n_index++;
        memcpy(b->strings + b->n_strings, text, n);
        b->n_strings += (uint32_t)n;
        b->strings[b->n_strings++] = '\0';
        return b->index[slot];
}

void kube_builder_endpoint(struct kube_builder *b, const struct kube_endpoint *endpoint)
{
        if (builder_reserve(b, &b->endpoints, b->n_endpoints, &b->endpoints_room, 1, sizeof(*b->endpoints)))
                b->endpoints[b->n_endpoints++] = *endpoint;
}

void kube_builder_port(struct kube_builder *b, const char *name, uint16_t number, uint8_t protocol)
{
        uint32_t offset = name ? kube_builder_text(b, name, strlen(name)) : 0;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        struct khs_row_port port = { (const char *)(uintptr_t)offset, number, protocol };

        if (builder_reserve(b, &b->ports, b->n_ports, &b->ports_room, 1, sizeof(*b->ports)))
                b->ports[b->n_ports++] = port;
}

int kube_builder_finish(struct kube_builder *b, const char *name, const char *service, bool headless,
                        struct kube_slice **ret)
{
        uint32_t at_name = kube_builder_text(b, name, strlen(name));
        uint32_t at_service = kube_builder_text(b, service, strlen(service));
        size_t n_endpoints = b->n_endpoints * sizeof(*b->endpoints), n_ports = b->n_ports * sizeof(*b->ports);
        struct kube_slice *slice;
        struct khs_row_port *ports;
        char *block;

        if (b->error < 0)
                return b->error;
        slice = malloc(sizeof(*slice) + n_ports + n_endpoints + b->n_strings);
        if (!slice)
                return -ENOMEM;
        ports = (struct khs_row_port *)(slice + 1);
        block = (char *)ports + n_ports;
        if (n_ports > 0)
                memcpy(ports, b->ports, n_ports);
        if (n_endpoints > 0)
                memcpy(block, b->endpoints, n_endpoints);
        memcpy(block + n_endpoints, b->strings, b->n_strings);
        *slice = (struct kube_slice){
                .headless = headless,
                .n_endpoints = b->n_endpoints,
                .endpoints = (const struct kube_endpoint *)(const void *)block,
                .n_ports = b->n_ports,
                .ports = ports,
                .strings = block + n_endpoints,
        };
        slice->name = slice->strings + at_name;
        slice->service = slice->strings + at_service;
        for (uint32_t i = 0; i < b->n_ports; i++)
                ports[i].name = kube_slice_text(slice, (uint32_t)(uintptr_t)ports[i].name);
        *ret = slice;
        return 0;
}
