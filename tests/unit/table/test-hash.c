/* The two sums of the format, against published values. */

#include <criterion/criterion.h>
#include <string.h>

#include "table/crc32c.h"
#include "table/siphash.h"

/* What CPython 3.11 says: PYTHONHASHSEED=0 python3 -c 'print(hash(b"user-svc"))' is SipHash-1-3 with a zero key. */
Test(hash, siphash13_agrees_with_another_implementation)
{
        static const struct {
                const char *data;
                uint64_t hash;
        } vectors[] = {
                { "a", 0x407448d2b89b1813ULL },
                { "default", 0x02e2bcd8739ae039ULL },
                { "user-svc", 0x806f4261d9a90930ULL },
                { "user-svc.default", 0x94dc0017562bd4bcULL },
        };
        static const uint8_t key[16];
        char longest[253];

        for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
                cr_expect_eq(khs_siphash13(key, vectors[i].data, strlen(vectors[i].data)), vectors[i].hash, "%s",
                             vectors[i].data);
        memset(longest, 'x', sizeof(longest));
        cr_expect_eq(khs_siphash13(key, longest, sizeof(longest)), 0x08569c12c3aa30ebULL);
}

Test(hash, siphash13_depends_on_every_byte)
{
        uint8_t key[16] = { 1 }, data[40] = { 0 };
        uint64_t base = khs_siphash13(key, data, sizeof(data));

        for (size_t i = 0; i < sizeof(data); i++) {
                data[i] = 1;
                cr_expect_neq(khs_siphash13(key, data, sizeof(data)), base);
                data[i] = 0;
        }
        cr_expect_neq(khs_siphash13(key, data, sizeof(data) - 1), base);
}

/* RFC 3720, B.4: 32 bytes of zeros, of ones, ascending. */
Test(hash, crc32c_has_the_values_of_rfc3720)
{
        static const struct {
                uint8_t first, step;
                uint32_t crc;
        } vectors[] = { { 0, 0, 0x8a9136aa }, { 0xff, 0, 0x62a8ab43 }, { 0, 1, 0x46dd794e } };

        for (size_t i = 0; i < 3; i++) {
                uint32_t crc = KHS_CRC32C_INIT;

                for (unsigned int word = 0; word < 8; word++) {
                        uint8_t bytes[4];
                        uint32_t value;

                        for (unsigned int b = 0; b < 4; b++)
                                bytes[b] = (uint8_t)(vectors[i].first + vectors[i].step * (word * 4 + b));
                        memcpy(&value, bytes, 4);
                        crc = khs_crc32c_word(crc, value);
                }
                cr_expect_eq(khs_crc32c_end(crc), vectors[i].crc, "%08x", khs_crc32c_end(crc));
        }
}
