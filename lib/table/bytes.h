#pragma once

/*
 * Eight bytes at a time. Names are short, and what is done to each byte of one is done in every lookup
 * of every program: words also reach the hash function faster than bytes do that were stored singly.
 * Little-endian, as the table's format.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * On the way of every lookup: part of its caller, whatever the compiler thinks of it. (But not where
 * nothing is optimised: there coverage is counted, of each function once.)
 */
#ifdef __OPTIMIZE__
#define KHS_INLINE static inline __attribute__((always_inline))
#else
#define KHS_INLINE static inline
#endif

/*
 * Never part of its caller, nor copied for some of its calls: what a function needs of the stack is then gone
 * when it returns, and does not add up with what is called after it.
 */
#ifdef __clang__
#define KHS_NOINLINE __attribute__((noinline))
#else
#define KHS_NOINLINE __attribute__((noinline, noclone))
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

/* The first n < 8 bytes, zeros above; reads nothing behind them. Two loads that overlap, or three. */
static inline uint64_t khs_load_tail(const void *data, size_t n)
{
        const uint8_t *bytes = data;

        if (n >= 4)
                return khs_load32(bytes) | (uint64_t)khs_load32(bytes + n - 4) << (8 * (n - 4));
        if (n == 0)
                return 0;
        return bytes[0] | (uint64_t)bytes[n / 2] << (8 * (n / 2)) | (uint64_t)bytes[n - 1] << (8 * (n - 1));
}

/* Copies few bytes: for a length that it knows to be small, gcc's memcpy() is a string instruction, which is slow. */
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

/* Compares few bytes: the call of memcmp() would be as much again. */
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
