/*
 * Attributes as readers see them: parts that follow each other in the record's block (table/format.h).
 *
 *     head | rows, shared rows | by_host, addresses of shared rows | row_ports | nodes | zones | port_sets | ports |
 *     strings
 *
 * The head is copied and checked when the attributes are opened: the parts are in order, inside the block, and large
 * enough for the rows. After that a number out of the table is only compared with the size of the part that it
 * indexes; what it leads to may be nonsense, but lies inside the block.
 */

#include <errno.h>
#include <string.h>

#include "read/attrs.h"

#define ATTRS_WORDS   (sizeof(struct khs_attrs) / 4)
#define SHORTEST_HEAD ((uint32_t)(offsetof(struct khs_attrs, n_near4) / 4)) /* words that every head has */
#define ROW_WORDS     (sizeof(struct khs_attr_row) / 4)
#define PORT_WORDS    (sizeof(struct khs_attr_port) / 4)
#define MAX_PORTS     128U /* of one endpoint; an EndpointSlice and a configuration have at most 100 */

/* Whether the parts are in order and inside the block, with room for every row. */
static bool attrs_head_ok(const struct khs_attrs *head, uint32_t n_rows, uint32_t n_words)
{
        uint32_t after = head->row_ports ? head->row_ports : head->nodes; /* of by_host */

        return head->rows >= SHORTEST_HEAD && head->rows <= head->by_host && head->by_host <= after &&
               after <= head->nodes && head->nodes <= head->zones && head->zones <= head->port_sets &&
               head->port_sets <= head->ports && head->ports <= head->strings && head->strings <= head->end &&
               head->end <= n_words && n_rows <= 2 * KHS_MAX_ADDRS &&
               head->by_host - head->rows >= n_rows * ROW_WORDS &&
               (after - head->by_host) * 2 >= n_rows + head->n_shared &&
               (head->row_ports == 0 || (head->nodes - head->row_ports) * 2 >= n_rows);
}

/* No more near addresses than there are. A shorter head lacks their number: its rows begin there. */
struct khs_near_run khs_attrs_near(const struct khs_view *view, const struct khs_found *found)
{
        const struct khs_record *record = &found->record;
        uint32_t word = found->block + record->attrs, both, n4, n6;

        if (record->attrs == 0 || record->units * KHS_UNIT_WORDS - record->attrs < ATTRS_WORDS ||
            khs_view_load(view, word) <= SHORTEST_HEAD)
                return (struct khs_near_run){ 0, 0 };
        both = khs_view_load(view, word + SHORTEST_HEAD);
        n4 = both & 0xffff;
        n6 = both >> 16;
        return (struct khs_near_run){ n4 <= record->n4 ? n4 : 0, n6 <= record->n6 ? n6 : 0 };
}

static void attrs_load_head(const struct khs_view *view, const struct khs_found *found, struct khs_attrs *ret)
{
        struct khs_near_run near = khs_attrs_near(view, found);

        khs_view_copy(view, found->block + found->record.attrs, &ret->rows, ATTRS_WORDS);
        ret->n_near4 = (uint16_t)near.n4;
        ret->n_near6 = (uint16_t)near.n6;
        if (ret->rows < ATTRS_WORDS)
                ret->row_ports = 0;
}

int khs_attrs_open(const struct khs_view *view, const struct khs_found *found, struct khs_attrs_at *ret)
{
        const struct khs_record *record = &found->record;
        uint32_t n_words = record->units * KHS_UNIT_WORDS - record->attrs;

        if (record->attrs == 0)
                return -ENOENT;
        ret->word = found->block + record->attrs;
        if (n_words >= ATTRS_WORDS) {
                attrs_load_head(view, found, &ret->head);
                ret->n4 = record->n4;
                ret->n_rows = record->n4 + record->n6 + ret->head.n_shared;
                if (attrs_head_ok(&ret->head, ret->n_rows, n_words))
                        return 0;
        }
        return khs_found_valid(view, found) ? -EBADMSG : -EBUSY;
}

bool khs_attrs_is_near(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i)
{
        uint32_t address = khs_attrs_address(view, attrs, i);

        return address < attrs->n4 ? address < attrs->head.n_near4 : address - attrs->n4 < attrs->head.n_near6;
}

void khs_attrs_row(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i, struct khs_attr_row *ret)
{
        khs_view_copy(view, attrs->word + attrs->head.rows + i * (uint32_t)ROW_WORDS, &ret->host, ROW_WORDS);
}

/* The word of the string pool that holds a byte, shifted so that it is the lowest; the caller has checked that it is
 * there. */
static inline uint32_t attrs_word_at(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset)
{
        return khs_view_load(view, attrs->word + attrs->head.strings + offset / 4) >> 8 * (offset % 4);
}

/* Where a string begins. Return: its length; 0: none. */
static inline uint32_t attrs_string_at(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset,
                                       uint32_t *ret_offset)
{
        uint32_t n_bytes = (attrs->head.end - attrs->head.strings) * 4, n;

        if (offset == 0 || offset >= n_bytes)
                return 0;
        n = attrs_word_at(view, attrs, offset) & 0xff;
        *ret_offset = offset + 1;
        return n <= n_bytes - offset - 1 ? n : 0;
}

size_t khs_attrs_text(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset, char *ret,
                      size_t n_max)
{
        uint32_t n = attrs_string_at(view, attrs, offset, &offset), word = 0;

        for (uint32_t i = 0; n <= n_max && i < n; i++, offset++, word >>= 8) {
                if (i == 0 || offset % 4 == 0)
                        word = attrs_word_at(view, attrs, offset);
                ret[i] = (char)word;
        }
        return n;
}

