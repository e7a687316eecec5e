"""The daemon behind the DNS servers that clusters and nodes have: knot, CoreDNS, dnsmasq, unbound.

The same services through each: what they say is taken, changes are seen, none is told from gone, and
large answers, restarts and connections that the server closes are no event.
"""

import re
import sys
import time

from harness import daemon, dns, lab, lookup, sandbox, servers, tap

suite = tap.Suite()

A, B, C = lab.pods(10, 3)
A6, B6 = lab.pods(10, 2, six=True)
MANY, HUGE = lab.pods(1000, 300), lab.pods(10000, 4000)
SUFFIX = ".svc.cluster.local"
MANY_NAMES = [f"n{i:04}.many" for i in range(1000)]

SERVICES = {
    "two.default": ([A, A6], 1), "four.default": ([A, B], 1), "six.default": ([A6, B6], 1), "gone.default": ([A, B], 1),
    "many.default": (MANY, 1), "huge.default": (HUGE, 1), "gone-too.default": ([A, A6], 1),
}
EXTRA = {name: ([A], 5) for name in MANY_NAMES}


def services(name):
    """Unbound compresses 120 names of an answer since 1.21.1: 1,200 addresses are all that fit."""
    return {s: records for s, records in SERVICES.items() if name != "unbound" or s != "huge.default"}


coredns_program, coredns_missing = None, "not looked for"
knot = None


def coredns(make):
    def start():
        if not coredns_program:
            raise tap.Skip(coredns_missing)
        return make()
    return start


SERVERS = {
    "knot": lambda: knot,
    "CoreDNS, file": coredns(lambda: servers.CoreDNSFile(coredns_program, SERVICES).start()),
    "CoreDNS, hosts": coredns(lambda: servers.CoreDNSHosts(coredns_program, SERVICES).start()),
    "CoreDNS, cache": coredns(lambda: servers.CoreDNSCache(coredns_program, knot).start()),
    "dnsmasq": lambda: servers.Dnsmasq(knot).start(),
    "unbound": lambda: servers.Unbound(knot).start(),
}


class Behind:
    """The daemon behind one of them, as a context manager."""

    # Much quicker than the defaults, so that the tests are.
    QUICK = "refresh-min = 500ms\nrefresh-max = 1s\nquery-rate = 2000\n"

    def __init__(self, name, transport="tcp", names=(), settings=QUICK):
        self.server, self.services = SERVERS[name](), services(name)
        sandbox.remove_table()
        daemon.configure(f"[daemon]\ndns-servers = {self.server.address}\ndns-transport = {transport}\n{settings}" +
                         "".join(f"[service {n}]\nanswers = all\n" for n in names or self.services))

    def __enter__(self):
        self.daemon = daemon.Daemon()
        return self

    def __exit__(self, kind, error, trace):
        if kind and self.server is not knot:
            tap.comment(self.server.log()[-2000:])
        self.daemon.__exit__(kind, error, trace)
        if self.server is not knot:
            self.server.stop()
        for service, (addresses, ttl) in SERVICES.items():
            knot.set_service(service, addresses, ttl)

    def set(self, service, addresses):
        self.server.set_service(service, addresses)

    def wait(self, service, addresses, seconds=30):
        sandbox.wait_until(lambda: lookup.addresses(service + SUFFIX) == set(addresses), seconds,
                           f"{service} is {len(addresses)} addresses; it is {str(lookup.resolve(service + SUFFIX))[:200]}")

    def wait_error(self, service, error):
        sandbox.wait_until(lambda: lookup.resolve(service + SUFFIX).error == error, 30,
                           f"{service} is {error}; it is {lookup.resolve(service + SUFFIX)}")

    def about_servers(self):
        return [line for line in self.daemon.log().splitlines() if "dns server" in line]


@suite.each("{0}: addresses, changes, large answers", [(name,) for name in SERVERS])
def follows(name):
    with Behind(name) as behind:
        for service, (addresses, _) in behind.services.items():
            behind.wait(service, addresses)
        changed = {"two.default": [B, A6], "four.default": [A, B, C], "six.default": [A6], "many.default": MANY[:-1]}
        if "huge.default" in behind.services:
            changed["huge.default"] = HUGE[1:] + [C]
        for service, addresses in changed.items():
            behind.set(service, addresses)
        for service, addresses in changed.items():
            behind.wait(service, addresses)
        assert not behind.about_servers(), behind.about_servers()


@suite.each("{0}: by UDP, where 300 addresses need TCP", [(name,) for name in SERVERS])
def by_udp(name):
    with Behind(name, transport="udp") as behind:
        for service, (addresses, _) in behind.services.items():
            behind.wait(service, addresses)
        behind.set("two.default", [B, A6])
        behind.set("many.default", MANY[:-1])
        behind.wait("two.default", [B, A6])
        behind.wait("many.default", MANY[:-1])
        assert not behind.about_servers(), behind.about_servers()


