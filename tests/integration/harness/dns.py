"""A real authoritative DNS server (knot) with the zones of a small cluster and dynamic updates.

The zone's content is kept here too, so that a server that was stopped comes back with all of it.
"""

import os
import signal
import socket
import struct
import subprocess

from . import sandbox

ZONE = "cluster.local"
OTHER_ZONE = "example.test"

_CONFIG = """\
server:
    rundir: "{home}"
    listen: {address}@53
    user: root:root
    tcp-workers: 1
    udp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{home}"
acl:
  - id: any
    action: [update]
template:
  - id: default
    storage: "{home}"
    file: "%s.zone"
    zonefile-load: whole
    # Never written back: with the default, commits have been seen to crash knot 3.2.
    zonefile-sync: -1
    journal-content: none
    acl: any
zone:
"""


def service_name(service, zone=ZONE):
    """user.default -> user.default.svc.cluster.local."""
    return f"{service}.svc.{zone}."


class Server:
    def __init__(self, address=sandbox.DNS_SERVER, home=f"{sandbox.HOME}/knot", more_zones=()):
        self.address = address
        self.home = home
        self._records = {zone: {} for zone in (ZONE, OTHER_ZONE, *more_zones)}
        self._process = None
        self._serial = 1
        os.makedirs(home, exist_ok=True)
        sandbox.write(f"{home}/server.conf", self._configuration())

    # ---- the server's life ----

    def start(self):
        for zone, records in self._records.items():
            sandbox.write(f"{self.home}/{zone}.zone", zone_file(zone, records, self._serial))
        with open(f"{self.home}/log", "ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        sandbox.wait_until(lambda: all(answers(self.address, zone) for zone in self._records), 20,
                           f"{self._command()[0]} answers for its zones")
        return self

    def _configuration(self):
        return _CONFIG.format(home=self.home, address=self.address) + \
            "".join(f"  - domain: {zone}\n" for zone in self._records)

    def _command(self):
        return ["knotd", "-c", f"{self.home}/server.conf"]

    def stop(self):
        """The port is closed then: queries are refused at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self):
        """The port stays open then, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self):
        return self._process is not None

    # ---- its content ----

    def set(self, name, addresses, ttl=1, zone=ZONE):
        """Makes these the A and AAAA records of an absolute name, in one update."""
        self.set_records(name, {(("AAAA" if ":" in a else "A"), a) for a in addresses}, ttl, zone)

    def set_records(self, name, new, ttl=1, zone=ZONE):
        """Makes these, {(type, data)}, the records of an absolute name, in one update."""
        old_ttl, old = self._records[zone].get(name, (ttl, set()))
        self._records[zone][name] = (ttl, new)
        if not self.running:
            return
        if ttl != old_ttl:
            removed, added = old, new
        else:
            removed, added = old - new, new - old
        self._update(zone, name, ttl, removed, added)

    def _update(self, zone, name, ttl, removed, added):
        lines = [f"server {self.address}", f"zone {zone}."]
        lines += [f"del {name} {kind} {data}" for kind, data in sorted(removed)]
        lines += [f"add {name} {ttl} {kind} {data}" for kind, data in sorted(added)]
        sandbox.run("knsupdate", input="\n".join(lines + ["send", "answer", ""]))

    def set_service(self, service, addresses, ttl=1):
        self.set(service_name(service), addresses, ttl)


class CoreDns(Server):
    """The same with CoreDNS's file plugin, behind the plugins of clusters."""

    def __init__(self, program, address=sandbox.DNS_SERVER, home=f"{sandbox.HOME}/coredns", more_zones=()):
        self._program = program
        super().__init__(address, home, more_zones)

    def _configuration(self):
        return "".join(f"{zone}:53 {{\n bind {self.address}\n cache 30\n loadbalance\n"
                       f" file {self.home}/{zone}.zone {{\n reload 1s\n }}\n}}\n" for zone in self._records)

    def _command(self):
        return [self._program, "-conf", f"{self.home}/server.conf"]

    def _update(self, zone, *_):
        self._serial += 1
        sandbox.write(f"{self.home}/{zone}.zone", zone_file(zone, self._records[zone], self._serial))


def zone_file(zone, records, serial=1):
    lines = [f"$ORIGIN {zone}.",
             f"@ 5 SOA ns.{zone}. hostmaster.{zone}. {serial} 7200 1800 86400 1",
             f"@ 5 NS ns.{zone}.",
             f"ns.{zone}. 5 A {sandbox.DNS_SERVER}"]
    for name, (ttl, content) in records.items():
        lines += [f"{name} {ttl} {kind} {data}" for kind, data in sorted(content)]
    return "".join(line + "\n" for line in lines)


def ask(address, name, kind=1):
    """The server's reply to one question by UDP: by hand, no resolver involved. None: there is none."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack("!6H", 0x4b38, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0.2)
        try:
            channel.connect((address, 53))
            channel.send(query)
            answer = channel.recv(4096)
        except OSError:
            return None
    return answer if len(answer) > 12 else None


def answers(address, zone, with_soa=True):
    """Whether the server answers for the zone."""
    answer = ask(address, zone, 6)
    return answer is not None and answer[3] & 15 == 0 and (answer[7] > 0 or not with_soa)


def says(address, name, text):
    """Whether the server gives the name this IPv4 address."""
    return socket.inet_aton(text) in (ask(address, name) or b"")
