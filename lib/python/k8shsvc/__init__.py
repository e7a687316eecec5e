"""The pods of headless Kubernetes services, from the table in shared memory that k8shsvcd keeps.

    for e in k8shsvc.endpoints("user-svc.default:8080"):
        print(e.address, e.port, e.host)

    family, address = k8shsvc.pick("user-svc.default:8080")

    for endpoints in k8shsvc.watch("user-svc.default"):          # now, and after each change
        ...
    async for endpoints in k8shsvc.watch("user-svc.default"):
        ...

A name is one that getaddrinfo() takes, or a target with a port: "user-svc", "user-svc.default:8080",
"user-svc.default:grpc", "web.default:3000+", "kubernetes://default/user-svc:8080". k8shsvc(3) has all forms. No call but
watch() blocks or sends a query. All of them may be used by any thread, and in forked children.

Needs libk8shsvc.so.0.
"""

import asyncio
import ctypes
import errno
import functools
import ipaddress
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import List, NamedTuple, Optional, Tuple, Union

from . import _library
from ._library import Error

__all__ = ["Endpoint", "Error", "Port", "Service", "Watch", "endpoints", "get_endpoints", "info", "lookup", "pick",
           "report", "reverse", "services", "watch"]

_STATES = ("pending", "fresh", "stale", "empty", "expired")
_SOURCES = (None, "dns", "kubernetes", "static")
_REASONS = (None, "timeout", "refused", "servfail", "nxdomain", "nodata", "foreign", "malformed", "truncated", "filtered",
            "no-server", "restart", "tls", "unauthorized", "forbidden", "api", "no-slice", "none-ready")
_PROTOCOLS = {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_UDP: "UDP", 132: "SCTP"}

_SLICE_MS = 500  # of a wait: how long an iteration that was given up keeps its thread


class Port(NamedTuple):
    name: Optional[str]
    number: int
    protocol: str


class Endpoint(NamedTuple):
    """What is known of an endpoint; None: unknown."""

    address: str
    port: int  # the target's, else the service's default; 0: unknown
    host: Optional[str]
    ordinal: Optional[int]
    node: Optional[str]
    zone: Optional[str]
    ready: bool
    serving: bool
    terminating: bool
    near: bool
    ports: Tuple[Port, ...]


class Service(NamedTuple):
    """What is known of a service. A state, source or reason that this version has no word for is a number."""

    name: str
    state: Union[str, int]
    source: Union[str, int, None]
    reason: Union[str, int, None]
    age: float  # of the state, in seconds
    n_endpoints: int
    version: int
    generation: int
    ttl: int
    port: int


@functools.lru_cache(maxsize=None)
def _lib() -> _library.Library:
    return _library.Library()


def _word(words: Tuple[Optional[str], ...], number: int) -> Union[str, int, None]:
    return words[number] if number < len(words) else number


def _address(addr: _library.Addr) -> str:
    return socket.inet_ntop(addr.family, bytes(addr.addr)[:4 if addr.family == socket.AF_INET else 16])


# ---- endpoints ----


class _Buffer:
    """What k8shsvc_endpoints() filled."""

    def __init__(self, data: "ctypes.Array[ctypes.c_char]", count: int) -> None:
        self._data = data
        self._count = count

    def _text(self, offset: int) -> Optional[str]:
        if offset == 0:
            return None
        return ctypes.string_at(ctypes.addressof(self._data) + offset).decode(errors="replace")

    def _ports(self, row: _library.Endpoint) -> Tuple[Port, ...]:
        ports = (_library.Port * row.n_ports).from_buffer(self._data, row.ports)
        return tuple(Port(self._text(p.name), p.number, _PROTOCOLS.get(p.protocol, str(p.protocol))) for p in ports)

    def _endpoint(self, row: _library.Endpoint) -> Endpoint:
        return Endpoint(
            address=_address(row.addr), port=row.addr.port, host=self._text(row.host),
            ordinal=None if row.ordinal == _library.NO_ORDINAL else row.ordinal, node=self._text(row.node),
            zone=self._text(row.zone), ready=bool(row.conditions & _library.READY),
            serving=bool(row.conditions & _library.SERVING),
            terminating=bool(row.conditions & _library.TERMINATING), near=bool(row.conditions & _library.NEAR),
            ports=self._ports(row))

    def endpoints(self) -> List[Endpoint]:
        return [self._endpoint(row) for row in (_library.Endpoint * self._count).from_buffer(self._data)]


