"""Host names, ordinals and named ports of pods, from SRV and PTR records: what programs get for them.

knot answers with SRV and additional addresses, with SRV of named ports alone, with PTR alone, or with none of
these; CoreDNS, by its file plugin and behind its cache, with the same zones.
"""

import sys
import time

from harness import api, daemon, dns, lab, lookup, outside, sandbox, tap

suite = tap.Suite()

ARPA4, ARPA6 = "244.10.in-addr.arpa", "4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa"
DOMAIN = "svc.cluster.local"
SEARCH = "default.svc.cluster.local svc.cluster.local cluster.local"
# Their SRV records fit a message and all their addresses do not (knot would say SERVFAIL); neither fits.
LARGE, LARGER = 1000, 1500

CONFIG = """
[daemon]
source = dns
refresh-min = 500ms
refresh-max = 1s
query-rate = 5000
[service web.default]
hosts = yes
answers = all
[service grpc.default]
port = grpc dns/udp 8080
[service mixed.default]
port = 8080 grpc
[service plain.default]
hosts = yes
answers = all
[service ptr.default]
hosts = yes
answers = all
[service bare.default]
hosts = yes
[service off.default]
port = grpc
hosts = no
[service auto.default]
port = 8080
[service shared.default]
port = 3000+
answers = all
[service huge.default]
hosts = yes
[service large.default]
hosts = yes
answers = all
[service growing.default]
hosts = yes
"""


class Pods:
    """The records of one service: {host: [addresses]}; a port is {host: number}, or one number for all."""

    def __init__(self, server, service, srv=True, ptr=False, ports=None):
        self.server, self.service, self.srv, self.ptr, self.ports = server, service, srv, ptr, ports or {}
        self.name = f"{service}.{DOMAIN}."
        self._names = set()

    def _srv(self, pods, numbers):
        of = numbers if isinstance(numbers, dict) else {host: numbers for host in pods}
        return {("SRV", f"0 10 {of[host]} {host}.{self.name}") for host in pods if host in of}

    def set(self, pods):
        """Changes the zone; the service's own addresses come last."""
        records = {}
        for port, numbers in self.ports.items():
            records[f"{port}.{self.name}", dns.ZONE] = self._srv(pods, numbers)
        for host, addresses in pods.items():
            for address in addresses:
                kind = "AAAA" if ":" in address else "A"
                records.setdefault((f"{host}.{self.name}", dns.ZONE), set()).add((kind, address))
                if self.ptr:
                    records.setdefault(_reverse(address), set()).add(("PTR", f"{host}.{self.name}"))
        own = {("AAAA" if ":" in a else "A", a) for addresses in pods.values() for a in addresses}
        records[self.name, dns.ZONE] = own | (self._srv(pods, 80) if self.srv else set())
        for name, zone in self._names - set(records):
            self.server.set_records(name, set(), zone=zone)
        for (name, zone), content in records.items():
            self.server.set_records(name, content, zone=zone)
        self._names = set(records)


def _reverse(address):
    if ":" in address:
        nibbles = "".join(f"{int(part or '0', 16):04x}" for part in _expand(address))
        return ".".join(reversed(nibbles)) + ".ip6.arpa.", ARPA6
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa.", ARPA4


def _expand(address):
    left, _, right = address.partition("::")
    left, right = left.split(":"), right.split(":")
    return left + ["0"] * (8 - len(left) - len(right)) + right


def wait_pod(name, addresses, seconds=60):
    sandbox.wait_until(lambda: lookup.addresses(name) == set(addresses), seconds,
                       f"{name} is {addresses}; it is {lookup.resolve(name)}")


def wait_ports(target, ports, seconds=60):
    sandbox.wait_until(lambda: library.lookup(target) == ports, seconds,
                       f"{target} is {ports}; it is {library.lookup(target)}")


def gone(name):
    return bool(lookup.resolve(name).error)


# ---- names of pods ----

@suite.each("a pod's name as {0} programs write it", [
    ("most", "web-0.web.default.svc.cluster.local"),
    ("careful", "web-0.web.default.svc.cluster.local."),
    ("some", "web-0.web.default.svc"),
    ("many", "web-0.web.default"),
    ("a pod's", "web-0.web"),
    ("loud", "WEB-0.Web.DEFAULT.svc.cluster.local"),
])
def forms(_, name):
    wait_pod(name, WEB["web-0"])
    assert lookup.resolve(name, canon=True).canon == "web-0.web.default.svc.cluster.local"


