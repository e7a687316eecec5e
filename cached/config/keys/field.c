/*
 * Fields, set by the rows of the tables.
 *
 * A field is reached by its offset; pointers and counts are moved by memcpy(), so that one function
 * serves lists of every type. A value is parsed as a whole before the field changes: one bad item
 * costs the list that it is in and leaves what was there.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/keys/field.h"
#include "config/keys/value.h"

/* A list apart from its object. */
struct list {
        char *items;
        size_t n_items;
};

static void list_get(const struct config_key *key, const void *object, struct list *ret)
{
        memcpy(&ret->items, (const char *)object + key->offset, sizeof(ret->items));
        memcpy(&ret->n_items, (const char *)object + key->offset_n, sizeof(ret->n_items));
}

static void list_put(const struct config_key *key, void *object, const struct list *list)
{
        memcpy((char *)object + key->offset, &list->items, sizeof(list->items));
        memcpy((char *)object + key->offset_n, &list->n_items, sizeof(list->n_items));
}

/* Frees the items from @first on. */
static void list_cut(const struct config_key *key, struct list *list, size_t first)
{
        for (size_t i = first; i < list->n_items && key->string; i++)
                free(((char **)(void *)list->items)[i]);
        list->n_items = first;
        if (first > 0)
                return;
        free(list->items);
        list->items = NULL;
}

/* @ret_bad: on -EINVAL, the word that is no item. */
static int list_push(const struct config_key *key, struct list *list, const char *text, const char **ret_bad)
{
        _cleanup_(cleanup_free) char *word = NULL;
        const char *start;
        size_t n_word;

        while (config_word_next(&text, &start, &n_word)) {
                void *item;
                int r;

                if (list->n_items >= key->max)
                        return -E2BIG;
                free(word);
                word = strndup(start, n_word);
                if (!word)
                        return -ENOMEM;
                item = list->items + list->n_items * key->item_size;
                r = key->string ? key->string(word, (char **)item) : key->item(word, item);
                if (r < 0) {
                        *ret_bad = start;
                        return r;
                }
                list->n_items++;
        }
        return 0;
}

/* An upper limit of the number of words, to allocate once. */
static size_t count_words(const struct config_key *key, const char *text)
{
        const char *word;
        size_t n_word, n_words = 0;

        while (n_words <= key->max && config_word_next(&text, &word, &n_word))
                n_words++;
        return n_words;
}

static int list_set(const struct config_key *key, void *object, const char *text, bool append, const char **ret_bad)
{
        struct list old, list = { 0 };
        size_t n_words = count_words(key, text), n_kept;
        char *items;
        int r;

        list_get(key, object, &old);
        if (append)
                list = old;
        n_kept = list.n_items;

        items = reallocarray(list.items, n_kept + n_words, key->item_size);
        if (!items)
                return -ENOMEM;
        list.items = items;

        r = list_push(key, &list, text, ret_bad);
        if (r < 0)
                list_cut(key, &list, n_kept);
        else if (!append)
                list_cut(key, &old, 0);
        /* The array may have moved even if nothing was added. */
        if (append || r == 0)
                list_put(key, object, &list);
        return r;
}

static int string_set(const struct config_key *key, void *object, const char *text)
{
        char *fresh, *old;
        int r;

        r = key->string(text, &fresh);
        if (r < 0)
                return r;
        memcpy(&old, (char *)object + key->offset, sizeof(old));
        free(old);
        memcpy((char *)object + key->offset, &fresh, sizeof(fresh));
        return 0;
}

/* A key whose only words say nothing has no field. */
static int integer_set(const struct config_key *key, void *object, const char *text)
{
        const struct config_word *word = key->words ? config_word_find(key->words, text) : NULL;
        uint64_t value = word ? (uint64_t)word->value : 0;
        char *field = (char *)object + key->offset;

        if (!word && (!key->number || key->number(text, &value) < 0 || value < key->min || value > key->max))
                return -EINVAL;
        if (key->size == sizeof(uint64_t))
                memcpy(field, &value, sizeof(value));
        else if (key->size == sizeof(uint32_t))
                memcpy(field, &(uint32_t){ (uint32_t)value }, sizeof(uint32_t));
        else if (key->size == sizeof(uint8_t))
                *(uint8_t *)field = (uint8_t)value;
        return 0;
}

int config_key_set(const struct config_key *key, void *object, const char *text, bool append, const char **ret_bad)
{
        *ret_bad = text;
        if (config_key_is_list(key))
                return list_set(key, object, text, append, ret_bad);
        return key->string ? string_set(key, object, text) : integer_set(key, object, text);
}

/* Back to 0, NULL or empty. */
static void field_clear(const struct config_key *key, void *object)
{
        struct list list;
        char *string;

        if (config_key_is_list(key)) {
                list_get(key, object, &list);
                list_cut(key, &list, 0);
                list_put(key, object, &list);
                return;
        }
        if (key->string) {
                memcpy(&string, (char *)object + key->offset, sizeof(string));
                free(string);
        }
        memset((char *)object + key->offset, 0, key->size);
}

int config_key_reset(const struct config_key *key, void *object)
{
        const char *bad;

        if (key->fallback)
                return config_key_set(key, object, key->fallback, false, &bad);
        field_clear(key, object);
        return 0;
}

int config_keys_reset(const struct config_key *keys, size_t n_keys, void *object)
{
        for (size_t i = 0; i < n_keys; i++) {
                int r = config_key_reset(&keys[i], object);

                if (r < 0)
                        return r;
        }
        return 0;
}
