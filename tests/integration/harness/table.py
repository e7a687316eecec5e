"""Looking at tables, and damaging them. Only what lib/table/format.h promises for ever is known here."""

import struct

BOOT_ID_AT, CHECKSUM_AT, STATIC_SIZE, BEAT_REAL_AT, CHANGES_AT = 80, 356, 1024, 1096, 1152


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


def of_another_boot(table):
    """The table as if it had been written 100 days ago, before the machine started anew."""
    other = bytearray(with_field(table, BOOT_ID_AT, "<I", struct.unpack_from("<I", table, BOOT_ID_AT)[0] ^ 1))
    struct.pack_into("<I", other, BEAT_REAL_AT, (struct.unpack_from("<I", table, BEAT_REAL_AT)[0] - 86400000) % 2 ** 32)
    return bytes(other)


def changes(path):
    """How many batches of changes it has seen."""
    with open(path, "rb") as file:
        return struct.unpack_from("<I", file.read(STATIC_SIZE + 1024), CHANGES_AT)[0]
