"""libk8shsvc.so.0 as ctypes sees it: k8shsvc.h, in other words."""

import ctypes
import errno
from typing import Optional

NO_ORDINAL = 0xFFFFFFFF
READY, SERVING, TERMINATING, NEAR = 1, 2, 4, 8
HOSTPORT_MAX = 56
NAME_MAX = 600


class Addr(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint8), ("flags", ctypes.c_uint8), ("port", ctypes.c_uint16),
                ("addr", ctypes.c_uint8 * 16)]


class Port(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint16), ("protocol", ctypes.c_uint8), ("reserved", ctypes.c_uint8),
                ("name", ctypes.c_uint32)]


class Endpoint(ctypes.Structure):
    _fields_ = [("addr", Addr), ("ordinal", ctypes.c_uint32), ("conditions", ctypes.c_uint16),
                ("n_ports", ctypes.c_uint16), ("host", ctypes.c_uint32), ("node", ctypes.c_uint32),
                ("zone", ctypes.c_uint32), ("ports", ctypes.c_uint32)]


class Info(ctypes.Structure):
    _fields_ = [("service", ctypes.c_char * 256), ("age_ms", ctypes.c_uint64), ("n_endpoints", ctypes.c_uint32),
                ("n_ipv4", ctypes.c_uint32), ("n_ipv6", ctypes.c_uint32), ("version", ctypes.c_uint32),
                ("generation", ctypes.c_uint32), ("ttl_s", ctypes.c_uint32), ("answers", ctypes.c_uint16),
                ("port", ctypes.c_uint16), ("port_base", ctypes.c_uint16), ("order", ctypes.c_uint8),
                ("family", ctypes.c_uint8), ("state", ctypes.c_uint8), ("reason", ctypes.c_uint8),
                ("source", ctypes.c_uint8), ("flags", ctypes.c_uint8), ("reserved", ctypes.c_uint8 * 4)]


assert (ctypes.sizeof(Addr), ctypes.sizeof(Port), ctypes.sizeof(Endpoint), ctypes.sizeof(Info)) == (20, 8, 44, 304)

EACH = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_void_p)

_HANDLE, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_BUFFER, _SIZE_P = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
_CALLS = {
    "open": [ctypes.POINTER(_HANDLE)],
    "lookup": [_HANDLE, _TEXT, _INT, _BUFFER, _SIZE, _SIZE_P],
    "pick": [_HANDLE, _TEXT, _INT, _BUFFER, ctypes.POINTER(ctypes.c_uint32)],
    "report": [_HANDLE, _BUFFER, ctypes.c_uint32, _INT],
    "endpoints": [_HANDLE, _TEXT, _INT, _SIZE, _BUFFER, _SIZE_P, _SIZE_P],
    "get_endpoints": [_HANDLE, _TEXT, _TEXT, ctypes.c_uint16, _BUFFER, _SIZE, _SIZE_P, _SIZE_P],
    "info": [_HANDLE, _TEXT, _SIZE, _BUFFER],
    "list": [_HANDLE, _SIZE, EACH, ctypes.c_void_p],
    "reverse": [_HANDLE, _INT, _BUFFER, _TEXT, _SIZE],
    "wait": [_HANDLE, _TEXT, ctypes.POINTER(ctypes.c_uint64), _INT],
}


class Error(OSError):
    """What the library says of a call; `errno` tells which:

    ENOENT not registered, ENODATA no endpoint, ESTALE never resolved or too old, ENOTCONN no usable table or no
    living daemon, EOPNOTSUPP no index of addresses, EINVAL a malformed target.
    """


class Library:
    """The shared library and a handle, for the life of the process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libk8shsvc.so.0")
        self._library.k8shsvc_strerror.restype = ctypes.c_char_p
        self._library.k8shsvc_strerror.argtypes = [ctypes.c_int]
        for name, arguments in _CALLS.items():
            function = getattr(self._library, "k8shsvc_" + name)
            function.restype = ctypes.c_int
            function.argtypes = arguments
        self._handle = ctypes.c_void_p()
        self.check(self._library.k8shsvc_open(ctypes.byref(self._handle)))

    def call(self, name: str, *arguments: object) -> int:
        """What a function returns that takes the handle first."""
        return int(getattr(self._library, "k8shsvc_" + name)(self._handle, *arguments))

    def check(self, result: int, about: Optional[str] = None) -> None:
        if result < 0:
            raise Error(-result, self._library.k8shsvc_strerror(result).decode(), about)


def name_bytes(name: str) -> bytes:
    """A name as the library takes it; one with a NUL would end there."""
    if "\0" in name:
        raise Error(errno.EINVAL, "a name with a NUL", name)
    return name.encode()
