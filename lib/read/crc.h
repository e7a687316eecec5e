#pragma once

/*
 * The CRC of a record (struct khs_record's crc). The writer stores it, and whoever relies on a record for long checks
 * it. Lookups don't: seq tells them all they need.
 */

#include "read/view.h"

/* Of a whole block in private memory, or in the map of the writer, which nobody else writes. */
uint32_t khs_record_crc(const struct khs_record *record);

/*
 * Gives a record another tag, and its CRC with it. Both CRCs take no longer than one. Return: false: the CRC was
 * wrong, and the record is damaged.
 */
bool khs_record_retag(struct khs_record *record, uint32_t tag);

/**
 * khs_found_intact() - check a record's CRC
 *
 * Return: 0; -EBUSY: the record changed meanwhile; -EBADMSG: damaged.
 */
int khs_found_intact(const struct khs_view *view, const struct khs_found *found);
