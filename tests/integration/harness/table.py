"""Looking at tables, and damaging them. Only what lib/table/format.h promises for ever is known here."""

import struct

CHECKSUM_AT, STATIC_SIZE, CHANGES_AT = 356, 1024, 1152


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


def changes(path):
    """How many batches of changes it has seen."""
    with open(path, "rb") as file:
        return struct.unpack_from("<I", file.read(STATIC_SIZE + 1024), CHANGES_AT)[0]
