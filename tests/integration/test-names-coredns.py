"""The same names, asked of CoreDNS and of the table, by the same program under the same resolv.conf.

For each form of a name that a pod may use: what a program gets with "hosts: dns" and what it gets with
"hosts: k8shsvc [NOTFOUND=return]" alone. All of the cluster's services are registered but one; the only
differences are those that the rules name, each with its reason. With "hosts: k8shsvc dns", which is what
people install, nothing differs but aliases.
"""

import sys

from harness import coredns, daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

LABEL63 = "a" * 63

# Service -> addresses, pods' host names (each has the address at the same place).
SERVICES = {
    "user-svc.default": (["10.244.1.1", "10.244.1.2", "fd00::1:1", "fd00::1:2"], ["web-0", "web-1", "web-0", "web-1"]),
    "user-svc.shop": (["10.244.2.1", "fd00::2:1"], ["web-0", "web-0"]),
    "four.default": (["10.244.3.1", "10.244.3.2"], []),
    "six.default": (["fd00::4:1", "fd00::4:2"], []),
    f"{LABEL63}.default": (["10.244.5.1"], []),
    # a pod of a service here, a service there
    "twin.default": (["10.244.6.1"], ["pair"]),
    "pair.twin": (["10.244.7.1"], []),
    # the same, and nobody learns the pods' names
    "quiet.default": (["10.244.14.1"], ["pair"]),
    "pair.quiet": (["10.244.15.1"], []),
    # a namespace that is called svc
    "user-svc.svc": (["10.244.8.1"], ["web-1"]),
    "web-1.user-svc": (["10.244.13.1"], []),
    # names that are an alias, too, or localhost
    "user.default": (["10.244.9.1"], []),
    "localhost.default": (["10.244.10.1"], []),
    "app.localhost": (["10.244.11.1"], []),
}
# By SRV, since their port is a name; the others' are not asked for.
LEARNT = {service for service, (_, hosts) in SERVICES.items() if hosts} - {"quiet.default"}
NOT_REGISTERED = {"plain.default": (["10.244.20.1"], [])}

CONFIG = """
[daemon]
source = dns
refresh-min = 1h
refresh-max = 1h
[service user-svc.default]
alias = user users.internal deep.users.internal
"""

# ---- what is said of a name ----

SAME = "same"
ALIAS = "an alias, which only the table knows"
QUIET = "a pod of a service whose host names are not learnt"
SHADOWED = "a service whose name is a pod's here, too, which is not known since host names are not learnt"
SERVICE = "S.N.svc is service S of N, though the search list comes to a pod of N.svc first"
LOCALHOST = "localhost and what is below it are never answered"
UNREGISTERED = "not registered"
FOREIGN = "not a name of the cluster"