def endpoints(name: str, family: int = socket.AF_UNSPEC) -> List[Endpoint]:
    """All that is known of every endpoint of a service, in the order of the table; no turn is taken."""
    n_bytes, count = ctypes.c_size_t(16384), ctypes.c_size_t()
    while True:
        data = ctypes.create_string_buffer(n_bytes.value)
        result = _lib().call("endpoints", _library.name_bytes(name), family, ctypes.sizeof(_library.Endpoint), data,
                             ctypes.byref(n_bytes), ctypes.byref(count))
        if result != -errno.ENOBUFS:
            break
    _lib().check(result, name)
    return _Buffer(data, count.value).endpoints()


def lookup(name: str, family: int = socket.AF_UNSPEC) -> List[Tuple[str, int]]:
    """(address, port) of every endpoint that is served, in serving order; takes a turn of the rotation."""
    count = ctypes.c_size_t(64)
    while True:
        room = count.value
        found = (_library.Addr * room)()
        result = _lib().call("lookup", _library.name_bytes(name), family, found, room, ctypes.byref(count))
        if result != -errno.ENOBUFS:
            break
    _lib().check(result, name)
    return [(_address(a), a.port) for a in found[:count.value]]


def get_endpoints(namespace: Optional[str], service: str, port_base: int) -> List[str]:
    """Texts "address:port" of every pod with an ordinal: its port is port_base + ordinal. None: the own namespace."""
    if not 0 < port_base < 65536:
        raise Error(errno.EINVAL, "not a port", str(port_base))
    ns = _library.name_bytes(namespace) if namespace is not None else None
    count, left_out = ctypes.c_size_t(64), ctypes.c_size_t()
    while True:
        room = count.value
        texts = (ctypes.c_char * _library.HOSTPORT_MAX * room)()
        result = _lib().call("get_endpoints", ns, _library.name_bytes(service), port_base, texts, room,
                             ctypes.byref(count), ctypes.byref(left_out))
        if result != -errno.ENOBUFS:
            break
    _lib().check(result, service)
    return [text.value.decode() for text in texts[:count.value]]


# ---- one to connect to ----


def pick(name: str, family: int = socket.AF_UNSPEC) -> Tuple[socket.AddressFamily, Tuple[str, int]]:
    """(family, (address, port)) of the endpoint whose turn it is, but for those that were reported lately:

    family, address = k8shsvc.pick("user-svc.default:8080")
    socket.socket(family).connect(address)
    """
    data, n_addr = ctypes.create_string_buffer(128), ctypes.c_uint32()
    _lib().check(_lib().call("pick", _library.name_bytes(name), family, data, ctypes.byref(n_addr)), name)
    found = socket.AddressFamily(int.from_bytes(data.raw[:2], sys.byteorder))
    port = int.from_bytes(data.raw[2:4], "big")
    packed = data.raw[4:8] if found == socket.AF_INET else data.raw[8:24]
    return found, (socket.inet_ntop(found, packed), port)


def report(address: Tuple[str, int], failed: bool = True) -> None:
    """The next picks pass over an address that failed for ten seconds; one that works is no longer passed over."""
    ip = ipaddress.ip_address(address[0])
    six = ip.version == 6
    data = (socket.AF_INET6 if six else socket.AF_INET).to_bytes(2, sys.byteorder) + address[1].to_bytes(2, "big")
    data += bytes(4) + ip.packed + bytes(4) if six else ip.packed + bytes(8)
    _lib().check(_lib().call("report", data, len(data), int(failed)), address[0])


