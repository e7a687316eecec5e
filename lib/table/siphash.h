#pragma once

/*
 * SipHash-1-3 with 64 bits of output: the hash of keys in the index. Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012; the reduced rounds are those that Linux, Rust and
 * Python use for hash tables. The key is random for each file, so that nobody who may choose
 * names can choose their buckets.
 */

#include <stddef.h>
#include <stdint.h>

uint64_t khs_siphash13(const uint8_t key[static 16], const void *data, size_t n_data);
