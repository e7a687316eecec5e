/*
 * From bytes to objects: a scanner that knows brackets and strings and leaves the rest to jansson.
 *
 *     watch   {"type":...} {"type":...} ...          each object at depth 0 is an item
 *     list    {"kind":..., "items":[{...},{...}]}    each object at depth 2 of "items" is an item,
 *              ---- frame ---------'        '-frame  what is left is a small object of its own
 *
 * An object ends with its last bracket, not with a line: the protocol promises one object after the
 * other, and proxies may re-indent them. How many values an object has is counted before jansson may
 * make a tree of it, since "[[],[],..." of a few MB is hundreds of MB as a tree.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "source/kube/watch/stream.h"

/* ---- room for the tree of one object ---- */

#if defined(__SANITIZE_ADDRESS__)
#define TREE_SIZE 16 /* sanitizers are to see each piece */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TREE_SIZE 16
#endif
#endif
#ifndef TREE_SIZE
#define TREE_SIZE 32768
#endif

/*
 * A tree lives until its object has been handed over. Its hundreds of pieces lie side by side, always in the same
 * place, and not in the holes between what the daemon keeps: a sixth of what a change costs. What has no room here, and
 * what jansson allocates at other times, is malloc()'s.
 */
static struct {
        _Alignas(16) char bytes[TREE_SIZE];
        size_t n_used;
        size_t n_pieces; /* not freed yet */
        bool is_growing;
} tree;

static void *tree_malloc(size_t n)
{
        size_t room = (n + 15) & ~(size_t)15;
        char *piece = tree.bytes + tree.n_used;

        if (!tree.is_growing || room < n || room > sizeof(tree.bytes) - tree.n_used)
                return malloc(n);
        tree.n_used += room;
        tree.n_pieces++;
        return piece;
}

static void tree_free(void *piece)
{
        if ((uintptr_t)piece - (uintptr_t)tree.bytes >= sizeof(tree.bytes))
                free(piece);
        else if (--tree.n_pieces == 0)
                tree.n_used = 0;
}

static json_t *tree_parse(const struct kube_text *text)
{
        json_t *object;

        json_set_alloc_funcs(tree_malloc, tree_free);
        tree.is_growing = true;
        object = json_loadb(text->bytes, text->n, JSON_ALLOW_NUL, NULL); /* a program's last words, in a pod */
        tree.is_growing = false;
        return object;
}

/* ---- the scanner ---- */

void kube_stream_init(struct kube_stream *s, bool is_list, kube_object_fn object, void *userdata)
{
        *s = (struct kube_stream){ .is_list = is_list, .object = object, .userdata = userdata };
}

void kube_stream_deinit(struct kube_stream *s)
{
        free(s->item.bytes);
        free(s->frame.bytes);
        s->item = s->frame = (struct kube_text){ 0 };
}

static int text_put(struct kube_text *text, char c, size_t max)
{
        if (text->n == text->room) {
                size_t room = text->room > 0 ? text->room * 2 : 4096;
                char *bytes;

                if (text->n >= max)
                        return -EMSGSIZE;
                bytes = realloc(text->bytes, room);
                if (!bytes)
                        return -ENOMEM;
                text->bytes = bytes;
                text->room = room;
        }
        text->bytes[text->n++] = c;
        return 0;
}

/* A buffer that one large object has made is not kept for the small ones that follow. */
static void text_clear(struct kube_text *text)
{
        if (text->room > 4 * KUBE_FRAME_MAX) {
                free(text->bytes);
                *text = (struct kube_text){ 0 };
        }
        text->n = 0;
}

static int stream_hand_over(struct kube_stream *s, struct kube_text *text)
{
        json_t *object = tree_parse(text);
        int r;

        text_clear(text);
        s->n_values = 0;
        if (!object)
                return -EBADMSG;
        r = s->object(s->userdata, object);
        json_decref(object);
        return r < 0 ? r : 0;
}

static int stream_put(struct kube_stream *s, char c)
{
        return s->in_item ? text_put(&s->item, c, KUBE_OBJECT_MAX) : text_put(&s->frame, c, KUBE_FRAME_MAX);
}

static bool stream_is_items(const struct kube_stream *s)
{
        return s->is_list && s->depth == 1 && s->key_end - s->key_begin == 5 &&
               memcmp(s->frame.bytes + s->key_begin, "items", 5) == 0;
}

static int stream_open(struct kube_stream *s, char c)
{
        bool is_item = !s->in_item && (!s->is_list || s->in_items);
        int r;

        if ((is_item || s->depth == 0) && c != '{')
                return -EBADMSG;
        if (is_item) {
                s->in_item = true;
                s->n_values = 0;
        }
        r = stream_put(s, c);
        if (r == 0 && c == '[' && !s->in_item && stream_is_items(s)) {
                s->in_items = true;
                s->item_depth = 2;
        }
        s->depth++;
        return r;
}

static int stream_close(struct kube_stream *s, char c)
{
        int r;

        if (s->depth == 0)
                return -EBADMSG;
        s->depth--;
        if (s->in_items && !s->in_item)
                s->in_items = false;
        r = stream_put(s, c);
        if (r < 0 || !s->in_item || s->depth != s->item_depth)
                return r;
        s->in_item = false;
        return stream_hand_over(s, &s->item);
}

static int stream_in_string(struct kube_stream *s, char c)
{
        if (s->escaped) {
                s->escaped = false;
        } else if (c == '\\') {
                s->escaped = true;
        } else if (c == '"') {
                s->in_string = false;
                if (!s->in_item && s->depth == 1)
                        s->key_end = s->frame.n;
        }
        return stream_put(s, c);
}

/* What stands between items, or outside of a list, has no meaning but must be nothing else. */
static int stream_between(char c)
{
        return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',' ? 0 : -EBADMSG;
}

static int stream_byte(struct kube_stream *s, char c)
{
        bool outside = !s->in_item && (s->in_items || s->depth == 0);
        int r;

        if (s->in_string)
                return stream_in_string(s, c);
        if (c == '{' || c == '[' || c == ',') {
                if (++s->n_values > KUBE_OBJECT_VALUES_MAX)
                        return -EMSGSIZE;
        }
        if (c == '{' || c == '[')
                return stream_open(s, c);
        if (c == '}' || c == ']')
                return stream_close(s, c);
        if (outside)
                return stream_between(c);
        r = stream_put(s, c);
        if (c == '"') {
                s->in_string = true;
                if (!s->in_item && s->depth == 1)
                        s->key_begin = s->frame.n;
        }
        return r;
}

int kube_stream_feed(struct kube_stream *s, const char *bytes, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = stream_byte(s, bytes[i]);
        return r;
}

int kube_stream_end(struct kube_stream *s)
{
        if (s->depth > 0 || s->in_string)
                return -EBADMSG;
        if (!s->is_list)
                return 0;
        return s->frame.n > 0 ? stream_hand_over(s, &s->frame) : -EBADMSG;
}
