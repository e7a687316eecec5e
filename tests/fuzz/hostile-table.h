#pragma once

/*
 * Arbitrary tables out of a fuzzer's input.
 *
 * Bytes out of the blue would hardly pass the header's CRC, and the tag of a key that is looked for is
 * one in 2^31. So an input is a list of changes to a table that the real writer has made, which is
 * then signed again:
 *
 *     byte 0     what to do, see below
 *     byte 1     size of the file in pages, when that is asked for
 *     6 bytes    each: number of a word (16 bits), its new value (32 bits)
 *
 * The map is as long as the file, between two pages that can't be touched.
 */

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "read/view.h"
#include "table/crc32c.h"
#include "table/siphash.h"
#include "write/record/record.h"

#define DO_NOT_SIGN 1U  /* the header's checksum is part of the input */
#define DO_EMPTY    2U  /* no records to begin with */
#define DO_TAGS     4U  /* each entry that is in use, or changed, gets the tag of a key */
#define DO_PAGES    8U  /* another size of the file */
#define DO_PREAD    16U /* the file is read, not mapped */
#define DO_GEOMETRY 32U /* what changes of the header have made of its geometry stays */

#define PAGE_WORDS (KHS_TABLE_PAGE / 4)
#define N_PAGES    5U /* header, index, reverse index, two of arena */
#define MAX_PAGES  8U

static const char *const keys[] = { "a.default", "b.default", "alias", "four.kube-system", "none.default" };
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static uint32_t template[N_PAGES * PAGE_WORDS] __attribute__((aligned(4096)));
static const uint32_t address = 0x0100000a;

/* ---- the table ---- */

static void sign(uint32_t *words)
{
        struct khs_table_static *fixed = (struct khs_table_static *)words;
        uint32_t crc = KHS_CRC32C_INIT;

        fixed->checksum = 0;
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, words[i]);
        fixed->checksum = khs_crc32c_end(crc);
}

static void put(struct khs_file *file, const struct khs_row *row)
{
        static struct khs_image *image;
        int r;

        if (!image)
                image = khs_image_new();
        assert(image);
        r = khs_file_put(file, row, image, 100);

        assert(r == 0);
        (void)r;
}