D = "cluster.local"
NAMES = [
    # S.N in every length, with every final dot
    ("user-svc.default", SAME), ("user-svc.default.svc", SAME), ("user-svc.default.svc.cluster.local", SAME),
    ("user-svc.default.", SAME), ("user-svc.default.svc.", SAME), ("user-svc.default.svc.cluster.local.", SAME),
    ("user-svc.default.svc.cluster.local..", SAME), ("user-svc.default..", SAME), (".user-svc.default", SAME),
    ("user-svc..default", SAME), (".", SAME), ("..", SAME),
    ("user-svc.shop", SAME), ("user-svc.shop.svc", SAME), ("user-svc.shop.svc.cluster.local", SAME),
    ("user-svc.shop.svc.cluster.local.", SAME),
    # S in the caller's namespace
    ("user-svc", SAME), ("user-svc.", SAME), ("four", SAME), ("six", SAME), ("twin", SAME), ("pair", SAME),
    # any case
    ("USER-SVC", SAME), ("User-Svc.Default", SAME), ("USER-SVC.DEFAULT.SVC", SAME),
    ("User-Svc.Default.Svc.Cluster.Local", SAME), ("USER-SVC.DEFAULT.SVC.CLUSTER.LOCAL.", SAME),
    # one family only
    ("four.default", SAME), ("four.default.svc.cluster.local", SAME), ("six.default", SAME),
    ("six.default.svc.cluster.local.", SAME),
    # wrong namespaces and services
    ("user-svc.kube-system", SAME), ("user-svc.kube-system.svc.cluster.local", SAME), ("nobody", SAME),
    ("nobody.default", SAME), ("nobody.default.svc", SAME), ("nobody.default.svc.cluster.local.", SAME),
    ("four.shop", SAME), ("user-sv.default", SAME), ("user-svcx.default", SAME), ("xuser-svc.default", SAME),
    # parts of the domain, and more than it
    ("default", SAME), ("svc", SAME), ("local", SAME), ("cluster.local", SAME), ("svc.cluster.local", SAME),
    ("default.svc", SAME), ("default.svc.cluster.local", SAME), ("user-svc.default.svc.cluster", SAME),
    ("user-svc.default.svc.local", SAME), ("user-svc.default.sv", SAME), ("user-svc.default.svcs", SAME),
    ("user-svc.default.cluster.local", SAME), ("user-svc.default.pod.cluster.local", SAME),
    ("user-svc.default.svc-cluster.local", SAME), ("user-svc.default-svc.cluster.local", SAME),
    ("user-svc.default.svc.cluster.locals", SAME), ("user-svc.default.svc.cluster.local.cluster.local", SAME),
    ("user-svc.default.svc.cluster.local.default.svc.cluster.local", SAME), ("user-svc.svc.cluster.local", SAME),
    ("user-svc.default.default", SAME), ("user-svc.svc.default", SAME), ("user-svc.default.svc.svc", SAME),
    # a namespace called svc
    ("user-svc.svc", SAME), ("user-svc.svc.svc", SAME), ("user-svc.svc.svc.cluster.local", SAME),
    ("web-1.user-svc.svc", SERVICE), ("web-1.user-svc.svc.cluster.local", SAME),
    # two labels are a pod of the caller's namespace first
    ("pair.twin", SAME), ("pair.twin.svc", SAME), ("pair.twin.svc.cluster.local", SAME), ("web-1.user-svc", SAME),
    ("quiet.default", SAME), ("pair.quiet", SHADOWED), ("pair.quiet.svc", SAME), ("pair.quiet.default", QUIET),
    ("pair.quiet.default.svc.cluster.local", QUIET), ("nobody.quiet.default", SAME),
    # pods
    ("web-0.user-svc", SAME), ("web-0.user-svc.default", SAME), ("web-0.user-svc.default.svc", SAME),
    ("web-0.user-svc.default.svc.cluster.local", SAME), ("web-0.user-svc.default.svc.cluster.local.", SAME),
    ("WEB-1.User-Svc.Default", SAME), ("web-1.user-svc.default.svc.cluster.local", SAME),
    ("web-0.user-svc.shop", SAME), ("web-0.user-svc.shop.svc.cluster.local", SAME),
    ("web-1.user-svc.svc.svc.cluster.local", SAME), ("web-1.user-svc.svc.svc", SAME),
    ("pair.twin.default", SAME), ("pair.twin.default.svc.cluster.local", SAME),
    ("web-0.user-svc.", SAME), ("web-0.user-svc.default.", SAME), ("web-0.user-svc.default.svc.", SAME),
    ("web-9.user-svc.default", SAME), ("web-9.user-svc.default.svc.cluster.local", SAME), ("web-9.user-svc", SAME),
    ("web-0.four.default", SAME), ("web-0", SAME), ("web-0.web-0.user-svc.default", SAME),
    ("a.web-0.user-svc.default.svc.cluster.local", SAME), ("_grpc._tcp.user-svc.default.svc.cluster.local", SAME),
    # aliases
    ("user", ALIAS), ("USER", ALIAS), ("users.internal", ALIAS), ("Users.Internal", ALIAS),
    ("deep.users.internal", ALIAS), ("users.internal.", SAME), ("users", SAME), ("x.users.internal", SAME),
    ("users.internal.default", SAME), ("users.internal.svc.cluster.local", SAME),
    ("users.internal.cluster.local", SAME), ("user.", SAME), ("user.default", SAME), ("user.default.svc", SAME),
    # localhost
    ("localhost", LOCALHOST), ("LOCALHOST", LOCALHOST), ("app.localhost", LOCALHOST), ("localhost.", SAME),
    ("localhost.default", SAME), ("localhost.default.svc.cluster.local", SAME), ("app.localhost.svc", SAME),
    ("app.localhost.svc.cluster.local.", SAME), ("other.localhost", SAME), ("localhost.localdomain", SAME),
    # not registered, not of the cluster
    ("plain", UNREGISTERED), ("plain.default", UNREGISTERED), ("plain.default.svc", UNREGISTERED),
    ("plain.default.svc.cluster.local", UNREGISTERED), ("plain.default.svc.cluster.local.", UNREGISTERED),
    ("www.example.test", FOREIGN), ("www.example.test.", FOREIGN), ("WWW.Example.Test", FOREIGN),
    ("user-svc.default.svc.example.test", FOREIGN), ("nothing.example.test", SAME), ("example.test", SAME),
    # lengths and characters
    (LABEL63, SAME), (f"{LABEL63}.default", SAME), (f"{LABEL63}.default.svc.cluster.local.", SAME),
    (f"{LABEL63}a", SAME), (f"{LABEL63}a.default", SAME), (f"{LABEL63}a.default.svc.cluster.local", SAME),
    (".".join(["a" * 49] * 6), SAME), (f"user-svc.default.svc.cluster.local{'.' * 250}", SAME),
    ("under_score.default", SAME), ("under_score", SAME), ("user-svc.default ", SAME), (" user-svc.default", SAME),
    ("user-svc,default", SAME), ("user-svc.default\t", SAME), ("user-svc.default%eth0", SAME),
    ("üser-svc.default", SAME), ("-", SAME), ("1.2.3", SAME), ("*.default", SAME), ("*", SAME),
]

