/*
 * CRC-32C, half a byte at a time: this table of 64 bytes is one cache line in every process of the machine, where the
 * usual one of 1 KiB would be sixteen, and a reader needs the sum once per file only.
 */

#include "table/crc32c.h"

static const uint32_t nibble_table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t khs_crc32c_word(uint32_t crc, uint32_t word)
{
        crc ^= word;
        for (int i = 0; i < 8; i++)
                crc = crc >> 4 ^ nibble_table[crc & 15];
        return crc;
}