@suite.test("each pod has its own addresses, in either family")
def each_pod():
    for host, addresses in WEB.items():
        wait_pod(f"{host}.web.default", addresses)
        for family, six in ("ipv4", False), ("ipv6", True):
            expected = {a for a in addresses if (":" in a) == six}
            assert lookup.addresses(f"{host}.web.default", family=family) == expected
    assert lookup.addresses("web.default") == {a for addresses in WEB.values() for a in addresses}


@suite.test("a pod without a host name is called by its address")
def dashed():
    wait_pod("10-244-0-30.plain.default", ["10.244.0.30"])
    wait_pod("fd00-10-244--1f.plain.default", ["fd00:10:244::1f"])
    wait_ports("plain.default:3000+", {"10.244.0.30": 0, "fd00:10:244::1f": 0})


@suite.test("a host that a service has not got is not asked of dns, once all of its hosts are known")
def unknown_host():
    wait_pod("web-0.web.default", WEB["web-0"])
    server.set("web-9.web.default.svc.cluster.local.", ["10.244.0.99"])
    sandbox.nsswitch("k8shsvc [NOTFOUND=return] dns")
    try:
        assert gone("web-9.web.default.svc.cluster.local"), "dns was asked"
        # of this one nothing but addresses is known
        assert lookup.addresses("x-0.bare.default.svc.cluster.local") == {"10.244.0.50"}, "dns was not asked"
        # and of this one nothing is to be learned
        assert lookup.addresses("x-0.auto.default.svc.cluster.local") == {"10.244.0.55"}, "dns was not asked"
    finally:
        sandbox.nsswitch("k8shsvc")
        server.set("web-9.web.default.svc.cluster.local.", [])


@suite.test("PTR names the pods where there is no SRV record, of IPv6 addresses, too")
def ptr_only():
    wait_pod("p-0.ptr.default", ["10.244.0.40", "fd00:10:244::28"])
    wait_pod("p-1.ptr.default", ["10.244.0.41"])
    wait_ports("ptr.default:3000+", {"10.244.0.40": 3000, "fd00:10:244::28": 3000, "10.244.0.41": 3001})


@suite.test("neither SRV nor PTR: the service is served, its pods' names go on to dns")
def neither():
    sandbox.wait_until(lambda: library.lookup("bare.default") == {"10.244.0.50": 0}, 20, "bare.default")
    assert gone("x-0.bare.default")


@suite.test("two pods of a StatefulSet on one node: each has its name and its port")
def shared_address():
    wait_pod("s-2.shared.default", ["10.244.0.72"])
    assert_shared()
    firsts = {library.endpoints("shared.default:3000+", family="ipv4")[0] for _ in range(30)}
    assert firsts == set(SHARED_PORTS[:3]), firsts
    assert set(lookup.getent("ahosts", "s-1.shared.default")[0]) == {"10.244.0.70", "fd00:10:244::46"}
    for name in "shared.default", "s-1.shared.default":
        answer = lookup.resolve(name).addresses
        assert len(set(answer)) == len(answer), f"getaddrinfo has an address twice: {answer}"
    sandbox.nsswitch("k8shsvc [NOTFOUND=return] dns")
    try:
        server.set("s-9.shared.default.svc.cluster.local.", ["10.244.0.99"])
        assert gone("s-9.shared.default.svc.cluster.local"), "dns was asked: not all hosts are known"
    finally:
        sandbox.nsswitch("k8shsvc")
        server.set("s-9.shared.default.svc.cluster.local.", [])


SHARED_PORTS = [("10.244.0.70", 3000), ("10.244.0.70", 3001), ("10.244.0.72", 3002),
                ("fd00:10:244::46", 3000), ("fd00:10:244::46", 3001)]


def assert_shared():
    for target in "shared.default", "shared.default:3000+":
        assert sorted(library.endpoints(target)) == SHARED_PORTS, library.endpoints(target)
    assert sorted(library.endpoints("shared.default:80")) == sorted({(address, 80) for address, _ in SHARED_PORTS})
    for i, addresses in enumerate(SHARED.values()):
        assert lookup.addresses(f"s-{i}.shared.default") == set(addresses)
    assert lookup.addresses("shared.default") == {address for address, _ in SHARED_PORTS}


