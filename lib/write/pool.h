#pragma once

/*
 * The free blocks of a table's arena: the writer's private bookkeeping.
 *
 * A block keeps one of 96 sizes for the life of the file and is never split or joined, so that a stale ref
 * always points at a seq word. At most an eighth of a block is waste. A freed block rests for KHS_GRACE_DS before it is
 * reused, so that readers hardly ever have to try again; seq keeps them right even without that.
 *
 * All memory is allocated when the file is created: taking and giving back never fails for lack of it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/format.h"

#define KHS_N_CLASSES 96

#define KHS_IN_USE 0x80U /* the block was taken and not given back */

struct khs_pool {
        uint32_t n_units; /* of the arena */
        uint32_t n_cut;   /* units below this have been cut into blocks */
        uint32_t n_free;  /* units in free blocks */
        uint8_t *classes; /* by first unit of a block: its class, with KHS_IN_USE */
        uint32_t *next;   /* by first unit of a free block: 1 + the next one of its class; 0: it is the last */
        uint32_t *freed;  /* by first unit: when it was given back, in deciseconds */
        uint32_t head[KHS_N_CLASSES], tail[KHS_N_CLASSES]; /* 1 + unit, 0: none; oldest first */
        struct {
                uint32_t ds, n_units; /* units given back in that decisecond */
        } recent[KHS_GRACE_DS];       /* by decisecond modulo the grace time */
};

int khs_pool_init(struct khs_pool *pool, uint32_t n_units);
void khs_pool_deinit(struct khs_pool *pool);

/* The smallest class whose blocks have @n_units (1..KHS_MAX_UNITS), and the size of a class: 1 to 16, 18, 20 ... */
unsigned int khs_pool_class(uint32_t n_units);
uint32_t khs_pool_units(unsigned int class);

/* Cuts a block from the rest of the arena. Return: 0, @ret_unit is its first unit; -ENOSPC. */
int khs_pool_cut(struct khs_pool *pool, unsigned int class, uint32_t *ret_unit);

/**
 * khs_pool_take() - get a block that has rested, else cut one
 *
 * Return: 0, @ret_unit is its first unit; -ENOSPC.
 */
int khs_pool_take(struct khs_pool *pool, unsigned int class, uint32_t now_ds, uint32_t *ret_unit);
void khs_pool_give(struct khs_pool *pool, uint32_t unit, uint32_t now_ds);

/* Size of the block in use that begins there; 0: none does. */
uint32_t khs_pool_used_units(const struct khs_pool *pool, uint32_t unit);

/* Units of the blocks that were freed less than the grace time ago. */
uint32_t khs_pool_resting(const struct khs_pool *pool, uint32_t now_ds);
