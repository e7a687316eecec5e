#pragma once

/*
 * JSON objects out of a stream of bytes: the events of a watch, or the items of a list one by one.
 *
 * A list of 500 slices is 15 MB of text and ten times that as a tree. Only one object of it is ever held
 * as text and as a tree, so memory is bounded by the largest object and not by the list.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_OBJECT_MAX        (16U << 20) /* bytes of one object; etcd itself refuses more than 1.5 MB */
#define KUBE_OBJECT_VALUES_MAX 262144U     /* values in it: each costs about 100 bytes of memory */
#define KUBE_FRAME_MAX         (64U << 10) /* bytes of a list besides its items */

/* Return: negative ends the stream with that error. @object is borrowed during the call. */
typedef int (*kube_object_fn)(void *userdata, json_t *object);

struct kube_text {
        char *bytes;
        size_t n, room;
};

struct kube_stream {
        bool is_list;
        kube_object_fn object;
        void *userdata;
        struct kube_text item, frame;
        unsigned int depth;      /* brackets that are open */
        unsigned int item_depth; /* those around an item; only with in_items or of a watch */
        bool in_items, in_item, in_string, escaped;
        size_t n_values;
        size_t key_begin, key_end; /* of a list: where in the frame its last string at depth 1 lies */
};

/**
 * kube_stream_init() - expect a watch's events, or a list
 * @object: is given each event; or each element of the list's "items", then, at the end, the list
 *          itself with "items" empty. Another object than a list, such as a Status, comes at the end, too.
 */
void kube_stream_init(struct kube_stream *s, bool is_list, kube_object_fn object, void *userdata);
void kube_stream_deinit(struct kube_stream *s);

/**
 * kube_stream_feed() - the next bytes
 *
 * Return: 0; -EBADMSG: not what was expected; -EMSGSIZE: an object that is too large; -ENOMEM; or what
 * the callback returned. After an error the stream is only good for kube_stream_deinit().
 */
int kube_stream_feed(struct kube_stream *s, const char *bytes, size_t n);

/* All bytes have come. Return: as kube_stream_feed(); -EBADMSG, too, when they end amid an object. */
int kube_stream_end(struct kube_stream *s);
