#pragma once

/*
 * CRC-32C (Castagnoli; RFC 3720, B.4), word by word: against accidents, not attackers. Of the
 * table's static header (checked by every reader once for each file) and of each record (checked
 * by the daemon when it reads a table back).
 *
 * Start with KHS_CRC32C_INIT, add words, finish with khs_crc32c_end().
 */

#include <stdint.h>

#define KHS_CRC32C_INIT 0xffffffffU

uint32_t khs_crc32c_word(uint32_t crc, uint32_t word);

static inline uint32_t khs_crc32c_end(uint32_t crc)
{
        return crc ^ 0xffffffffU;
}