# ---- ports ----

@suite.test("the number of a named port is each pod's own, and the service's default")
def named_port():
    expected = {"10.244.0.20": 9000, "10.244.0.21": 9001, "10.244.0.22": 0}
    wait_ports("grpc.default:grpc", expected)
    assert library.lookup("grpc.default") == expected
    assert library.lookup("kubernetes://default/grpc:grpc") == expected
    assert library.lookup("grpc.default:dns/udp") == {"10.244.0.20": 53, "10.244.0.21": 53, "10.244.0.22": 5353}
    assert set(library.lookup("grpc.default:dns").values()) == {0}, "dns by TCP is another port"
    assert set(library.lookup("grpc.default:8080").values()) == {8080}
    wait_pod("g-2.grpc.default", ["10.244.0.22"])


@suite.test("a number in front is the default, and a name behind it can be asked for")
def mixed_ports():
    wait_ports("mixed.default:grpc", {"10.244.0.25": 9000})
    assert library.lookup("mixed.default") == {"10.244.0.25": 8080}


@suite.test("base+ adds the ordinal of each pod, on the command line and in a lookup")
def base():
    expected = {"10.244.0.60": 3000, "10.244.0.61": 3001, "10.244.0.62": 3010}
    wait_ports("service-b.k8s-example2", expected)
    assert library.lookup("service-b.k8s-example2:3000+") == expected
    assert library.lookup("service-b.k8s-example2:100+") == {a: p - 2900 for a, p in expected.items()}
    assert library.lookup("service-b.k8s-example2:65530+") == {"10.244.0.60": 65530, "10.244.0.61": 65531, "10.244.0.62": 0}
    wait_pod("service-b-10.service-b.k8s-example2", ["10.244.0.62"])


@suite.test("hosts = no asks for no name; hosts = auto not where no port needs it")
def not_wanted():
    for service, port in ("off", 0), ("auto", 8080):
        assert set(library.lookup(f"{service}.default").values()) == {port}
        assert set(library.lookup(f"{service}.default:grpc").values()) == {0}
        assert gone(f"x-0.{service}.default")


@suite.test("a reload turns hosts on and off, and ports follow")
def reloaded():
    daemon.configure(CONFIG.replace("[service auto.default]\nport = 8080", "[service auto.default]\nport = grpc")
                     .replace("[service web.default]\nhosts = yes", "[service web.default]\nhosts = no"))
    running.reload()
    try:
        wait_ports("auto.default", {"10.244.0.55": 9000})
        wait_pod("x-0.auto.default", ["10.244.0.55"])
        sandbox.wait_until(lambda: gone("web-0.web.default"), 20, "web's hosts are forgotten")
        assert lookup.addresses("web.default") == {a for addresses in WEB.values() for a in addresses}
    finally:
        daemon.configure(CONFIG)
        running.reload()
    wait_pod("web-0.web.default", WEB["web-0"])
    sandbox.wait_until(lambda: gone("x-0.auto.default"), 20, "auto's hosts are forgotten")
    assert library.lookup("auto.default") == {"10.244.0.55": 8080}


# ---- changes ----

@suite.test("allow-cidr leaves fewer addresses and then all again: the pods have their names back with their addresses")
def allow_cidr():
    daemon.configure(CONFIG.replace("source = dns", "source = dns\nallow-cidr = 172.16.0.0/12"))
    running.reload()
    sandbox.wait_until(lambda: gone("web.default"), 20, "web.default is not answered any more")
    daemon.configure(CONFIG)
    running.reload()
    wait_pod("web.default", {address for addresses in WEB.values() for address in addresses})
    wait_pod("web-0.web.default", WEB["web-0"], 30)
    wait_pod("s-2.shared.default", ["10.244.0.72"], 30)


