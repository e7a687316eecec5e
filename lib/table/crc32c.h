#pragma once

/*
 * CRC-32C (Castagnoli; RFC 3720, B.4), word by word: against accidents, not attackers. It covers the
 * static header, which every reader checks once per file, and each record, which a daemon checks when it
 * adopts a table.
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
