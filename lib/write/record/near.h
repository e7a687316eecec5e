#pragma once

/* Puts the near addresses of a row first, as a record has them (table/format.h). */

#include "table/row.h"

#define KHS_ROWS_MAX (2 * KHS_MAX_ADDRS)

/* Room for one row of any size. */
struct khs_near {
        struct khs_row row;
        uint8_t v4[KHS_MAX_ADDRS * 4], v6[KHS_MAX_ADDRS * 16];
        struct khs_row_endpoint endpoints[KHS_ROWS_MAX];
        uint16_t shared[KHS_ROWS_MAX];
        uint16_t place_of[KHS_ROWS_MAX]; /* of each address of the original row */
};

/**
 * khs_near_first() - the same row with each family's near addresses first
 * @near: whose memory the returned row uses
 *
 * An address is near if the endpoint in its place is; endpoints that share it go with it.
 *
 * Return: @row itself if no address is near.
 */
const struct khs_row *khs_near_first(struct khs_near *near, const struct khs_row *row);

/* How many of the endpoints [first, end), which lead their family, are near. */
static inline uint16_t khs_near_count(const struct khs_row *row, uint32_t first, uint32_t end)
{
        uint32_t i = first;

        while (i < end && row->endpoints[i].near)
                i++;
        return (uint16_t)(i - first);
}