size_t khs_attrs_string(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset,
                        char ret[static 256])
{
        size_t n = khs_attrs_text(view, attrs, offset, ret, 255);

        ret[n] = '\0';
        return n;
}

/* One of a list of string offsets, by its number from 1; 0: none. */
static uint32_t attrs_numbered(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t list,
                               uint32_t end, uint32_t number)
{
        return number >= 1 && number <= end - list ? khs_view_load(view, attrs->word + list + number - 1) : 0;
}

size_t khs_attrs_node(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t number,
                      char ret[static 256])
{
        return khs_attrs_string(view, attrs, attrs_numbered(view, attrs, attrs->head.nodes, attrs->head.zones, number),
                                ret);
}

size_t khs_attrs_zone(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t number,
                      char ret[static 256])
{
        return khs_attrs_string(view, attrs,
                                attrs_numbered(view, attrs, attrs->head.zones, attrs->head.port_sets, number), ret);
}

/* One of the numbers in the part by_host, @place < n_rows + n_shared; n_rows where it is not one of the first @n. */
static inline uint32_t attrs_number_at(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t place,
                                       uint32_t n)
{
        uint32_t number = khs_view_load(view, attrs->word + attrs->head.by_host + place / 2) >> place % 2 * 16 & 0xffff;

        return number < n ? number : attrs->n_rows;
}

static inline uint32_t attrs_by_host(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t place)
{
        return place < attrs->n_rows ? attrs_number_at(view, attrs, place, attrs->n_rows) : attrs->n_rows;
}

uint32_t khs_attrs_by_host(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t place)
{
        return attrs_by_host(view, attrs, place);
}

uint32_t khs_attrs_address(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i)
{
        uint32_t n = khs_attrs_n_addresses(attrs);

        return i < n || i >= attrs->n_rows ? i : attrs_number_at(view, attrs, attrs->n_rows + i - n, n);
}

uint32_t khs_attrs_shared_before(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t address)
{
        uint32_t n = khs_attrs_n_addresses(attrs), low = 0, high = attrs->head.n_shared;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (khs_attrs_address(view, attrs, n + middle) < address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Compares a string of the pool with private memory. */
static int attrs_compare(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset,
                         const char *text, size_t n_text)
{
        uint32_t n = attrs_string_at(view, attrs, offset, &offset), n_common = n < n_text ? n : (uint32_t)n_text,
                 word = 0;

        for (uint32_t i = 0; i < n_common; i++, offset++, word >>= 8) {
                if (i == 0 || offset % 4 == 0)
                        word = attrs_word_at(view, attrs, offset);
                if ((uint8_t)word != (uint8_t)text[i])
                        return (uint8_t)word < (uint8_t)text[i] ? -1 : 1;
        }
        return (n > n_text) - (n < n_text);
}

/* Compares the host name at one place with ours. Places without a row come last. */
static int attrs_compare_place(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t place,
                               const char *host, size_t n_host)
{
        uint32_t number = attrs_by_host(view, attrs, place);

        if (number == attrs->n_rows)
                return 1;
        return attrs_compare(view, attrs,
                             khs_view_load(view, attrs->word + attrs->head.rows + number * (uint32_t)ROW_WORDS), host,
                             n_host);
}

/* The first place whose host name does not sort before ours (`limit` 0), or sorts behind it (1). */
static uint32_t attrs_bound(const struct khs_view *view, const struct khs_attrs_at *attrs, const char *host,
                            size_t n_host, int limit)
{
        uint32_t low = 0, high = attrs->n_rows;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (attrs_compare_place(view, attrs, middle, host, n_host) < limit)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

uint32_t khs_attrs_find_host(const struct khs_view *view, const struct khs_attrs_at *attrs, const char *host,
                             size_t n_host, uint32_t *ret_first)
{
        uint32_t first, end;

        if (n_host == 0)
                return 0;
        first = attrs_bound(view, attrs, host, n_host, 0);
        if (first == attrs->n_rows || attrs_compare_place(view, attrs, first, host, n_host) != 0)
                return 0;
        end = attrs_bound(view, attrs, host, n_host, 1);
        *ret_first = first;
        return end > first ? end - first : 0;
}

bool khs_attrs_port_at(const struct khs_view *view, const struct khs_attrs_at *attrs, const struct khs_attr_row *row,
                       uint32_t i, struct khs_attr_port *ret)
{
        uint32_t n_ports = (attrs->head.strings - attrs->head.ports) / (uint32_t)PORT_WORDS;
        uint32_t set = attrs_numbered(view, attrs, attrs->head.port_sets, attrs->head.ports, row->port_set);
        uint32_t first = set >> 16, n = set & 0xffff, words[PORT_WORDS];

        if (first > n_ports || n > n_ports - first || n > MAX_PORTS || i >= n)
                return false;
        khs_view_copy(view, attrs->word + attrs->head.ports + (first + i) * (uint32_t)PORT_WORDS, words, PORT_WORDS);
        memcpy(ret, words, sizeof(*ret));
        return true;
}

uint16_t khs_attrs_row_port(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i)
{
        if (attrs->head.row_ports == 0 || i >= attrs->n_rows)
                return 0;
        return (uint16_t)(khs_view_load(view, attrs->word + attrs->head.row_ports + i / 2) >> i % 2 * 16);
}

uint16_t khs_attrs_port(const struct khs_view *view, const struct khs_attrs_at *attrs, const struct khs_attr_row *row,
                        const char *name, size_t n_name, uint8_t protocol)
{
        struct khs_attr_port port;

        for (uint32_t i = 0; khs_attrs_port_at(view, attrs, row, i, &port); i++) {
                if (!name || (port.protocol == protocol && attrs_compare(view, attrs, port.name, name, n_name) == 0))
                        return port.number;
        }
        return 0;
}
