/*
 * The reader on arbitrary tables: whatever the words are, it refuses or answers, inside the map, with
 * what is there.
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
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "read/attrs.h"
#include "read/crc.h"
#include "table/crc32c.h"
#include "table/siphash.h"
#include "write/record.h"

#define DO_NOT_SIGN 1U  /* the header's checksum is part of the input */
#define DO_EMPTY    2U  /* no records to begin with */
#define DO_TAGS     4U  /* each entry that is in use, or changed, gets the tag of a key */
#define DO_PAGES    8U  /* another size of the file */
#define DO_PREAD    16U /* the file is read, not mapped */
#define DO_GEOMETRY 32U /* what changes of the header have made of its geometry stays */

#define PAGE_WORDS (KHS_TABLE_PAGE / 4)
#define N_PAGES    5U /* header, index, reverse index, two of arena */
#define MAX_PAGES  8U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

/* ---- the reader ---- */

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

/* What is known of the endpoints; where it is damaged, less. */
static void use_attrs(const struct khs_view *view, const struct khs_found *found)
{
        uint32_t n_addrs = found->record.n4 + found->record.n6, n_shared;
        struct khs_attrs_at attrs;
        int r = khs_attrs_open(view, found, &attrs);

        CHECK(r == 0 || r == -EBADMSG || (r == -ENOENT && found->record.attrs == 0));
        if (r < 0)
                return;
        n_shared = attrs.head.n_shared;
        CHECK(attrs.n_rows == n_addrs + n_shared && attrs.n_rows <= 2 * KHS_MAX_ADDRS);
        CHECK(khs_attrs_n_addresses(&attrs) == n_addrs);
        for (uint32_t i = 0; i <= n_addrs && i < 64; i++)
                CHECK(khs_attrs_shared_before(view, &attrs, i) <= n_shared);
        for (uint32_t i = 0; i < n_shared; i += i < 32 ? 1 : n_shared / 32) {
                uint32_t shared_with = khs_attrs_address(view, &attrs, n_addrs + i);

                CHECK(shared_with < n_addrs || shared_with == attrs.n_rows);
        }
        for (uint32_t i = 0; i < attrs.n_rows && i < 64; i++) {
                struct khs_attr_row row;
                uint32_t first = 0, n;
                char text[256];
                size_t n_text;

                CHECK(khs_attrs_by_host(view, &attrs, i) <= attrs.n_rows);
                khs_attrs_row(view, &attrs, i, &row);
                CHECK(khs_attrs_node(view, &attrs, row.node, text) <= 255);
                CHECK(khs_attrs_zone(view, &attrs, row.zone, text) <= 255);
                (void)khs_attrs_port(view, &attrs, &row, "dns", 3, IPPROTO_UDP);
                (void)khs_attrs_port(view, &attrs, &row, NULL, 0, 0);
                (void)khs_attrs_row_port(view, &attrs, i);
                CHECK(!khs_attrs_is_near(view, &attrs, i) || khs_attrs_address(view, &attrs, i) < n_addrs);
                n_text = khs_attrs_string(view, &attrs, row.host, text);
                CHECK(n_text <= 255 && text[n_text] == '\0');
                n = khs_attrs_find_host(view, &attrs, text, n_text, &first);
                CHECK(n <= attrs.n_rows && (n == 0 || first + n <= attrs.n_rows));
        }
}

/* Everything that can be done with a record, and that it is what it should be. */
static void use(const struct khs_view *view, const struct khs_found *found)
{
        static uint8_t out[KHS_MAX_ADDRS][16];
        struct khs_near_run near;
        char target[256];
        int r;

        CHECK(found->record.n4 <= view->max_addr && found->record.n6 <= view->max_addr);
        CHECK(found->n_key == (found->record.key & KHS_KEY_LEN_MASK));
        for (uint32_t first = 0; first < 2; first++) {
                uint32_t n4 = found->record.n4, n6 = found->record.n6;

                if (first < n4)
                        khs_found_copy(view, found, AF_INET, n4 - 1 - first, n4, out, first ? 4 : 16);
                if (first < n6)
                        khs_found_copy(view, found, AF_INET6, n6 - 1 - first, n6, out, 16);
        }
        r = khs_found_alias(view, found, target);
        CHECK(r == -EBADMSG || (r >= 1 && r <= (int)KHS_KEY_MAX && target[r] == '\0'));
        r = khs_found_intact(view, found);
        CHECK(r == 0 || r == -EBADMSG);
        near = khs_attrs_near(view, found);
        CHECK(near.n4 <= found->record.n4 && near.n6 <= found->record.n6);
        if (near.n6 > 0)
                khs_found_copy_of(view, found, AF_INET6, near.n6, near.n6 - 1, near.n6, out, 16);
        use_attrs(view, found);
        CHECK(khs_found_valid(view, found));
}

static void check_key(const struct khs_view *view, const struct khs_found *found, const char *key)
{
        uint32_t words[64];

        for (uint32_t i = 0; i < (found->n_key + 3) / 4; i++)
                words[i] = khs_view_load(view, found->block + KHS_UNIT_WORDS + i);
        CHECK(memcmp(words, key, found->n_key) == 0 && key[found->n_key] == '\0');
}

/* Nothing changes here, so nothing is ever "again" but a block that is being written for ever. */
static bool expected(int r)
{
        return r == 0 || r == -ENOENT || r == -EBADMSG || r == -EBUSY;
}

static void exercise(const struct khs_view *view)
{
        uint32_t cursor = 0, n = view->n_buckets * KHS_BUCKET_ENTRIES, n_next = 0;
        struct khs_found found;
        char key[256];

        for (size_t i = 0; i < N_KEYS; i++) {
                int r = khs_view_find(view, keys[i], strlen(keys[i]), &found);

                CHECK(expected(r));
                if (r == 0) {
                        check_key(view, &found, keys[i]);
                        use(view, &found);
                }
        }
        while (khs_view_next(view, &cursor, &found, key) == 0) {
                check_key(view, &found, key);
                if (n_next++ < 64)
                        use(view, &found);
        }
        CHECK(cursor == n);
        for (uint32_t i = 0; i < n && i < 32; i++) {
                int r = khs_view_entry(view, i, &found, key);

                CHECK(r == 0 || r == -ENOENT || r == -EAGAIN || r == -EBADMSG);
        }
        for (int family = 0; family < 2; family++) {
                uint32_t wanted[4] = { address };
                int r = khs_view_reverse(view, family ? AF_INET6 : AF_INET, wanted, &found, key);

                CHECK(expected(r) || r == -EOPNOTSUPP);
                if (r == 0)
                        use(view, &found);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct khs_view view;
        uint32_t n_pages, *words;
        size_t n_bytes;
        int fd = -1;

        if (size < 2)
                return 0;
        if (!template[0])
                make_template();
        words = make_table(data, size, &n_pages);
        n_bytes = (size_t)n_pages * KHS_TABLE_PAGE;
        if (data[0] & DO_PREAD) {
                fd = memfd_create("fuzz", MFD_CLOEXEC);
                CHECK(fd >= 0 && pwrite(fd, words, n_bytes, 0) == (ssize_t)n_bytes);
        }
        if (khs_view_init(&view, fd < 0 ? words : NULL, fd, n_bytes) == 0)
                exercise(&view);
        if (fd >= 0)
                (void)close(fd);
        return 0;
}
