"""Damaging tables. Only what lib/table-format.h promises for ever is known here."""

import struct

CHECKSUM_AT, STATIC_SIZE = 356, 1024


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def checksum(static):
    """CRC-32C of the static part, its own word being 0."""
    return crc32c(static[:CHECKSUM_AT] + bytes(4) + static[CHECKSUM_AT + 4:STATIC_SIZE])


def with_field(table, at, form, value):
    """The table with another value in a field of its static part, and with the right checksum."""
    table = bytearray(table)
    struct.pack_into(form, table, at, value)
    struct.pack_into("<I", table, CHECKSUM_AT, checksum(bytes(table[:STATIC_SIZE])))
    return bytes(table)
