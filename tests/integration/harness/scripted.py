"""A DNS server that does what a test tells it to, for faults that no real server produces.

One thread, UDP and TCP on one address. What it does with a question is decided by a script: a function
of (server, question) that replies, hangs up or keeps silent. Names without a script are answered from
`zone`, as an authoritative server would: {"user-svc.default": (["10.1.0.1"], 5)}.

Everything that was asked is in `log`, in order.
"""

import queue
import random
import selectors
import socket
import struct
import threading
import time

from . import sandbox
from .dns import ZONE

A, CNAME, SOA, AAAA, OPT = 1, 5, 6, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
MESSAGE_MAX = 65535
POINTER_TO_NAME = b"\xc0\x0c"  # to the name of the question


def wire(name):
    """user.default -> its labels with their lengths."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def service_name(service):
    return f"{service}.svc.{ZONE}"


class Question:
    """One question as it came, and the ways to react to it."""

    def __init__(self, packet, transport, channel, peer, connection):
        self.at = time.monotonic()
        self.packet, self.transport, self.peer, self.connection = packet, transport, peer, connection
        self._channel = channel
        self.id, self.flags, _, _, _, n_additional = struct.unpack_from("!6H", packet)
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]])
            at += 1 + packet[at]
        self.text = b".".join(labels).decode()  # in the case that it came in
        self.name = self.text.lower()
        self.wire = packet[12:at + 1]
        self.type, self.klass = struct.unpack_from("!2H", packet, at + 1)
        self.question = packet[12:at + 5]
        self.edns = None  # the size that the client takes
        self.options = b""  # what else its OPT record says
        if n_additional and packet[at + 5:at + 8] == b"\0" + struct.pack("!H", OPT):
            self.edns = struct.unpack_from("!H", packet, at + 8)[0]
            self.options = packet[at + 16:]

    @property
    def service(self):
        """user-svc.default, or None for other names."""
        tail = f".svc.{ZONE}"
        return self.name[:-len(tail)] if self.name.endswith(tail) else None

    def reply(self, message):
        try:
            if self.transport == "udp":
                self._channel.sendto(message, self.peer)
            else:
                self._channel.sendall(struct.pack("!H", len(message)) + message)
        except OSError:
            pass  # the client is gone

    def reply_raw(self, data):
        """TCP: bytes without a length in front of them."""
        try:
            self._channel.sendall(data)
        except OSError:
            pass

    def reply_from(self, address, message):
        """UDP: an answer from another address than the one that was asked."""
        with socket.socket(self._channel.family, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(address)
            other.sendto(message, self.peer)

    def hang_up(self):
        """TCP: ends the connection; what the client sent before is lost."""
        if self.transport == "udp":
            return
        try:
            self._channel.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


# ---- messages ----

def record(owner, kind, ttl, data, klass=1):
    return owner + struct.pack("!2HIH", kind, klass, ttl & 0xffffffff, len(data)) + data


def address_record(address, ttl, owner=POINTER_TO_NAME):
    six = ":" in address
    return record(owner, AAAA if six else A, ttl, socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address))


def soa_record(zone=ZONE, ttl=5, minimum=5):
    return record(wire(zone), SOA, ttl, wire(f"ns.{zone}") + wire(f"hostmaster.{zone}") +
                  struct.pack("!5I", 1, 7200, 1800, 86400, minimum))


def message(question, answers=(), authority=(), rcode=NOERROR, truncated=False, ident=None, asked=None, n_answers=None,
            cached=False):
    """A reply to the question; what is given replaces what is right."""
    flags = 0x8180 | rcode | (0x0200 if truncated else 0) | (0 if cached else 0x0400)
    header = struct.pack("!6H", question.id if ident is None else ident, flags, 1,
                         len(answers) if n_answers is None else n_answers, len(authority), 0)
    return header + (question.question if asked is None else asked) + b"".join(answers) + b"".join(authority)


def addresses(question, texts, ttl=5, **options):
    """The answer of an honest server: those of the family that was asked for."""
    family = [text for text in texts if (":" in text) == (question.type == AAAA)]
    if not family or question.type not in (A, AAAA):
        return message(question, authority=[soa_record()], **options)
    return message(question, [address_record(text, ttl) for text in family], **options)


def nxdomain(question, zone=ZONE):
    return message(question, authority=[soa_record(zone)] if zone is not None else [], rcode=NXDOMAIN)


# ---- the server ----

class Server:
    def __init__(self, address=sandbox.DNS_SERVER, port=53, udp=True, tcp=True):
        self.address, self.port = address, port
        self.zone = {}
        self.scripts = {}  # of services: {"user-svc.default": function(server, question)}
        self.script = None  # of all names, before those
        self.on_accept = None  # function(server, connection number) -> False to close it at once
        self.log = []
        self.n_questions = self.n_connections = 0
        self._sockets = {}
        self._connections = {}
        self._later = []
        self._jobs = queue.Queue()
        self._selector = selectors.DefaultSelector()
        self._wake, wake = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ, lambda: wake.recv(4096))
        threading.Thread(target=self._run, daemon=True).start()
        self.listen(udp, tcp)

    # ---- told by the test ----

    def listen(self, udp=True, tcp=True):
        """Opens and closes sockets: a closed port refuses."""
        self.do(lambda: (self._set("udp", udp), self._set("tcp", tcp)))

    def close(self):
        self.listen(False, False)

    def do(self, function):
        """Runs in the server's thread, between two questions; returns or raises what it does."""
        done = queue.Queue()
        self._jobs.put((function, done))
        self._wake.send(b"x")
        result, error = done.get(timeout=60)
        if error:
            raise error
        return result

    def later(self, seconds, function):
        """For scripts: runs in the server's thread after a while."""
        self._later.append((time.monotonic() + seconds, function))

    def hang_up_all(self):
        """Closes the connections that are open; new ones are welcome."""
        self.do(lambda: [self._close(c) for c in list(self._connections)])

    def asked(self, service=None, since=0.0, transport=None, kind=None, probes=False):
        """What was asked. @probes: also whether the server has the cluster's SOA"""
        return [q for q in list(self.log) if q.at >= since and (service is None or q.service == service) and
                (transport is None or q.transport == transport) and (kind is None or q.type == kind) and
                (probes or q.type != SOA)]

    def answer(self, question):
        """What an honest server with this zone says; scripts fall back on it."""
        if question.name == ZONE:
            return message(question, [soa_record()] if question.type == SOA else [], [soa_record()])
        if question.service not in self.zone:
            return nxdomain(question)
        texts, ttl = self.zone[question.service]
        reply = addresses(question, texts, ttl)
        if question.transport == "udp" and len(reply) > max(question.edns or 512, 512):
            return message(question, truncated=True)
        return reply if len(reply) <= MESSAGE_MAX else message(question, rcode=SERVFAIL)

    # ---- in its thread ----

    def _run(self):
        while True:
            now = time.monotonic()
            due = [item for item in self._later if item[0] <= now]
            self._later = [item for item in self._later if item[0] > now]
            for _, function in due:
                function()
            timeout = min((at for at, _ in self._later), default=now + 3600) - time.monotonic()
            for key, _ in self._selector.select(max(0, timeout)):
                key.data()
            self._run_jobs()

    def _run_jobs(self):
        while not self._jobs.empty():
            function, done = self._jobs.get()
            try:
                done.put((function(), None))
            except Exception as error:  # noqa: it is the caller's
                done.put((None, error))

    def _set(self, transport, wanted):
        channel = self._sockets.pop(transport, None)
        if channel and wanted:
            self._sockets[transport] = channel
            return
        if channel:
            self._selector.unregister(channel)
            channel.close()
            for connection in list(self._connections) if transport == "tcp" else []:
                self._close(connection)
        if wanted:
            self._sockets[transport] = self._open(transport)

    def _open(self, transport):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        channel = socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        if transport == "tcp":
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        channel.bind(socket.getaddrinfo(self.address, self.port, family, channel.type)[0][4])  # with the scope
        if transport == "tcp":
            channel.listen(64)
        ready = (lambda: self._on_udp(channel)) if transport == "udp" else (lambda: self._on_accept(channel))
        self._selector.register(channel, selectors.EVENT_READ, ready)
        return channel

    def _on_udp(self, channel):
        packet, peer = channel.recvfrom(4096)
        if len(packet) > 12:
            self._on_question(Question(packet, "udp", channel, peer, 0))

    def _on_accept(self, listener):
        connection, peer = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.n_connections += 1
        number = self.n_connections
        if self.on_accept and self.on_accept(self, number) is False:
            connection.close()
            return
        self._connections[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._on_tcp(connection, peer, number))

    def _on_tcp(self, connection, peer, number):
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        buffer = self._connections[connection]
        buffer += data
        while len(buffer) >= 2:
            size = struct.unpack_from("!H", buffer)[0]
            if len(buffer) < 2 + size:
                break
            packet = bytes(buffer[2:2 + size])
            del buffer[:2 + size]
            self._on_question(Question(packet, "tcp", connection, peer, number))

    def _close(self, connection):
        if connection in self._connections:
            del self._connections[connection]
            self._selector.unregister(connection)
            connection.close()

    def _on_question(self, question):
        self.log.append(question)
        self.n_questions += 1
        script = self.script or self.scripts.get(question.service)
        if script:
            script(self, question)
        else:
            question.reply(self.answer(question))


def silent(server, question):
    """A script: no answer."""


def one_in(n, often, seldom):
    """A script: `seldom` for one question of n at random, but never twice running; else `often`."""
    last = [False]

    def script(server, question):
        last[0] = not last[0] and random.randrange(n) == 0
        (seldom if last[0] else often)(server, question)
    return script
