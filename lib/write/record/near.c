/*
 * Everything before the writer keeps addresses in one order, bytewise: sets of endpoints are merged by it, and nearness
 * changes while addresses stay. Only a record has the near ones first, so that a reader serves a run of addresses
 * whether all count or only these. So the order is made here, last, and undone by whoever reads a record back.
 *
 *     a  b* c  d* | e  f*      ->      b* d* a  c | f* e
 *
 * Both parts keep their order. Shared rows move with their addresses, so that their numbers still never fall.
 */

#include <string.h>

#include "write/record/near.h"

static bool near_any(const struct khs_row *row)
{
        for (uint32_t i = 0; row->endpoints && i < row->n4 + row->n6; i++) {
                if (row->endpoints[i].near)
                        return true;
        }
        return false;
}

/* The addresses [first, end) of one family, of so many bytes each. */
static void near_place(struct khs_near *near, const struct khs_row *row, uint32_t first, uint32_t end,
                       const uint8_t *from, uint8_t *to, size_t size)
{
        uint32_t place = first;

        for (int turn = 1; turn >= 0; turn--) {
                for (uint32_t i = first; i < end; i++) {
                        if (row->endpoints[i].near != turn)
                                continue;
                        memcpy(to + (place - first) * size, from + (i - first) * size, size);
                        near->endpoints[place] = row->endpoints[i];
                        near->place_of[i] = (uint16_t)place++;
                }
        }
}

/* The shared rows [first, end) of one family. */
static void near_place_shared(struct khs_near *near, const struct khs_row *row, uint32_t first, uint32_t end)
{
        uint32_t place = first, n_addrs = row->n4 + row->n6;

        for (int turn = 1; turn >= 0; turn--) {
                for (uint32_t i = first; i < end; i++) {
                        uint16_t address = row->shared[i];

                        if (row->endpoints[address].near != turn)
                                continue;
                        near->endpoints[n_addrs + place] = row->endpoints[n_addrs + i];
                        near->shared[place++] = near->place_of[address];
                }
        }
}

const struct khs_row *khs_near_first(struct khs_near *near, const struct khs_row *row)
{
        uint32_t n_addrs = row->n4 + row->n6, n_shared4 = 0;

        if (!near_any(row))
                return row;
        while (n_shared4 < row->n_shared && row->shared[n_shared4] < row->n4)
                n_shared4++;
        near_place(near, row, 0, row->n4, row->v4, near->v4, 4);
        near_place(near, row, row->n4, n_addrs, row->v6, near->v6, 16);
        near_place_shared(near, row, 0, n_shared4);
        near_place_shared(near, row, n_shared4, row->n_shared);
        near->row = *row;
        near->row.v4 = near->v4;
        near->row.v6 = near->v6;
        near->row.endpoints = near->endpoints;
        near->row.shared = near->shared;
        return &near->row;
}