# What is said of some of them in namespace shop, which has one service.
IN_SHOP = {"pair.quiet": SAME, "plain": SAME, "localhost": SAME, "LOCALHOST": SAME}


def names_of(namespace):
    return [(name, IN_SHOP.get(name, verdict) if namespace == "shop" else verdict) for name, verdict in NAMES]


SETTINGS = [
    ("default", f"default.svc.{D} svc.{D} {D}", "ndots:5"),
    ("shop", f"shop.svc.{D} svc.{D} {D}", "ndots:5"),
    ("default", f"default.svc.{D} svc.{D} {D} example.test", "ndots:2"),
]
FAMILIES = ("any", "ipv4", "ipv6")
SOURCES = {"dns": "dns", "table": "k8shsvc [NOTFOUND=return]", "both": "k8shsvc dns"}


def ask(setting, names):
    """{source: {family: {name: answer}}}"""
    _, search, options = setting
    sandbox.resolv_conf(search, options=f"{options} timeout:5 attempts:3")
    found = {}
    for source, hosts in SOURCES.items():
        sandbox.nsswitch(hosts)
        found[source] = {family: dict(zip(names, lookup.resolve_many(names, family=family, canon=True)))
                         for family in FAMILIES}
    return found


_asked = {}


def asked(setting):
    if setting not in _asked:
        _asked[setting] = ask(setting, [name for name, _ in names_of(setting[0])])
    return _asked[setting]


def short(answer):
    return answer.error or f"{' '.join(sorted(answer.addresses))} ({answer.canon})"


def same(a, b):
    """The same addresses under the same name; or no address, for whatever reason."""
    return bool(a.error) == bool(b.error) and set(a.addresses) == set(b.addresses) and \
        a.canon.lower() == b.canon.lower()


