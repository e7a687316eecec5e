#pragma once

/*
 * A queue ordered by due time, of items embedded in their owners. Room is reserved when an owner is made, so
 * that queueing it can't fail later.
 */

#include <stddef.h>
#include <stdint.h>

struct due_item {
        uint64_t due_usec;
        size_t place; /* 1 + index in the heap; 0: not in a queue */
};

struct due_queue {
        struct due_item **items;
        size_t n_items;
        size_t n_room;
};

/* Return: 0, or -ENOMEM. Room for @n items altogether. */
int due_queue_reserve(struct due_queue *queue, size_t n);
void due_queue_deinit(struct due_queue *queue);

/* Queues @item, or moves it when it is queued already. The room must have been reserved. */
void due_queue_put(struct due_queue *queue, struct due_item *item, uint64_t due_usec);
/* Does nothing when @item is not queued. */
void due_queue_remove(struct due_queue *queue, struct due_item *item);
/* The item that is due first; NULL when the queue is empty. */
struct due_item *due_queue_first(const struct due_queue *queue);
