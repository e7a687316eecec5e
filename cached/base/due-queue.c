/*
 * A binary heap of due times.
 *
 * One timer of the event loop serves the first item: 20,000 sources of sd-event (10,000 services of two
 * families) would cost ten times the memory. Each item knows its place, so that it is moved or removed in
 * O(log n). Invariant: items[i]->place == i + 1, and no item is due before its parent items[(i - 1) / 2].
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/due-queue.h"

int due_queue_reserve(struct due_queue *queue, size_t n)
{
        size_t n_room = queue->n_room ? queue->n_room : 64;
        struct due_item **items;

        if (n <= queue->n_room)
                return 0;
        while (n_room < n)
                n_room *= 2;
        items = reallocarray(queue->items, n_room, sizeof(*items));
        if (!items)
                return -ENOMEM;
        queue->items = items;
        queue->n_room = n_room;
        return 0;
}

void due_queue_deinit(struct due_queue *queue)
{
        free(queue->items);
        *queue = (struct due_queue){ 0 };
}

static void due_queue_place(struct due_queue *queue, size_t i, struct due_item *item)
{
        queue->items[i] = item;
        item->place = i + 1;
}

/* Finds the place for @item, beginning with the hole at @i. */
static void due_queue_settle(struct due_queue *queue, size_t i, struct due_item *item)
{
        while (i > 0 && queue->items[(i - 1) / 2]->due_usec > item->due_usec) {
                due_queue_place(queue, i, queue->items[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        for (;;) {
                size_t child = 2 * i + 1;

                if (child + 1 < queue->n_items && queue->items[child + 1]->due_usec < queue->items[child]->due_usec)
                        child++;
                if (child >= queue->n_items || queue->items[child]->due_usec >= item->due_usec)
                        break;
                due_queue_place(queue, i, queue->items[child]);
                i = child;
        }
        due_queue_place(queue, i, item);
}

void due_queue_put(struct due_queue *queue, struct due_item *item, uint64_t due_usec)
{
        item->due_usec = due_usec;
        if (item->place == 0) {
                assert(queue->n_items < queue->n_room);
                due_queue_place(queue, queue->n_items++, item);
        }
        due_queue_settle(queue, item->place - 1, item);
}

void due_queue_remove(struct due_queue *queue, struct due_item *item)
{
        size_t hole = item->place;
        struct due_item *last;

        if (hole == 0)
                return;
        item->place = 0;
        last = queue->items[--queue->n_items];
        if (last != item)
                due_queue_settle(queue, hole - 1, last);
}

struct due_item *due_queue_first(const struct due_queue *queue)
{
        return queue->n_items > 0 ? queue->items[0] : NULL;
}
