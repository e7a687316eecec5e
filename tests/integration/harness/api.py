"""Lookups by the C API, through the shared library as a program has it, in the test's own process."""

import ctypes
import errno
import os
import socket


class _Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint8), ("flags", ctypes.c_uint8), ("port", ctypes.c_uint16),
                ("addr", ctypes.c_uint8 * 16)]


_FAMILY = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class Api:
    """A handle of libk8shsvc; to be made in the sandbox."""

    def __init__(self):
        self._library = ctypes.CDLL(os.environ["K8SHSVC_TEST_LIBRARY"])
        self._handle = ctypes.c_void_p()
        result = self._library.k8shsvc_open(ctypes.byref(self._handle))
        assert result == 0, f"k8shsvc_open: {result}"

    def lookup(self, target, family="any"):
        """{address: port} of a target; or the name of the error, "ENOENT"."""
        found = self.endpoints(target, family)
        return found if isinstance(found, str) else dict(found)

    def endpoints(self, target, family="any"):
        """The same as a list of (address, port), in serving order: an address may be that of several pods."""
        found = (_Address * 10000)()
        count = ctypes.c_size_t()
        result = self._library.k8shsvc_lookup(self._handle, target.encode(), _FAMILY[family], found,
                                              ctypes.c_size_t(len(found)), ctypes.byref(count))
        if result < 0:
            return errno.errorcode[-result]
        return [(socket.inet_ntop(a.family, bytes(a.addr)[:4 if a.family == socket.AF_INET else 16]), a.port)
                for a in found[:count.value]]

    def wait(self, name, token, timeout_ms):
        """A new token of a name, or of the whole table (None), once it is another one; or the name of the error."""
        value = ctypes.c_uint64(token)
        result = self._library.k8shsvc_wait(self._handle, name.encode() if name else None, ctypes.byref(value), timeout_ms)
        return errno.errorcode[-result] if result < 0 else value.value
