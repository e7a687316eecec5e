"""Which names are answered: those that the cluster's DNS with a pod's resolv.conf answers, and no others.

nsswitch.conf asks nothing but k8shsvc: a name that is not ours is not found.
"""

import sys

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

USER, OTHER, LONG = "10.244.0.10", "10.244.0.20", "10.244.0.30"
LABEL63 = "a" * 63
SERVICES = {"user-svc.default": USER, "user-svc.shop": OTHER, f"{LABEL63}.default": LONG}
CONFIG = f"""
[daemon]
source = dns
{{namespace}}
[service user-svc.default]
alias = user users.internal deep.users.internal
[service user-svc.shop]
[service {LABEL63}.default]
"""
POD_SEARCH = "default.svc.cluster.local svc.cluster.local cluster.local"

ALWAYS = [
    ("user-svc.default", USER),
    ("user-svc.default.svc", USER),
    ("user-svc.default.svc.cluster.local", USER),
    ("user-svc.default.svc.cluster.local.", USER),
    ("USER-SVC.DEFAULT", USER),
    ("User-Svc.Default.Svc", USER),
    ("USER-SVC.DEFAULT.SVC.CLUSTER.LOCAL", USER),
    ("USER-SVC.DEFAULT.SVC.CLUSTER.LOCAL.", USER),
    ("user-svc.shop", OTHER),
    ("user-svc.shop.svc.cluster.local", OTHER),
    ("user", USER),
    ("USER", USER),
    ("users.internal", USER),
    ("Users.Internal", USER),
    ("deep.users.internal", USER),
    (f"{LABEL63}.default", LONG),
    (f"{LABEL63}.default.svc.cluster.local.", LONG),
]

NEVER = [
    # a final dot only after .svc.D
    "user-svc.", "user-svc.default.", "user-svc.default.svc.", "user.", "users.internal.",
    # dots that part nothing
    ".user-svc.default", "user-svc..default", "user-svc.default.svc.cluster.local..", ".", "..",
    # neighbours
    "user-sv.default", "user-svcx.default", "xuser-svc.default", "user-svc.defaul", "user-svc.defaultx",
    "user-svc.default.sv", "user-svc.default.svcs", "user-svc.default.svc.cluster", "user-svc.default.svc.local",
    "user-svc.default.svc.cluster.locals", "user-svc.default.svc.cluster.loca", "user-svc.default.svc.example.test",
    "user-svc.default.cluster.local", "user-svc.default.pod.cluster.local",
    # parts of names
    "default", "svc", "cluster.local", "svc.cluster.local", "default.svc.cluster.local", "user-svc.svc.cluster.local",
    "user-svc.svc", "internal",
    # too many labels
    "a.b.user-svc.default", "a.b.user-svc.default.svc", "a.b.user-svc.default.svc.cluster.local",
    # pods whose hosts the table does not know: left to dns
    "web-0.user-svc.default", "web-0.user-svc.default.svc", "web-0.user-svc.default.svc.cluster.local",
    # an alias is taken as written
    "users", "x.users.internal", "users.internal.default", "users.internal.svc.cluster.local",
    "users.internal.cluster.local",
    # registered elsewhere
    "user-svc.kube-system", "user-svc.kube-system.svc.cluster.local",
    # never ours
    "localhost.localdomain", "user-svc.default.localhost",
    # too long: a label of 64, a name of more than 253
    f"{LABEL63}a.default", f"{LABEL63}a.default.svc.cluster.local", ".".join(["a" * 49] * 6),
    "user-svc.default.svc.cluster.local" + "." * 250,
    # characters that no name has
    "user-svc.default ", " user-svc.default", "user-svc.default\t", "user-svc,default", "user-svc.default\n",
    "user-svc.default%eth0", "user_svc.default", "üser-svc.default",
]

NO_SEARCH = [("user-svc", None), ("user-svc.", None), (LABEL63, None)]
IN_DEFAULT = [("user-svc", USER), ("USER-SVC", USER), ("user-svc.", None), (LABEL63, LONG), ("user", USER),
              ("web-0.user-svc", None), ("user-svc.default", USER), ("user-svc.shop", OTHER)]
IN_SHOP = [("user-svc", OTHER), (LABEL63, None), ("user", USER), ("user-svc.default", USER)]