static const struct khs_row_port ports[] = { { "grpc", 50051, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
static const struct khs_row_endpoint endpoints[] = {
        { .host = "web-1", .node = "node-a", .zone = "z", .ordinal = 1, .n_ports = 2, .ports = ports },
        { .host = "web-0", .node = "node-b", .zone = "z", .ordinal = 0, .n_ports = 1, .ports = ports },
        { .ordinal = -1 },
        { .host = "web-1", .node = "node-a", .zone = "z", .ordinal = 1, .n_ports = 2, .ports = ports },
        { .host = "web-2", .node = "node-a", .zone = "z", .ordinal = 2, .n_ports = 1, .ports = ports },
        { .host = "web-3", .node = "node-a", .zone = "z", .ordinal = 3, .n_ports = 1, .ports = ports },
        { .host = "web-2", .node = "node-a", .zone = "z", .ordinal = 2, .n_ports = 1, .ports = ports },
};
static const uint16_t shared[] = { 0, 0, 3 };

static void make_template(void)
{
        struct khs_table_static *fixed = (struct khs_table_static *)template;
        uint32_t v4[40];
        struct khs_file file = { .map = template, .size = sizeof(template) };
        struct khs_view view;
        int r;

        for (uint32_t i = 0; i < 40; i++)
                v4[i] = address + (i << 24);
        *fixed = (struct khs_table_static){
                .magic = KHS_MAGIC,
                .endian = KHS_ENDIAN,
                .major = KHS_MAJOR,
                .header_size = KHS_HEADER_SIZE,
                .file_pages = N_PAGES,
                .idx_off_pg = 1,
                .idx_log2 = 4,
                .ridx_off_pg = 2,
                .ridx_log2 = 7,
                .arena_off_pg = 3,
                .arena_units = 2 * KHS_TABLE_PAGE / KHS_UNIT,
                .max_probe = KHS_PROBE_DEFAULT,
                .max_addr = KHS_MAX_ADDRS,
                .orphan_max_ds = 300,
                .zone_len = 13,
                .zone = "cluster.local",
                .hash_key = "a key to fuzz by",
                .flags = KHS_FLAG_REVERSE,
        };
        sign(template);
        r = khs_view_init(&view, template, -1, sizeof(template));
        assert(r == 0);
        (void)r;

        memcpy(file.hash_key, fixed->hash_key, sizeof(file.hash_key));
        file.idx_word = view.idx_word;
        file.n_buckets = view.n_buckets;
        file.ridx_word = view.ridx_word;
        file.n_rbuckets = view.n_rbuckets;
        file.arena_word = view.arena_word;
        r = khs_pool_init(&file.pool, view.arena_units);
        assert(r == 0);

        put(&file, &(struct khs_row){ .key = keys[0], .n_key = strlen(keys[0]), .n4 = 2, .v4 = v4 });
        put(&file, &(struct khs_row){ .key = keys[1],
                                      .n_key = strlen(keys[1]),
                                      .n4 = 1,
                                      .v4 = v4,
                                      .n6 = 3,
                                      .v6 = v4,
                                      .endpoints = endpoints,
                                      .n_shared = 3,
                                      .shared = shared });
        put(&file, &(struct khs_row){
                           .key = keys[2], .n_key = strlen(keys[2]), .target = keys[0], .n_target = strlen(keys[0]) });
        put(&file, &(struct khs_row){ .key = keys[3], .n_key = strlen(keys[3]), .n4 = 40, .v4 = v4 });
        khs_pool_deinit(&file.pool);
}

/* A file of n pages, with nothing before and behind it. */
static uint32_t *room_for(uint32_t n_pages)
{
        static uint32_t *rooms[MAX_PAGES + 1];

        if (!rooms[n_pages]) {
                size_t size = (size_t)n_pages * KHS_TABLE_PAGE;
                uint32_t *map = mmap(NULL, size + 2 * KHS_TABLE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                int r;

                assert(map != MAP_FAILED);
                r = mprotect(map + PAGE_WORDS, size, PROT_READ | PROT_WRITE);
                assert(r == 0);
                (void)r;
                rooms[n_pages] = map + PAGE_WORDS;
        }
        return rooms[n_pages];
}

static uint32_t tag_of(const uint32_t *words, const char *key)
{
        const struct khs_table_static *fixed = (const struct khs_table_static *)words;

        return (uint32_t)(khs_siphash13(fixed->hash_key, key, strlen(key)) >> 32) | 1;
}

/* Both indexes, each of at most a page. */
static void plant_tags(uint32_t *words)
{
        uint32_t tag = 0;

        for (uint32_t i = 0; i < 128; i++) {
                uint32_t *entry = words + PAGE_WORDS + i * 2;

                if (entry[1])
                        entry[0] = tag_of(words, keys[tag++ % N_KEYS]);
                entry += PAGE_WORDS;
                if (entry[1])
                        entry[0] = (uint32_t)(khs_siphash13((const uint8_t *)words + 64, &address, 4) >> 32) | 1;
        }
}

static uint32_t *make_table(const uint8_t *data, size_t size, uint32_t *ret_pages)
{
        uint32_t flags = data[0], n_pages = flags & DO_PAGES ? 1 + data[1] % MAX_PAGES : N_PAGES;
        uint32_t *words = room_for(n_pages), n_copied = n_pages < N_PAGES ? n_pages : N_PAGES;
        struct khs_table_static *fixed = (struct khs_table_static *)words;

        if (!template[0])
                make_template();
        memset(words, 0, (size_t)n_pages * KHS_TABLE_PAGE);
        memcpy(words, template, flags & DO_EMPTY ? KHS_STATIC_SIZE : (size_t)n_copied * KHS_TABLE_PAGE);
        for (data += 2, size -= 2; size >= 6; data += 6, size -= 6) {
                uint16_t word;

                memcpy(&word, data, 2);
                memcpy(words + word % (n_pages * PAGE_WORDS), data + 2, 4);
        }
        if (!(flags & DO_GEOMETRY)) {
                memcpy(fixed, template, offsetof(struct khs_table_static, max_probe));
                fixed->file_pages = n_pages;
        }
        if (flags & DO_TAGS && n_pages >= 3)
                plant_tags(words);
        if (!(flags & DO_NOT_SIGN))
                sign(words);
        *ret_pages = n_pages;
        return words;
}
