/*
 * The tool on arbitrary tables: whatever they hold, it lists what can be read, as JSON that is UTF-8.
 */

#include <stdlib.h>
#include <unistd.h>

#include "base/utf8.h"
#include "hostile-table.h"
#include "view/catalog.h"
#include "view/service-json.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t n)
{
        while (n > 0) {
                size_t length = utf8_length(text);

                CHECK(length > 0 && length <= n && (unsigned char)*text >= 0x20);
                text += length;
                n -= length;
        }
}

static void exercise(const struct view_table *table)
{
        struct view_catalog catalog;
        struct view_header header;
        char *text = NULL;
        size_t n_text = 0;
        struct json_writer json = { .to = open_memstream(&text, &n_text) };

        CHECK(json.to);
        view_table_header(table, &header);
        CHECK(view_catalog_read(table, &catalog) == 0);
        for (size_t i = 0; i < catalog.n_services && i < 8; i++) {
                struct view_service service;

                CHECK(view_catalog_find(&catalog, catalog.services[i].key));
                if (view_catalog_whole(&catalog, table, catalog.services[i].key, &service) < 0)
                        continue;
                view_service_json(&json, NULL, &service);
                view_service_deinit(&service);
        }
        (void)fclose(json.to);
        check_text(text, n_text);
        free(text);
        view_catalog_deinit(&catalog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view_table table = { .believed = true };
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
        if (khs_view_init(&table.file.view, fd < 0 ? words : NULL, fd, n_bytes) == 0) {
                view_table_look(&table);
                exercise(&table);
        }
        if (fd >= 0)
                (void)close(fd);
        return 0;
}