# With a hosts file there is no SOA, and CoreDNS says SERVFAIL of what is not in it.
@suite.each("{0}: the last address goes and comes back", [(name,) for name in SERVERS if name != "CoreDNS, hosts"])
def removal(name):
    with Behind(name, names=[*services(name), "never.default"]) as behind:
        behind.wait("gone.default", [A, B])
        behind.wait("gone-too.default", [A, A6])
        begin = time.monotonic()
        behind.set("gone.default", [])
        behind.set("gone-too.default", [A6])
        # three negatives, 2 s apart
        while time.monotonic() < begin + 3.5:
            assert lookup.addresses("gone.default" + SUFFIX) == {A, B}
            time.sleep(0.05)
        # nothing of it is left, one family is left, nothing ever was there
        sandbox.wait_until(lambda: re.search(r"^<\d>gone\.default: empty", behind.daemon.log(), re.MULTILINE), 40, "it is empty")
        assert lookup.resolve("gone.default" + SUFFIX).error
        behind.wait("gone-too.default", [A6], 40)
        assert lookup.resolve("never.default" + SUFFIX).error
        behind.set("gone.default", [C])
        behind.wait("gone.default", [C])
        assert not behind.about_servers(), behind.about_servers()


@suite.test("CoreDNS, hosts: the last address goes, which it can't say: what was known stays")
def hosts_removal():
    with Behind("CoreDNS, hosts", names=["gone.default", "four.default"]) as behind:
        behind.wait("gone.default", [A, B])
        behind.set("gone.default", [])
        sandbox.wait_until(lambda: "gone.default: stale" in behind.daemon.log(), 30, "it is stale")
        time.sleep(6)
        assert lookup.addresses("gone.default" + SUFFIX) == {A, B}
        behind.set("gone.default", [C])
        behind.wait("gone.default", [C], 40)


@suite.each("{0}: restarted: the answers stay, then follow again", [(name,) for name in SERVERS])
def restart(name):
    with Behind(name) as behind:
        behind.wait("two.default", [A, A6])
        behind.server.stop()
        sandbox.wait_until(lambda: "no answer, asking once a second" in behind.daemon.log(), 30, "the server is given up")
        assert lookup.addresses("two.default" + SUFFIX) == {A, A6}
        behind.server.start()
        behind.set("two.default", [B, B6])
        behind.wait("two.default", [B, B6])


@suite.each("{0}: 1,000 names", [("knot",), ("dnsmasq",), ("unbound",), ("CoreDNS, cache",)])
def thousand(name):
    """dnsmasq closes a connection after its hundredth question, others when they are idle."""
    with Behind(name, names=MANY_NAMES, settings="refresh-min = 500ms\nrefresh-max = 2s\nquery-rate = 2000\n") as behind:
        names = [n + SUFFIX for n in MANY_NAMES]
        sandbox.wait_until(lambda: all(set(a.addresses) == {A} for a in lookup.resolve_many(names)), 30, "all have their address")
        time.sleep(3)
        states = re.findall(r"^<\d>(n\d+\.many: (?:stale|empty|expired).*)", behind.daemon.log(), re.MULTILINE)
        assert not states, states[:3]
        assert not behind.about_servers(), behind.about_servers()


@suite.each("{0}: {1} names, a change is seen a TTL and a second later",
            [("knot", 3), ("CoreDNS, cache", 3), ("dnsmasq", 3), ("unbound", 3), ("dnsmasq", 300), ("unbound", 300),
             ("CoreDNS, cache", 300)])
def in_time(name, n):
    """At defaults, on a connection that is older than a TTL: dnsmasq judges TTLs by when that began.

    A cache that counts whole seconds may itself give the previous answer for longer than its TTL.
    """
    names = MANY_NAMES[:n]
    with Behind(name, names=names, settings="") as behind:
        sandbox.wait_until(lambda: all(set(a.addresses) == {A} for a in lookup.resolve_many([m + SUFFIX for m in names])), 30,
                           "all have their address")
        time.sleep(8)
        for addresses in [B], [A]:
            begin = time.monotonic()
            behind.server.set_service(names[0], addresses, 5)
            sandbox.wait_until(lambda: dns.says(behind.server.address, names[0] + SUFFIX, addresses[0]), 30, "the server says so")
            said = time.monotonic() - begin
            behind.wait(names[0], addresses, 90)
            seconds = time.monotonic() - begin
            tap.comment(f"said after {said:.1f} s, seen after {seconds:.1f} s")
            assert seconds < max(5, said) + 1 + 1, f"said after {said:.1f} s, seen after {seconds:.1f} s"
    knot.set_service(names[0], [A], 5)


def set_up():
    sandbox.nsswitch("k8shsvc")
    for address in servers.COREDNS, servers.DNSMASQ, servers.UNBOUND:
        sandbox.ip("address", "add", f"{address}/32", "dev", "eth0")
    return lab.start_dns({**SERVICES, **EXTRA})


if __name__ == "__main__":
    found = servers.find_coredns()
    sandbox.enter()
    coredns_program, coredns_missing = found
    knot = lab.set_up(set_up)
    sys.exit(suite.run())
