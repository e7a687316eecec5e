"""The addresses of a service, for every family and through every call that programs make.

nsswitch.conf asks nothing but k8shsvc: what is answered comes from the table.
"""

import sys

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

POD4, POD6 = "10.244.0.10", "fd00:10:244::10"
SETS = {
    "both": [POD4, POD6],
    "four": [POD4],
    "six": [POD6],
    "many": lab.pods(16, 5) + lab.pods(16, 3, six=True),
    "all": lab.pods(32, 5) + lab.pods(32, 3, six=True),
    "large": lab.pods(256, 400) + lab.pods(256, 200, six=True),
    "only4": lab.pods(48, 2) + lab.pods(48, 2, six=True),
    "only6": lab.pods(52, 2) + lab.pods(52, 2, six=True),
    "three": lab.pods(56, 6),
}
CONFIG = """
[daemon]
source = dns
namespace = default
[service both.default]
answers = single
[service four.default]
answers = single
[service six.default]
answers = single
[service many.default]
answers = single
[service all.default]
answers = all
[service large.default]
answers = all
[service only4.default]
answers = all
family = ipv4
[service only6.default]
answers = all
family = ipv6
[service three.default]
answers = auto
"""
FQDN = "{}.default.svc.cluster.local"


def four(service):
    return {a for a in SETS[service] if ":" not in a}


def six(service):
    return {a for a in SETS[service] if ":" in a}


def set_up():
    sandbox.nsswitch("k8shsvc")
    lab.start_dns({f"{s}.default": (a, 2) for s, a in SETS.items()})
    daemon.configure(CONFIG)
    started = lab.start_daemon(*(FQDN.format(s) for s in SETS))
    for service in "both", "all", "large":
        lab.wait_addresses(FQDN.format(service), SETS[service])
    sandbox.wait_until(lambda: len(lookup.resolve(FQDN.format("many")).addresses) == 2, 20, "both families")
    return started


# ---- getaddrinfo: service, family, expected set ----

@suite.each("getaddrinfo of {0}, {1}: the address", [
    ("both", "ipv4", {POD4}), ("both", "ipv6", {POD6}), ("both", "any", {POD4, POD6}),
    ("four", "ipv4", {POD4}), ("four", "any", {POD4}),
    ("six", "ipv6", {POD6}), ("six", "any", {POD6}),
])
def getaddrinfo_one(service, family, expected):
    assert lookup.addresses(FQDN.format(service), family=family) == expected


@suite.each("getaddrinfo of {0}, {1}: it has none of that family", [("four", "ipv6"), ("six", "ipv4")])
def getaddrinfo_none(service, family):
    answer = lookup.resolve(FQDN.format(service), family=family)
    assert answer.error in ("EAI_NODATA", "EAI_NONAME"), answer


@suite.each("getaddrinfo of all addresses of {0}, {1}", [
    ("all", "ipv4"), ("all", "ipv6"), ("all", "any"), ("large", "ipv4"), ("large", "ipv6"), ("large", "any"),
])
def getaddrinfo_all(service, family):
    expected = {"ipv4": four(service), "ipv6": six(service), "any": set(SETS[service])}[family]
    answer = lookup.resolve(FQDN.format(service), family=family)
    assert set(answer.addresses) == expected, answer
    assert len(answer.addresses) == len(expected), f"an address comes twice: {answer}"


@suite.each("answers = single: one address of each family, {0}", [("ipv4",), ("ipv6",), ("any",)])
def single(family):
    for answer in lookup.resolve_many([FQDN.format("many")], family=family, count=50):
        found4 = [a for a in answer.addresses if ":" not in a]
        found6 = [a for a in answer.addresses if ":" in a]
        assert (len(found4), len(found6)) == {"ipv4": (1, 0), "ipv6": (0, 1), "any": (1, 1)}[family], answer
        assert set(answer.addresses) <= set(SETS["many"]), answer


@suite.each("answers = auto: at least one address and nothing foreign, {0}", [("ipv4",), ("any",)])
def auto(family):
    for answer in lookup.resolve_many([FQDN.format("three")], family=family, count=50):
        assert answer.addresses and set(answer.addresses) <= set(SETS["three"]), answer


@suite.each("family = {1}: {0} shows no other addresses", [("only4", "ipv4"), ("only6", "ipv6")])
def family_option(service, family):
    expected = four(service) if family == "ipv4" else six(service)
    assert lookup.addresses(FQDN.format(service)) == expected
    other = "ipv6" if family == "ipv4" else "ipv4"
    assert lookup.resolve(FQDN.format(service), family=other).error


@suite.each("AI_ADDRCONFIG, {0}", [("ipv4",), ("ipv6",), ("any",)])
def addrconfig(family):
    answer = lookup.resolve(FQDN.format("both"), family=family, addrconfig=True)
    assert set(answer.addresses) == {"ipv4": {POD4}, "ipv6": {POD6}, "any": {POD4, POD6}}[family], answer


@suite.each("AI_CANONNAME of {0}, {1}: the full name", [
    (name, family) for family in ("any", "ipv4", "ipv6")
    for name in ("both", "both.default", "BOTH.default.SVC", "Both.Default.svc.cluster.local.")
])
def canonical_name(name, family):
    answer = lookup.resolve(name, family=family, canon=True)
    assert answer.canon == FQDN.format("both"), answer


# ---- the older calls ----

@suite.test("gethostbyname: the IPv4 address and the full name")
def gethostbyname():
    answer = lookup.resolve("both.default", call="gethostbyname")
    assert answer == ("", FQDN.format("both"), (POD4,)), answer


@suite.each("gethostbyname2, {0}", [("ipv4", POD4), ("ipv6", POD6)])
def gethostbyname2(family, expected):
    answer = lookup.resolve("both.default", call="gethostbyname", family=family)
    assert answer == ("", FQDN.format("both"), (expected,)), answer


@suite.test("gethostbyname of a service without IPv4: none")
def gethostbyname_none():
    assert lookup.resolve("six.default", call="gethostbyname").error


@suite.each("gethostbyname2 of all addresses of {0}, {1}", [
    (service, family) for service in ("all", "large") for family in ("ipv4", "ipv6")])
def gethostbyname_all(service, family):
    answer = lookup.resolve(FQDN.format(service), call="gethostbyname", family=family)
    expected = four(service) if family == "ipv4" else six(service)
    assert set(answer.addresses) == expected and len(answer.addresses) == len(expected), answer


# ---- getent ----

@suite.each("getent {0} of {1}", [
    ("ahosts", "both", {POD4, POD6}), ("ahostsv4", "both", {POD4}), ("ahostsv6", "both", {POD6}),
    ("hosts", "four", {POD4}), ("hosts", "both", {POD6}), ("hosts", "six", {POD6}),
    ("ahosts", "all", set(SETS["all"])), ("ahostsv4", "all", set(SETS["all"][:5])),
])
def getent(database, service, expected):
    found, first = lookup.getent(database, FQDN.format(service))
    assert set(found) == expected, found
    assert first[-1] == FQDN.format(service), f"{first}: not the full name"


@suite.test("getent ahosts of a name that is not registered: status 2, nothing printed")
def getent_none():
    assert lookup.getent("ahosts", FQDN.format("nobody")) == ([], [])


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