# ---- services ----


def _service(row: _library.Info) -> Service:
    state = _word(_STATES, row.state)
    return Service(
        name=row.service.decode(errors="replace"), state=row.state if state is None else state, source=_word(_SOURCES, row.source),
        reason=_word(_REASONS, row.reason), age=row.age_ms / 1000, n_endpoints=row.n_endpoints, version=row.version,
        generation=row.generation, ttl=row.ttl_s, port=row.port)


def info(name: str) -> Service:
    """What is known of a service in any state."""
    row = _library.Info()
    _lib().check(_lib().call("info", _library.name_bytes(name), ctypes.sizeof(row), ctypes.byref(row)), name)
    return _service(row)


def services() -> List[Service]:
    """All registered services, by name."""
    found: List[Service] = []

    def each(row: "ctypes._Pointer[_library.Info]", _user: object) -> int:
        found.append(_service(row.contents))
        return 0

    _lib().check(_lib().call("list", ctypes.sizeof(_library.Info), _library.EACH(each), None))
    return sorted(found, key=lambda service: service.name)


def reverse(address: str) -> str:
    """The name of the pod that has an address; needs `reverse = yes`."""
    ip = ipaddress.ip_address(address)
    name = ctypes.create_string_buffer(_library.NAME_MAX)
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    _lib().check(_lib().call("reverse", family, ip.packed, name, len(name)), address)
    return name.value.decode()


# ---- changes ----


class Watch:
    """The endpoints of a service now, and after each change, as an iterator and as an asynchronous one.

    An empty list where it has none or is not registered. While its endpoints are not known, because it was never resolved
    or there is no table, the iterator waits. Changes in quick succession are reported as one.
    """

    def __init__(self, name: str, family: int) -> None:
        self._name = name
        self._family = family
        self._token = 0
        self._executor: Optional[ThreadPoolExecutor] = None
        self._executor_pid = 0

    def _wait(self) -> int:
        """A while at most. Returns the new token, or the one that is known."""
        token = ctypes.c_uint64(self._token)
        result = _lib().call("wait", _library.name_bytes(self._name), ctypes.byref(token), _SLICE_MS)
        if result not in (0, -errno.ETIMEDOUT, -errno.EINTR):
            _lib().check(result, self._name)
        return token.value

    def _take(self, token: int) -> Optional[List[Endpoint]]:
        """The endpoints, if there is something new."""
        if token == self._token:
            return None
        self._token = token
        try:
            return endpoints(self._name, self._family)
        except Error as error:
            if error.errno in (errno.ENODATA, errno.ENOENT):
                return []
            if error.errno in (errno.ESTALE, errno.ENOTCONN):
                return None
            raise

    def __iter__(self) -> "Watch":
        return self

    def __next__(self) -> List[Endpoint]:
        while True:
            found = self._take(self._wait())
            if found is not None:
                return found

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> List[Endpoint]:
        # A thread of its own: those of the loop are few, and may be waited for elsewhere. A forked child lacks it.
        if self._executor_pid != os.getpid():
            self._executor = ThreadPoolExecutor(1, "k8shsvc")
            self._executor_pid = os.getpid()
        loop = asyncio.get_running_loop()
        while True:
            # Cancelled here, the token stays what it was: the next call reports the change.
            found = self._take(await loop.run_in_executor(self._executor, self._wait))
            if found is not None:
                return found

    def __del__(self) -> None:
        executor = getattr(self, "_executor", None)
        if executor is not None and self._executor_pid == os.getpid():
            executor.shutdown(wait=False)


def watch(name: str, family: int = socket.AF_UNSPEC) -> Watch:
    """Follows a service: see Watch."""
    return Watch(name, family)
