#pragma once

/*
 * SipHash-1-3 with 64 bits of output: the hash of the index. Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF", 2012; Linux, Rust and Python use the reduced rounds for their hash tables. Each file has a random
 * key, so that whoever may choose names can't choose their buckets.
 */

#include <stddef.h>
#include <stdint.h>

uint64_t khs_siphash13(const uint8_t key[static 16], const void *data, size_t n_data);