def check(name, expected):
    answer = lookup.resolve(name, family="ipv4")
    if expected:
        assert answer.addresses == (expected,), answer
    else:
        assert answer.error in ("EAI_NONAME", "EAI_NODATA"), answer


def without_search():
    sandbox.resolv_conf()


@suite.each("answered without a search list: {0}", ALWAYS)
def always(name, expected):
    without_search()
    check(name, expected)


@suite.each("answered with a pod's search list: {0}", ALWAYS)
def always_with_search(name, expected):
    sandbox.resolv_conf(POD_SEARCH, options="ndots:5")
    check(name, expected)


@suite.each("not answered: {0!r:.60}", [(name,) for name in NEVER])
def never(name):
    without_search()
    check(name, None)


@suite.test("none of these is answered with a pod's search list either")
def never_with_search():
    sandbox.resolv_conf(POD_SEARCH, options="ndots:5")
    wrong = [(n, a) for n, a in zip(NEVER, lookup.resolve_many(NEVER, family="ipv4")) if not a.error]
    assert not wrong, wrong


@suite.each("without a search list, bare name {0:.20}: {1}", NO_SEARCH)
def bare(name, expected):
    without_search()
    check(name, expected)


@suite.each("in namespace default by the search list, {0:.20}: {1}", IN_DEFAULT)
def in_default(name, expected):
    sandbox.resolv_conf(POD_SEARCH, options="ndots:5")
    check(name, expected)


@suite.each("in namespace shop by the search list, {0:.20}: {1}", IN_SHOP)
def in_shop(name, expected):
    sandbox.resolv_conf("shop.svc.cluster.local svc.cluster.local cluster.local", options="ndots:5")
    check(name, expected)


@suite.each("search list {0!r}: {1}", [
    ("example.test", None),
    ("svc.cluster.local cluster.local", None),
    ("example.test shop.svc.cluster.local", OTHER),
    ("shop.svc.cluster.local default.svc.cluster.local", OTHER),
    ("SHOP.SVC.Cluster.Local", OTHER),
    ("a.shop.svc.cluster.local", None),
    ("shop.svc.example.test", None),
])
def other_search_lists(search, expected):
    sandbox.resolv_conf(search)
    check("user-svc", expected)


@suite.each("gethostbyname of {0}", [row for row in ALWAYS if row[1] == USER])
def gethostbyname(name, expected):
    without_search()
    answer = lookup.resolve(name, call="gethostbyname")
    assert answer.addresses == (expected,), answer
    assert answer.canon == "user-svc.default.svc.cluster.local", answer


@suite.test("localhost and names below it are never ours")
def localhost():
    without_search()
    for name in "localhost", "LOCALHOST", "a.localhost", "localhost.":
        check(name, None)


@suite.test("namespace = in the configuration completes bare names where the caller has no search list")
def configured_namespace():
    daemon.configure(CONFIG.format(namespace="namespace = default"))
    without_search()
    running[0].kill()
    running[0] = lab.start_daemon("user-svc")
    check("user-svc", USER)
    check("user-svc.", None)
    # the caller's own search list still comes first
    sandbox.resolv_conf("shop.svc.cluster.local")
    check("user-svc", OTHER)


@suite.test("cluster-domain = another domain")
def cluster_domain():
    daemon.configure("[daemon]\ncluster-domain = example.test\n[service user-svc.default]\n")
    without_search()
    server.set("user-svc.default.svc.example.test.", [OTHER], zone="example.test")
    running[0].kill()
    running[0] = lab.start_daemon("user-svc.default.svc.example.test")
    check("user-svc.default.svc.example.test", OTHER)
    check("user-svc.default.svc.example.test.", OTHER)
    check("user-svc.default", OTHER)
    check("user-svc.default.svc.cluster.local", None)
    assert lookup.resolve("user-svc.default", canon=True).canon == "user-svc.default.svc.example.test"


def set_up():
    sandbox.nsswitch("k8shsvc")
    dns_server = lab.start_dns({service: ([address], 2) for service, address in SERVICES.items()})
    daemon.configure(CONFIG.format(namespace=""))
    return dns_server, lab.start_daemon(*(f"{s}.svc.cluster.local" for s in SERVICES))


if __name__ == "__main__":
    sandbox.enter()
    server, first = lab.set_up(set_up)
    running = [first]
    try:
        sys.exit(suite.run())
    finally:
        running[0].kill()
