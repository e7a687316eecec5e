"""The kinds of pod network in which programs look services up, each as a network namespace of its own.

What getaddrinfo() makes of an answer depends on the addresses and routes of the caller (RFC 6724, rule
9, as glibc has it), so whatever is said about order or spread is said in each of these. The table is
the sandbox's: a module finds it in every network.

    with networks.made(networks.BRIDGED_24) as network:
        network.run(sandbox.RESOLVE, "--", name)

Nothing listens in them: a route is all that the sort wants of an address.
"""

import contextlib
from dataclasses import dataclass, field

from . import sandbox

# Pods beside the caller, some beside it and some elsewhere, all elsewhere.
NEAR, MIXED, FAR = "near", "mixed", "far"


def _one_interface(*addresses, routes=("default",)):
    commands = ["link add eth0 type veth peer name eth0-peer",
                "link set eth0-peer addrgenmode none up",
                "link set eth0 up"]
    commands += ["address add {} dev eth0 {}".format(*(address + " ").split(" ", 1)) for address in addresses]
    return commands + [f"route add {route} dev eth0" for route in routes]


@dataclass(frozen=True)
class Network:
    name: str
    title: str
    commands: tuple  # of ip(8)
    pods: dict  # where they are: their addresses; 8 of each family
    keeps_order: tuple = ()  # the pods among which glibc sorts none before another
    ipv6: bool = True  # whether interfaces get link-local addresses, as the kernel has it by default
    has_host: bool = True  # whether the module knows an address that `sticky` goes by
    is_known: bool = True  # whether it can know all own addresses; else `auto` and N are `single`
    settings: dict = field(default_factory=dict)  # of net.ipv6.conf.default

    def command(self, *command):
        """The command that runs this one in the network."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def run(self, *command, **options):
        return sandbox.run(*self.command(*command), **options)

    def families(self, pods):
        """The families of these pods, in the order in which getaddrinfo() gives them."""
        return [family for family, six in (("ipv6", True), ("ipv4", False))
                if any((":" in address) == six for address in self.pods[pods])]

    def addresses(self, pods, family):
        return [address for address in self.pods[pods] if (":" in address) == (family == "ipv6")]


# Distances to the caller, x.x.0.5 or ::5, of every kind: the sort has a different score for most of them.
_NEAR4 = [f"10.77.0.{i}" for i in (4, 6, 7, 20, 33, 100, 129, 200)]
_FAR4 = [f"10.88.{i}.{i}" for i in (1, 2, 3, 4, 5, 6, 130, 200)]
_NEAR6 = [f"fd77::{i:x}" for i in (4, 6, 7, 20, 33, 100, 129, 0x8200)]
_OTHER6 = [f"fd77:0:0:{i:x}::9" for i in (1, 2, 3, 0x40, 0x41, 0x8000)]
_GLOBAL6 = [f"2001:db8:77{f':{i:x}' if i else ''}::9" for i in (0, 1, 2, 3, 0x40, 0x41, 0x80, 0x8000)]
# No nearer to 2001:db8:77::5 one than the other: they part from it at the same bit.
_FAR6 = [f"2001:db8:8000:{i:x}::9" for i in range(1, 9)]

BRIDGED_24 = Network(
    "v4-24", "IPv4 /24 with link-local IPv6",
    _one_interface("10.77.0.5/24"),
    {NEAR: _NEAR4, MIXED: _NEAR4[:2] + _FAR4[:6], FAR: _FAR4}, keeps_order=(FAR,))
BRIDGED_16 = Network(
    "v4-16", "IPv4 /16 with link-local IPv6",
    _one_interface("10.77.0.5/16"),
    {NEAR: [f"10.77.{i}.9" for i in (0, 1, 2, 3, 4, 64, 128, 200)],
     MIXED: ["10.77.0.9", "10.77.200.9"] + _FAR4[:6], FAR: _FAR4}, keeps_order=(FAR,))
ROUTED_32 = Network(
    "v4-32", "IPv4 /32 with link-local IPv6",
    _one_interface("10.77.0.5/32"),
    {NEAR: _NEAR4, MIXED: _NEAR4[:2] + _FAR4[:6]}, keeps_order=(NEAR, MIXED))
WITHOUT_IPV6 = Network(
    "v4-24-only", "IPv4 /24 without IPv6",
    _one_interface("10.77.0.5/24"),
    {NEAR: _NEAR4, MIXED: _NEAR4[:2] + _FAR4[:6]}, keeps_order=(NEAR, MIXED), ipv6=False)
UNIQUE_LOCAL_64 = Network(
    "v6-64", "IPv6 /64",
    _one_interface("fd77::5/64", routes=("::/0",)),
    {NEAR: _NEAR6, MIXED: _NEAR6[:2] + _OTHER6})
ROUTED_128 = Network(
    "v6-128", "IPv6 /128",
    _one_interface("fd77::5/128", routes=("::/0",)),
    {NEAR: _NEAR6, MIXED: _NEAR6[:2] + _OTHER6})
GLOBAL = Network(
    "v6-global", "global IPv6",
    _one_interface("2001:db8:77::5/64", routes=("::/0",)),
    {NEAR: [f"2001:db8:77::{i:x}" for i in (4, 6, 7, 20, 33, 100, 129, 0x8200)], MIXED: _GLOBAL6, FAR: _FAR6},
    keeps_order=(FAR,))
DUAL = Network(
    "dual", "dual stack with two IPv6 prefixes",
    _one_interface("10.77.0.5/24", "fd77::5/64", "2001:db8:77::5/64", routes=("default", "::/0")),
    {NEAR: _NEAR4 + _NEAR6[:4] + [f"2001:db8:77::{i:x}" for i in (4, 6, 7, 0x8200)],
     MIXED: _NEAR4[:2] + _FAR4[:6] + _NEAR6[:2] + _OTHER6[:2] + _GLOBAL6[:4]})
# Pods of this node behind a bridge, those of others through an overlay, the rest of the world on the uplink.
HOST = Network(
    "host", "host with a bridge /24, an overlay /32 and an uplink",
    ["link add uplink type veth peer name uplink-peer",
     "link add overlay type veth peer name overlay-peer",
     "link add cni0 type bridge",
     "link add pod type veth peer name pod-peer",
     "link set pod master cni0",
     *[f"link set {link} up" for link in ("uplink", "uplink-peer", "overlay", "overlay-peer", "pod", "pod-peer", "cni0")],
     "address add 192.168.5.10/24 dev uplink",
     "address add 10.77.1.0/32 dev overlay",
     "address add 10.77.1.1/24 dev cni0",
     "route add 10.77.0.0/16 dev overlay",
     "route add default via 192.168.5.1 dev uplink"],
    {NEAR: [f"10.77.1.{i}" for i in (4, 6, 7, 20, 33, 100, 129, 200)],
     MIXED: ["10.77.1.7", "10.77.1.200"] + [f"10.77.{i}.9" for i in (2, 3, 4, 64, 128, 200)],
     FAR: [f"10.77.{i}.9" for i in (2, 3, 4, 5, 6, 64, 128, 200)]}, keeps_order=(FAR,))

# Several own addresses, of which the kernel takes one as the source: by its rules, if the module knows all that they ask.
_SPREAD6 = [f"fd77::{i:x}000:0:0:9" for i in range(1, 16, 2)]
_SAME_6 = {NEAR: _NEAR6, MIXED: _NEAR6[:2] + _OTHER6}
TWO_OF_PREFIX = Network(
    "v6-two", "two IPv6 addresses of one /64",
    _one_interface("fd77::5/64", "fd77::aaaa:1/64", routes=("::/0",)), _SAME_6, keeps_order=(NEAR,))
WITH_128 = Network(
    "v6-64-128", "an IPv6 /128 beside a /64",
    _one_interface("fd77::aaaa:1/64", "fd77::5/128", routes=("::/0",)), _SAME_6)
TEMPORARY = Network(
    "v6-temporary", "temporary IPv6 addresses, preferred",
    _one_interface("fd77::5/64 mngtmpaddr", routes=("::/0",)), {NEAR: _SPREAD6, MIXED: _SPREAD6[:2] + _OTHER6},
    settings={"use_tempaddr": 2})
PUBLIC = Network(
    "v6-public", "temporary IPv6 addresses, not preferred",
    _one_interface("fd77::5/64 mngtmpaddr", routes=("::/0",)), {NEAR: _SPREAD6, MIXED: _SPREAD6[:2] + _OTHER6},
    settings={"use_tempaddr": 1})
DEPRECATED = Network(
    "v6-old", "a deprecated IPv6 address beside a new one",
    _one_interface("fd77::aaaa:1/64", "fd77::5/128 preferred_lft 0 valid_lft 1000", routes=("::/0",)), _SAME_6,
    keeps_order=(NEAR,))
ALL_DEPRECATED = Network(
    "v6-all-old", "a deprecated IPv6 address alone",
    _one_interface("fd77::5/64 preferred_lft 0 valid_lft 1000", routes=("::/0",)), _SAME_6, has_host=False)
TWO_CARDS = Network(
    "cards", "two cards in one subnet",
    [*_one_interface(routes=()),
     "link add eth1 type veth peer name eth1-peer",
     "link set eth1-peer addrgenmode none up",
     "link set eth1 up",
     "address add 10.77.0.128/24 dev eth1",
     "address add fd77::8201/64 dev eth1",
     "address add 10.77.0.5/24 dev eth0",
     "address add fd77::5/64 dev eth0",
     "route add default dev eth0",
     "route add ::/0 dev eth0"],
    {NEAR: _NEAR4 + _NEAR6, MIXED: _NEAR4[:2] + _FAR4[:6] + _SAME_6[MIXED]})
MANY = Network(
    "many", "more own addresses than are kept",
    [*_one_interface("10.77.0.5/24", "fd77::5/64", routes=("default", "::/0")),
     *[f"address add 10.99.{i // 200}.{i % 200}/32 dev eth0" for i in range(600)]],
    {NEAR: _NEAR4 + _NEAR6, MIXED: _NEAR4[:2] + _FAR4[:6] + _NEAR6[:2] + _OTHER6}, has_host=False, is_known=False)

ALL = (BRIDGED_24, BRIDGED_16, ROUTED_32, WITHOUT_IPV6, UNIQUE_LOCAL_64, ROUTED_128, GLOBAL, DUAL, HOST, TWO_OF_PREFIX,
       WITH_128, TEMPORARY, PUBLIC, DEPRECATED, ALL_DEPRECATED, TWO_CARDS, MANY)


def make(network):
    sandbox.ip("netns", "add", network.name)
    # An address that is still looked for duplicates of is no source yet.
    settings = {"accept_dad": 0, "disable_ipv6": int(not network.ipv6), **network.settings}
    network.run("sh", "-c", "\n".join(f"echo {value} >/proc/sys/net/ipv6/conf/default/{name}"
                                      for name, value in settings.items()))
    network.run("ip", "-batch", "-", input="\n".join(["link set lo up", *network.commands, ""]))
    return network


@contextlib.contextmanager
def made(network):
    """The network, for as long as a test needs it."""
    try:
        yield make(network)
    finally:
        sandbox.run("ip", "netns", "delete", network.name, check=False)