@suite.test("a pod that is replaced, one that comes, one that goes: names follow their addresses")
def changes():
    growing.set({"w-0": ["10.244.0.80"], "w-1": ["10.244.0.81"]})
    wait_pod("w-1.growing.default", ["10.244.0.81"])
    growing.set({"w-0": ["10.244.0.90"], "w-1": ["10.244.0.81"], "w-2": ["10.244.0.82"]})
    wait_pod("w-0.growing.default", ["10.244.0.90"])
    wait_pod("w-2.growing.default", ["10.244.0.82"])
    growing.set({"w-0": ["10.244.0.90"], "w-7": ["10.244.0.90"]})
    wait_pod("w-7.growing.default", ["10.244.0.90"])
    wait_pod("w-0.growing.default", ["10.244.0.90"])
    growing.set({"w-0": ["10.244.0.90"]})
    sandbox.wait_until(lambda: gone("w-1.growing.default") and gone("w-2.growing.default"), 30, "two are gone")
    wait_pod("w-0.growing.default", ["10.244.0.90"])


@suite.test("an address is served before its host is known: SRV comes two seconds later")
def address_first():
    late = ["10.244.0.85"]
    growing.set({"w-0": ["10.244.0.90"]})
    wait_pod("growing.default", ["10.244.0.90"])
    own = {("A", "10.244.0.90"), ("A", late[0])}
    server.set_records(growing.name, own | {("SRV", f"0 10 80 w-0.{growing.name}")})
    sandbox.wait_until(lambda: set(library.lookup("growing.default")) == {"10.244.0.90", late[0]}, 20, "both addresses")
    assert gone("w-5.growing.default")
    time.sleep(2)
    assert set(library.lookup("growing.default")) == {"10.244.0.90", late[0]}
    growing.set({"w-0": ["10.244.0.90"], "w-5": late})
    wait_pod("w-5.growing.default", late)
    wait_pod("w-0.growing.default", ["10.244.0.90"])


@suite.test("more pods than a message has room for with their addresses: each is known all the same")
def large():
    assert_large(LARGE)


def assert_large(n):
    pods = large_pods(n)
    names = [f"{host}.large.default" for host in pods]
    sandbox.wait_until(lambda: len(library.lookup("large.default", family="ipv4")) == n, 30, "all addresses")
    start_time = time.monotonic()
    sandbox.wait_until(lambda: not any(a.error for a in lookup.resolve_many(names)), 60, "all hosts")
    tap.comment(f"{n} hosts after {time.monotonic() - start_time:.2f} s")
    answers = lookup.resolve_many(names)
    wrong = [(name, a) for name, a, addresses in zip(names, answers, pods.values()) if list(a.addresses) != addresses]
    assert not wrong, wrong[:3]


@suite.test("more SRV records than a message has room for, which knot says by SERVFAIL: PTR names the pods")
def huge():
    wait_pod("h-0.huge.default", ["10.244.32.0"])
    names = [f"{host}.huge.default" for host in huge_pods()]
    sandbox.wait_until(lambda: not any(a.error for a in lookup.resolve_many(names)), 60, "all hosts")
    assert lookup.addresses(f"h-{LARGER - 1}.huge.default") == set(huge_pods()[f"h-{LARGER - 1}"])


@suite.test("an outage takes no name away, nor does a new daemon in the middle of it")
def outage():
    global running
    wait_pod("web-0.web.default", WEB["web-0"])
    server.stop()
    try:
        time.sleep(4)
        wait_pod("web-0.web.default", WEB["web-0"], 0)
        running.kill()
        running = start()
        running.wait_log("ready")
        wait_pod("web-0.web.default", WEB["web-0"], 0)
        wait_pod("p-0.ptr.default", ["10.244.0.40", "fd00:10:244::28"], 0)
        assert library.lookup("grpc.default:grpc")["10.244.0.21"] == 9001
        assert library.lookup("service-b.k8s-example2")["10.244.0.61"] == 3001
        assert_shared()
    finally:
        server.start()
    growing.set({"w-0": ["10.244.0.91"]})
    wait_pod("w-0.growing.default", ["10.244.0.91"])
    wait_pod("web-0.web.default", WEB["web-0"])


