/*
 * Free blocks wait in a queue for each size, the one that was freed first at its head. When that one has not
 * rested for the grace time, none of its size has, and a block is cut from the rest of the arena:
 *
 *     arena    | block | block | free | block | free | ...  cut so far | not cut yet |
 *                                 |              ^
 *     head[class] ----------------+--- next -----+--- next ... tail[class]
 */

#include <errno.h>
#include <stdlib.h>

#include "write/pool.h"

/* 1 to 8; then 9 to 16, doubled ten times. */
uint32_t khs_pool_units(unsigned int class)
{
        return class < 8 ? class + 1 : (9 + class % 8) << (class / 8 - 1);
}

unsigned int khs_pool_class(uint32_t n_units)
{
        unsigned int n_doublings;

        if (n_units > KHS_MAX_UNITS)
                return KHS_N_CLASSES - 1;
        if (n_units <= 8)
                return n_units - 1;
        n_doublings = 28 - (unsigned int)__builtin_clz(n_units - 1);
        return 8 * n_doublings + ((n_units - 1) >> n_doublings);
}

int khs_pool_init(struct khs_pool *pool, uint32_t n_units)
{
        *pool = (struct khs_pool){ .n_units = n_units };
        pool->classes = calloc(n_units, sizeof(*pool->classes));
        pool->next = calloc(n_units, sizeof(*pool->next));
        pool->freed = calloc(n_units, sizeof(*pool->freed));
        if (pool->classes && pool->next && pool->freed)
                return 0;
        khs_pool_deinit(pool);
        return -ENOMEM;
}

void khs_pool_deinit(struct khs_pool *pool)
{
        free(pool->classes);
        free(pool->next);
        free(pool->freed);
        *pool = (struct khs_pool){ 0 };
}

static bool pool_is_resting(const struct khs_pool *pool, uint32_t unit, uint32_t now_ds)
{
        return (int32_t)(now_ds - pool->freed[unit]) < KHS_GRACE_DS;
}

int khs_pool_cut(struct khs_pool *pool, unsigned int class, uint32_t *ret_unit)
{
        uint32_t n = khs_pool_units(class);

        if (n > pool->n_units - pool->n_cut)
                return -ENOSPC;
        pool->classes[pool->n_cut] = (uint8_t)(class | KHS_IN_USE);
        *ret_unit = pool->n_cut;
        pool->n_cut += n;
        return 0;
}

int khs_pool_take(struct khs_pool *pool, unsigned int class, uint32_t now_ds, uint32_t *ret_unit)
{
        uint32_t head = pool->head[class];

        if (!head || pool_is_resting(pool, head - 1, now_ds))
                return khs_pool_cut(pool, class, ret_unit);
        pool->head[class] = pool->next[head - 1];
        if (!pool->head[class])
                pool->tail[class] = 0;
        pool->classes[head - 1] |= KHS_IN_USE;
        pool->n_free -= khs_pool_units(class);
        *ret_unit = head - 1;
        return 0;
}

uint32_t khs_pool_used_units(const struct khs_pool *pool, uint32_t unit)
{
        return unit < pool->n_cut && pool->classes[unit] & KHS_IN_USE
                       ? khs_pool_units(pool->classes[unit] & ~KHS_IN_USE)
                       : 0;
}

void khs_pool_give(struct khs_pool *pool, uint32_t unit, uint32_t now_ds)
{
        unsigned int class = pool->classes[unit] & ~KHS_IN_USE;
        uint32_t slot = now_ds % KHS_GRACE_DS, n = khs_pool_units(class);

        pool->classes[unit] = (uint8_t) class;
        pool->next[unit] = 0;
        pool->freed[unit] = now_ds;
        if (pool->tail[class])
                pool->next[pool->tail[class] - 1] = unit + 1;
        else
                pool->head[class] = unit + 1;
        pool->tail[class] = unit + 1;
        pool->n_free += n;
        if (pool->recent[slot].ds != now_ds)
                pool->recent[slot].n_units = 0;
        pool->recent[slot].ds = now_ds;
        pool->recent[slot].n_units += n;
}

uint32_t khs_pool_resting(const struct khs_pool *pool, uint32_t now_ds)
{
        uint32_t n = 0;

        for (uint32_t slot = 0; slot < KHS_GRACE_DS; slot++) {
                if (now_ds - pool->recent[slot].ds < KHS_GRACE_DS)
                        n += pool->recent[slot].n_units;
        }
        return n;
}
