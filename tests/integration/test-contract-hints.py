"""Every combination of getaddrinfo()'s hints: the table gives what dns gives.

The same names are asked of dns and of k8shsvc alone, with answers = all: the same set of addresses, for the
same socket types, protocols and ports, the same canonical name, the families in the same order, the same
error. On nodes that have both families, one of them, or none.

One difference is right: the spelling of the canonical name. DNS servers give it back as it was asked, the
table always in lower case.
"""

import itertools
import socket
import sys

from harness import daemon, dns, lab, lookup, probe, sandbox, tap

suite = tap.Suite()

SERVICES = {
    "both.default": lab.pods(10, 3) + lab.pods(10, 2, six=True),
    "four.default": lab.pods(20, 3),
    "six.default": lab.pods(20, 2, six=True),
    "none.default": [],
}
# A node without an address that counts must still reach it.
DNS_SERVER = "127.0.0.10"
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6, "unix": socket.AF_UNIX}
TYPES = (0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)
PORTS = (None, "8080", "http", "no-such-service")
FLAGS = {"CANONNAME": socket.AI_CANONNAME, "ADDRCONFIG": socket.AI_ADDRCONFIG, "V4MAPPED": socket.AI_V4MAPPED,
         "ALL": socket.AI_ALL, "NUMERICSERV": socket.AI_NUMERICSERV, "IDN": probe.AI_IDN}
MORE_FLAGS = {"PASSIVE": socket.AI_PASSIVE, "NUMERICHOST": socket.AI_NUMERICHOST, "CANONIDN": 0x80 | socket.AI_CANONNAME,
              "unknown": 0x4000}
NODES = {"both families": (sandbox.NODE4, sandbox.NODE6), "IPv4 only": (sandbox.NODE4,), "IPv6 only": (sandbox.NODE6,),
         "loopback only": ()}


def flag_sets():
    """All sets of the flags that change what is asked for, and the others one by one."""
    names = list(FLAGS)
    for n in range(len(names) + 1):
        for some in itertools.combinations(names, n):
            yield sum(FLAGS[name] for name in some)
    yield from MORE_FLAGS.values()


def whole(combinations):
    """Without the names that Python has for the numbers: they are written into a program."""
    return [(int(family), int(kind), int(protocol), port, int(flags))
            for family, kind, protocol, port, flags in combinations]


def all_hints():
    yield from itertools.product(FAMILIES.values(), TYPES, PROTOCOLS, PORTS[:2], flag_sets())
    yield from itertools.product(FAMILIES.values(), TYPES[:3], PROTOCOLS, PORTS[2:], (0, socket.AI_NUMERICSERV))


def what_is_asked_for():
    """The hints that reach name resolution; what remains is glibc's own."""
    yield from itertools.product(FAMILIES.values(), (socket.SOCK_STREAM,), (0,), (None,), flag_sets())


def summary(answer):
    """What must be the same: entries as a set, the order of families, the first entry's canonical name."""
    if isinstance(answer, str):
        return answer
    entries = [(family, kind, protocol, address) for family, kind, protocol, _, address in answer]
    families = [family for family, _ in itertools.groupby(entry[0] for entry in entries)]
    return len(entries), set(entries), families, [entry[3].lower() for entry in answer]


def set_node(addresses):
    # without it not even a link-local address is left, which counts as IPv6 to AI_ADDRCONFIG
    with open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "w") as file:
        file.write("0" if sandbox.NODE6 in addresses else "1")
    sandbox.ip("address", "flush", "dev", "eth0", "scope", "global")
    for address in addresses:
        sandbox.ip("address", "add", *([f"{address}/64", "nodad"] if ":" in address else [f"{address}/24"]), "dev", "eth0")


def ask(name, hosts, combinations):
    sandbox.nsswitch(hosts)
    return probe.ask([("getaddrinfo", name, port, family, kind, protocol, flags)
                      for family, kind, protocol, port, flags in combinations])


def compare(name, node, combinations):
    set_node(NODES[node])
    rows = whole(combinations)
    answers = zip(ask(name, "dns", rows), ask(name, "k8shsvc", rows), rows)
    wrong = [f"{row}: dns {by_dns}, k8shsvc {by_table}" for by_dns, by_table, row in answers
             if summary(by_dns) != summary(by_table)]
    assert not wrong, f"{len(wrong)} of {len(rows)}:\n" + "\n".join(wrong[:20])
    tap.comment(f"{len(rows)} combinations")


@suite.test("a service of both families on a node with both: the same for all hints")
def every_combination():
    compare("both.default.svc.cluster.local", "both families", all_hints())


@suite.each("{0}, node with {1}: the same", [(service, node) for service in SERVICES for node in NODES])
def full_name(service, node):
    compare(f"{service}.svc.cluster.local", node, what_is_asked_for())


@suite.each("{0}, with a search list: the same", [
    (name,) for name in ("both", "both.default", "four.default.svc", "six", "BOTH.Default",
                         "Six.default.svc.cluster.local.")])
def other_form(name):
    compare(name, "both families", what_is_asked_for())


@suite.test("the comparison sees a difference: another answer, another name, another order")
def control():
    one = ((2, 1, 6, "a.b", ("10.0.0.1", 0)), (2, 1, 6, "", ("10.0.0.2", 0)))
    assert summary(one) == summary(((2, 1, 6, "a.b", ("10.0.0.2", 0)), (2, 1, 6, "", ("10.0.0.1", 0))))
    assert summary(one) != summary(one[:1])
    assert summary(one) != summary(((2, 1, 6, "a.c", ("10.0.0.1", 0)), one[1]))
    six = (10, 1, 6, "a.b", ("fd00::1", 0, 0, 0))
    assert summary((six, one[1])) != summary((one[0], six))


def set_up():
    sandbox.nsswitch("k8shsvc")
    sandbox.resolv_conf("default.svc.cluster.local svc.cluster.local cluster.local", [DNS_SERVER],
                        options="ndots:5 timeout:5 attempts:3")
    server = dns.Server(DNS_SERVER)
    for service, addresses in SERVICES.items():
        server.set_service(service, addresses)
    server.start()
    daemon.configure("[daemon]\nsource = dns\n" + "".join(f"[service {s}]\nanswers = all\n" for s in SERVICES))
    names = [f"{service}.svc.cluster.local" for service in SERVICES]
    started = lab.start_daemon(*names[:3])
    # that there is none of a family, or nothing, is known after three answers that say so
    sandbox.wait_until(lambda: lookup.resolve(names[1], family="ipv6").error == "EAI_NODATA" and
                       lookup.resolve(names[2], family="ipv4").error == "EAI_NODATA" and
                       lookup.resolve(names[3], family="ipv4").error == "EAI_NONAME", 60, "all is known")
    return started


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
