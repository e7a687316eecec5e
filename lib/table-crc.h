#pragma once

/* The CRC of a record (struct khs_record's crc), which the writer makes and the reader checks. */

#include "crc32c.h"
#include "table-format.h"

/* The header's share; the words of the payload follow, to the end of the block. */
static inline uint32_t khs_record_crc_head(const struct khs_record *record)
{
        const uint32_t words[] = { record->key,     record->n4,  record->n6,    record->policy,
                                   record->version, record->tag, record->attrs, record->port };
        uint32_t crc = KHS_CRC32C_INIT;

        for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                crc = khs_crc32c_word(crc, words[i]);
        return crc;
}
