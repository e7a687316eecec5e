"""The same service as others see it: CoreDNS's answers, and our table's.

A view is a function of (service, family), which returns a frozenset of addresses, or the name of an error.
"""

import socket
import struct

from harness import sandbox

from .plane import DOMAIN

_TYPE = {"ipv4": 1, "ipv6": 28}
_AF = {1: socket.AF_INET, 28: socket.AF_INET6}
_NXDOMAIN = 3


def coredns(service, family):
    """By one query over TCP, where no answer is cut."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in f"{service}.svc.{DOMAIN}".split(".")) + b"\0"
    query = struct.pack("!6H", 0x4b38, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", _TYPE[family], 1)
    try:
        with socket.create_connection((sandbox.DNS_SERVER, 53), timeout=1) as channel:
            channel.sendall(struct.pack("!H", len(query)) + query)
            answer = _read(channel, struct.unpack("!H", _read(channel, 2))[0])
    except OSError as error:
        return type(error).__name__
    status, n_answers = answer[3] & 15, struct.unpack_from("!H", answer, 6)[0]
    if status not in (0, _NXDOMAIN):
        return f"RCODE {status}"
    return frozenset(_addresses(answer, 12 + len(name) + 4, n_answers, _TYPE[family]))


def _read(channel, n):
    data = b""
    while len(data) < n:
        piece = channel.recv(n - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def _addresses(answer, at, count, wanted):
    for _ in range(count):
        while answer[at] and answer[at] < 0xc0:  # the owner's name: labels, then an end or a pointer
            at += answer[at] + 1
        at += 2 if answer[at] else 1
        kind, _, _, length = struct.unpack_from("!2HIH", answer, at)
        at += 10 + length
        if kind == wanted:
            yield socket.inet_ntop(_AF[kind], answer[at - length:at])


def table(api):
    """@api: harness.api.Api(). That there is no endpoint is an answer, any other error is none."""
    def look(service, family):
        found = api.lookup(service, family)
        if found == "ENODATA":
            return frozenset()
        return found if isinstance(found, str) else frozenset(found)
    return look
