/*
 * CRCs of records, four bytes at a time (Kounavis and Berry, "A Systematic Approach to Building High Performance
 * Software-based CRC Generators", 2005), since a daemon that adopts a table sums all of it. The tables take 4 KiB
 * where they are used, which is nowhere in the module.
 */

#include <errno.h>

#include "read/crc.h"
#include "table/crc32c.h"

static uint32_t tables[4][256];

static void crc_init_tables(void)
{
        for (uint32_t i = 0; i < 256; i++) {
                uint32_t crc = i;

                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0); /* the polynomial, reflected */
                tables[0][i] = crc;
        }
        for (uint32_t i = 0; i < 256; i++) {
                for (int t = 1; t < 4; t++)
                        tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
        }
}

static inline uint32_t crc_add_word(uint32_t crc, uint32_t word)
{
        crc ^= word;
        return tables[3][crc & 0xff] ^ tables[2][crc >> 8 & 0xff] ^ tables[1][crc >> 16 & 0xff] ^ tables[0][crc >> 24];
}

static uint32_t crc_begin(const struct khs_record *record)
{
        const uint32_t words[] = { record->key,     record->n4,  record->n6,    record->policy,
                                   record->version, record->tag, record->attrs, record->port };
        uint32_t crc = KHS_CRC32C_INIT;

        if (!tables[0][1])
                crc_init_tables();
        for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                crc = crc_add_word(crc, words[i]);
        return crc;
}

uint32_t khs_record_crc(const struct khs_record *record)
{
        const uint32_t *words = (const uint32_t *)record;
        uint32_t crc = crc_begin(record);

        for (uint32_t i = KHS_UNIT_WORDS; i < record->units * KHS_UNIT_WORDS; i++)
                crc = crc_add_word(crc, words[i]);
        return khs_crc32c_end(crc);
}

bool khs_record_retag(struct khs_record *record, uint32_t tag)
{
        const uint32_t *words = (const uint32_t *)record;
        uint32_t before = crc_begin(record), after;

        record->tag = tag;
        after = crc_begin(record);
        for (uint32_t i = KHS_UNIT_WORDS; i < record->units * KHS_UNIT_WORDS; i++) {
                before = crc_add_word(before, words[i]);
                after = crc_add_word(after, words[i]);
        }
        if (khs_crc32c_end(before) != record->crc)
                return false;
        record->crc = khs_crc32c_end(after);
        return true;
}

int khs_found_intact(const struct khs_view *view, const struct khs_found *found)
{
        uint32_t end = found->block + found->record.units * KHS_UNIT_WORDS, crc = crc_begin(&found->record);

        for (uint32_t word = found->block + KHS_UNIT_WORDS; word < end; word++)
                crc = crc_add_word(crc, khs_view_load(view, word));
        if (!khs_found_valid(view, found))
                return -EBUSY;
        return khs_crc32c_end(crc) == found->record.crc ? 0 : -EBADMSG;
}