def addresses_of(service):
    return set(SERVICES[service][0])


# What the table's answer must be where it is not that of dns; dns must have one, of which it differs.

def answers_as_alias(table, _):
    return set(table.addresses) == addresses_of("user-svc.default")


def answers_as_service(table, name):
    return set(table.addresses) == addresses_of(name.removesuffix(".svc"))


def leaves_to_dns(table, _):
    return bool(table.error)


DIFFERENT = {ALIAS: answers_as_alias, SERVICE: answers_as_service, SHADOWED: answers_as_service}


def expect(name, family, verdict, dns, table, both):
    said = f"{name!r}, {family}: dns {short(dns)}; k8shsvc {short(table)}; k8shsvc dns {short(both)}"
    if verdict == SAME:
        assert same(dns, table), said
    elif family == "any":
        assert DIFFERENT.get(verdict, leaves_to_dns)(table, name), said
        assert not same(dns, table), f"no difference: {said}"
    # what is not answered by the one is answered by the other
    assert same(both, dns if table.error else table), said


ROWS = [(setting, name, verdict) for setting in SETTINGS for name, verdict in names_of(setting[0])]


@suite.each("{0[0]}, {0[2]}: {1!r:.70}: {2}", ROWS)
def name_form(setting, name, verdict):
    found = asked(setting)
    for family in FAMILIES:
        dns, table, both = (found[source][family][name] for source in ("dns", "table", "both"))
        if family == "any":
            tap.comment(f"dns: {short(dns)[:90]} | k8shsvc: {short(table)[:90]}")
        expect(name, family, verdict, dns, table, both)


@suite.test("every service of the cluster was found by some name, in both")
def all_found():
    for source in "dns", "table":
        seen = {a for s in SETTINGS for answer in asked(s)[source]["any"].values() for a in answer.addresses}
        wanted = {a for addresses, _ in SERVICES.values() for a in addresses}
        assert wanted <= seen, f"{source}: {wanted - seen}"


# ---- the cluster ----

def records(service, addresses, hosts):
    """As Kubernetes' DNS has them: addresses, host names, a named port."""
    for place, address in enumerate(addresses):
        kind = "AAAA" if ":" in address else "A"
        yield f"{service}.svc 5 IN {kind} {address}"
        if hosts:
            yield f"{hosts[place]}.{service}.svc 5 IN {kind} {address}"
    for host in sorted(set(hosts)):
        yield f"_grpc._tcp.{service}.svc 5 IN SRV 0 50 9090 {host}.{service}.svc"
        yield f"{service}.svc 5 IN SRV 0 50 9090 {host}.{service}.svc"


def set_up():
    lines = [line for service, row in {**SERVICES, **NOT_REGISTERED}.items() for line in records(service, *row)]
    server = coredns.Server({
        D: "\n".join(lines) + "\n",
        "example.test": "www 5 IN A 192.0.2.1\nwww 5 IN AAAA 2001:db8::1\nuser-svc.default.svc 5 IN A 192.0.2.2\n",
    }).start()
    sections = [f"[service {s}]\nanswers = all\nport = {'grpc' if s in LEARNT else 9090}\n" for s in SERVICES]
    daemon.configure(CONFIG + "".join(sections))
    sandbox.nsswitch("k8shsvc")
    started = lab.start_daemon(*(f"{service}.svc.{D}" for service in SERVICES))
    for service, (addresses, _) in SERVICES.items():
        lab.wait_addresses(f"{service}.svc.{D}", addresses)
    for service in LEARNT:
        addresses, hosts = SERVICES[service]
        for host in set(hosts):
            lab.wait_addresses(f"{host}.{service}.svc.{D}", [a for a, h in zip(addresses, hosts) if h == host])
    return server, started


if __name__ == "__main__":
    coredns.program()
    sandbox.enter()
    server, running = lab.set_up(set_up)
    with running:
        sys.exit(suite.run())