@suite.test("CoreDNS, with its file plugin and its cache: SRV, named ports, PTR, changes")
def coredns():
    global running
    program = outside.made_by("build-coredns")
    if not program:
        raise tap.Skip("CoreDNS can't be built here")
    running.terminate()
    sandbox.remove_table()
    server.stop()
    other = dns.CoreDns(program, more_zones=(ARPA4, ARPA6))
    changing = Pods(other, "growing.default")
    fill(other, LARGER)
    changing.set({"w-0": ["10.244.0.80"], "w-1": ["10.244.0.81"]})
    other.start()
    try:
        running = start("--service", "service-b.k8s-example2:3000+")
        for host, addresses in WEB.items():
            wait_pod(f"{host}.web.default", addresses)
        wait_pod("p-0.ptr.default", ["10.244.0.40", "fd00:10:244::28"])
        wait_ports("grpc.default:grpc", {"10.244.0.20": 9000, "10.244.0.21": 9001, "10.244.0.22": 0})
        wait_ports("service-b.k8s-example2", {"10.244.0.60": 3000, "10.244.0.61": 3001, "10.244.0.62": 3010})
        assert_large(LARGER)
        sandbox.wait_until(lambda: sorted(library.endpoints("shared.default")) == SHARED_PORTS, 30, "all of one address")
        assert_shared()
        changing.set({"w-0": ["10.244.0.90"], "w-2": ["10.244.0.82"]})
        wait_pod("w-0.growing.default", ["10.244.0.90"])
        wait_pod("w-2.growing.default", ["10.244.0.82"])
        sandbox.wait_until(lambda: gone("w-1.growing.default"), 30, "one is gone")
    finally:
        other.stop()


# ---- the scene ----

SHARED = {"s-0": ["10.244.0.70", "fd00:10:244::46"], "s-1": ["10.244.0.70", "fd00:10:244::46"], "s-2": ["10.244.0.72"]}
WEB = {f"web-{i}": [f"10.244.0.{10 + i}", f"fd00:10:244::{10 + i:x}"] for i in range(3)}


def large_pods(n):
    return {f"l-{i}": [f"10.244.{16 + i // 256}.{i % 256}"] for i in range(n)}


def huge_pods():
    return {f"h-{i}": [f"10.244.{32 + i // 256}.{i % 256}"] for i in range(LARGER)}


def fill(into, n_large=LARGE):
    """The zones, before the server starts."""
    Pods(into, "web.default").set(WEB)
    Pods(into, "grpc.default", srv=False, ports={
        "_grpc._tcp": {"g-0": 9000, "g-1": 9001},
        "_dns._udp": {"g-0": 53, "g-1": 53, "g-2": 5353},
    }).set({f"g-{i}": [f"10.244.0.{20 + i}"] for i in range(3)})
    Pods(into, "mixed.default", ports={"_grpc._tcp": 9000}).set({"m-0": ["10.244.0.25"]})
    Pods(into, "plain.default").set({"10-244-0-30": ["10.244.0.30"], "fd00-10-244--1f": ["fd00:10:244::1f"]})
    Pods(into, "ptr.default", srv=False, ptr=True).set({"p-0": ["10.244.0.40", "fd00:10:244::28"], "p-1": ["10.244.0.41"]})
    Pods(into, "bare.default", srv=False).set({"x-0": ["10.244.0.50"]})
    for i, service in enumerate(["auto", "off"]):
        Pods(into, f"{service}.default", ports={"_grpc._tcp": 9000}).set({"x-0": [f"10.244.0.{55 + i}"]})
    Pods(into, "service-b.k8s-example2").set({f"service-b-{n}": [f"10.244.0.{60 + i}"] for i, n in enumerate([0, 1, 10])})
    Pods(into, "shared.default").set(SHARED)
    if n_large == LARGE:
        Pods(into, "huge.default", ptr=True).set(huge_pods())
    Pods(into, "large.default", ptr=n_large > LARGE).set(large_pods(n_large))


def start(*arguments):
    return lab.start_daemon("web.default", "ptr.default", "grpc.default", "large.default",
                            arguments=arguments or ("--service", "service-b.k8s-example2:3000+"))


def set_up():
    sandbox.nsswitch("k8shsvc")
    sandbox.resolv_conf(search=SEARCH)
    made = dns.Server(more_zones=(ARPA4, ARPA6))
    fill(made)
    made.start()
    daemon.configure(CONFIG)
    return made, Pods(made, "growing.default"), start(), api.Api()


if __name__ == "__main__":
    outside.made_by("build-coredns")
    sandbox.enter()
    server, growing, running, library = lab.set_up(set_up)
    try:
        status = suite.run()
    finally:
        running.kill()
    sys.exit(status)
