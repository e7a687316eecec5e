#pragma once

/*
 * Reading a record's attributes: what is known of each endpoint besides its address. Like the rest of the table they
 * are hostile input: every number is checked before use, every search is bounded, and what was read is valid only if
 * khs_found_valid() says so afterwards.
 *
 * Rows are numbered by the addresses' places in the record: IPv4 first, then IPv6. Behind them are the shared rows,
 * of endpoints that share the address of another row. The first addresses of a family may be near ones.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "read/view.h"

/* Where the attributes of one record are: a checked copy of their head. */
struct khs_attrs_at {
        struct khs_attrs head; /* words that the record lacks are 0 */
        uint32_t word;         /* first word of the head */
        uint32_t n4;           /* rows of IPv4 addresses */
        uint32_t n_rows;       /* with the shared ones; <= 2 * KHS_MAX_ADDRS */
};

/**
 * khs_attrs_open() - find the attributes of a record
 *
 * Return: 0; -ENOENT: it has none; -EBUSY: it changed meanwhile; -EBADMSG: damaged.
 */
int khs_attrs_open(const struct khs_view *view, const struct khs_found *found, struct khs_attrs_at *ret);

/* The number of rows with an address of their own; shared rows follow. */
static inline uint32_t khs_attrs_n_addresses(const struct khs_attrs_at *attrs)
{
        return attrs->n_rows - attrs->head.n_shared;
}

/* How many addresses of a family are near. */
struct khs_near_run {
        uint32_t n4, n6;
};

/* Those of a record, as long as it stays the same: none where that is not known. */
struct khs_near_run khs_attrs_near(const struct khs_view *view, const struct khs_found *found);

/* Whether the address of row @i is near. */
bool khs_attrs_is_near(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i);

/* One row, @i < n_rows. */
void khs_attrs_row(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i, struct khs_attr_row *ret);

static inline uint8_t khs_attr_flags(const struct khs_attr_row *row)
{
        return (uint8_t)row->state;
}

/* Return: the ordinal; -1: none. */
static inline int32_t khs_attr_ordinal(const struct khs_attr_row *row)
{
        uint32_t ordinal = row->state >> KHS_ORDINAL_SHIFT;

        return ordinal == KHS_ORDINAL_NONE ? -1 : (int32_t)ordinal;
}

/**
 * khs_attrs_string() - a string of the pool
 * @offset: as it stands in a row or a port; 0: none
 * @ret:    NUL-terminated; empty if there is none, or it is damaged
 *
 * Return: its length.
 */
size_t khs_attrs_string(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset,
                        char ret[static 256]);

/* The same without the NUL. A string of more than @n_max bytes is not copied; its length is returned. */
size_t khs_attrs_text(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t offset, char *ret,
                      size_t n_max);

/* The name of a node or zone by its number, as it stands in a row; otherwise like khs_attrs_string(). */
size_t khs_attrs_node(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t number,
                      char ret[static 256]);
size_t khs_attrs_zone(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t number,
                      char ret[static 256]);

/**
 * khs_attrs_find_host() - the rows of one host name
 * @host:      lower case, private memory, @n_host <= KHS_LABEL_MAX bytes
 * @ret_first: place of the first of them among the rows sorted by host, for khs_attrs_by_host()
 *
 * Return: how many there are; those with IPv4 addresses come first.
 */
uint32_t khs_attrs_find_host(const struct khs_view *view, const struct khs_attrs_at *attrs, const char *host,
                             size_t n_host, uint32_t *ret_first);

/* The number of the row at one place among those sorted by host; n_rows: there is none. */
uint32_t khs_attrs_by_host(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t place);

/* The row whose address row @i has: @i itself, unless that is a shared row. n_rows or more: there is none, or it is
 * damaged. */
uint32_t khs_attrs_address(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i);

/* How many shared rows, counted from the first, have the address of a row before @address. */
uint32_t khs_attrs_shared_before(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t address);

/* The i-th port of an endpoint, from 0. Return: whether it has so many. */
bool khs_attrs_port_at(const struct khs_view *view, const struct khs_attrs_at *attrs, const struct khs_attr_row *row,
                       uint32_t i, struct khs_attr_port *ret);

/* The first port of row @i, which has no port set; 0: unknown. */
uint16_t khs_attrs_row_port(const struct khs_view *view, const struct khs_attrs_at *attrs, uint32_t i);

/**
 * khs_attrs_port() - one of the ports of an endpoint
 * @name:     private memory, @n_name bytes; NULL: the first port, whatever its name and protocol
 * @protocol: IPPROTO_*
 *
 * Return: its number; 0: there is no such port.
 */
uint16_t khs_attrs_port(const struct khs_view *view, const struct khs_attrs_at *attrs, const struct khs_attr_row *row,
                        const char *name, size_t n_name, uint8_t protocol);
