"""The no-op module, as it is to answer: tests/bench/nss-noop.c keeps its answers in a table that can be overwritten."""

import contextlib
import ipaddress
import os
import shutil
import struct

from . import sandbox

_MAGIC = b"k8shsvc-no-op".ljust(16, b"\0")
_N_ANSWERS, _N_ADDRESSES = 32, 64  # nss-noop.c
INSTALLED = f"{sandbox.LIB}/libnss_noop.so.2"

# So many answers it can give in turn.
ANSWERS = _N_ANSWERS


def write(answers, path):
    """Writes a copy of it that gives these answers, lists of IPv4 addresses, in turn."""
    with open(os.environ["K8SHSVC_TEST_NOOP"], "rb") as file:
        module = file.read()
    at = module.index(_MAGIC)
    assert module.find(_MAGIC, at + 1) < 0, "the no-op module has two tables of answers"
    assert 1 <= len(answers) <= _N_ANSWERS and max(map(len, answers)) <= _N_ADDRESSES
    table = _MAGIC + struct.pack("=I", len(answers))
    table += b"".join(struct.pack("=I", len(addresses)) for addresses in answers).ljust(4 * _N_ANSWERS, b"\0")
    for addresses in answers:
        packed = b"".join(ipaddress.IPv4Address(address).packed for address in addresses)
        table += packed.ljust(4 * _N_ADDRESSES, b"\0")
    sandbox.write(path, module[:at] + table + module[at + len(table):])


@contextlib.contextmanager
def answering(answers):
    """Meanwhile the one that is installed gives these answers."""
    write(answers, INSTALLED)
    try:
        yield
    finally:
        shutil.copy(os.environ["K8SHSVC_TEST_NOOP"], INSTALLED)
