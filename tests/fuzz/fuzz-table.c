/*
 * The reader on arbitrary tables: whatever the words are, it refuses or answers, inside the map, with
 * what is there.
 */

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile-table.h"
#include "read/attrs.h"
#include "read/crc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
