#pragma once

/*
 * Bytes of private memory, eight at a time. Names are short, and each lookup of each program on the machine
 * hashes, compares and copies one. Little-endian, like the table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Part of its caller, whatever the compiler thinks of it: only where the instructions that this saves are
 * counted and stated. (Not without optimisation, where coverage is counted once for each function.)
 */
#ifdef __OPTIMIZE__
#define KHS_INLINE static inline __attribute__((always_inline))
#else
#define KHS_INLINE static inline
#endif

static inline uint64_t khs_load64(const void *bytes)
{
        uint64_t word;

        memcpy(&word, bytes, sizeof(word));
        return word;
}

static inline uint32_t khs_load32(const void *bytes)
{
        uint32_t word;

        memcpy(&word, bytes, sizeof(word));
        return word;
}

/* The first n < 8 bytes, with zeros above; nothing behind them is read. */
static inline uint64_t khs_load_tail(const void *data, size_t n)
{
        const uint8_t *bytes = data;

        if (n >= 4)
                return khs_load32(bytes) | (uint64_t)khs_load32(bytes + n - 4) << (8 * (n - 4));
        if (n == 0)
                return 0;
        return bytes[0] | (uint64_t)bytes[n / 2] << (8 * (n / 2)) | (uint64_t)bytes[n - 1] << (8 * (n - 1));
}

/* Copies a few bytes. Where gcc knows the length to be small, its memcpy() is a string instruction, which is slow. */
static inline void khs_copy_bytes(char *ret, const char *bytes, size_t n)
{
        uint64_t word;
        size_t i;

        if (n < 8) {
                for (i = 0; i < n; i++)
                        ret[i] = bytes[i];
                return;
        }
        for (i = 0; i + 8 < n; i += 8) {
                word = khs_load64(bytes + i);
                memcpy(ret + i, &word, sizeof(word));
        }
        word = khs_load64(bytes + n - 8);
        memcpy(ret + n - 8, &word, sizeof(word));
}

/* Compares a few bytes, for less than the call of memcmp() costs. */
static inline bool khs_equal_bytes(const char *a, const char *b, size_t n)
{
        uint64_t differ = 0;

        if (n < 8)
                return khs_load_tail(a, n) == khs_load_tail(b, n);
        for (size_t i = 0; i + 8 < n; i += 8)
                differ |= khs_load64(a + i) ^ khs_load64(b + i);
        return (differ | (khs_load64(a + n - 8) ^ khs_load64(b + n - 8))) == 0;
}

#define KHS_ONES  0x0101010101010101ULL
#define KHS_HIGHS 0x8080808080808080ULL

/* 0x80 in each byte of the word that is low..high; all bytes must be below 0x80. */
static inline uint64_t khs_bytes_in(uint64_t word, uint8_t low, uint8_t high)
{
        return (word + KHS_ONES * (0x80U - low)) & ~(word + KHS_ONES * (0x7fU - high)) & KHS_HIGHS;
}
