"""order = zone and order = node: what programs get of a service with pods in two zones, by getaddrinfo().

Node n-1 is the own one, in zone a, where n-2 is, too; n-3 is in zone b. Pod 10.1.0.X runs on node n-X.
"""

import socket
import sys
import time

from harness import daemon, lookup, sandbox, tap
from harness.apiserver import endpoint, slice_of
from harness.kubescene import HEAD, Scene

suite = tap.Suite()

ZONES = {"n-1": "a", "n-2": "a", "n-3": "b"}
NAME = "web.default.svc.cluster.local"
OURS = {f"order = {order}": f"[service web]\norder = {order}\n" for order in ("zone", "node")}


def at(node, address=None, ready=True, own="n-1", **fields):
    """The pod of a node, which `own` stands in for n-1."""
    return endpoint(address or f"10.1.0.{node[-1]}", ready=ready, zone=ZONES[node],
                    nodeName=own if node == "n-1" else node, **fields)


def node_object(name, zone):
    return {"kind": "Node", "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone} if zone else {}}}


def addresses(*last):
    return {f"10.1.0.{n}" for n in last}


def wait(scene, wanted, seconds=5, **options):
    """Until a program that asks a few times gets these addresses, all of them."""
    def seen():
        found = lookup.resolve_many([NAME], count=12, **options)
        return {a for answer in found for a in answer.addresses}
    try:
        sandbox.wait_until(lambda: seen() == wanted, seconds, "")
    except AssertionError:
        raise AssertionError(f"{sorted(seen())}, not {sorted(wanted)};\n{scene.daemon.log()}") from None


def put(scene, *endpoints):
    scene.server.put(slice_of("web-a", "web", list(endpoints), [("http", 8080)]))


@suite.each("near pods, all others when the last near one goes, near ones when it is back: {0}, answers = {1}",
            [(order, answers) for order in OURS for answers in ("auto", "single", "all")])
def life(order, answers):
    first, second, third = at("n-1"), at("n-2"), at("n-3")
    head = HEAD + "node = n-1\n"
    with Scene(OURS[order] + f"answers = {answers}\n", slice_of("web-a", "web", [first, second, third]), head=head) as scene:
        by_node = "node" in order
        wait(scene, addresses(1) if by_node else addresses(1, 2))
        assert sorted(scene.api.lookup("web")) == sorted(addresses(1) if by_node else addresses(1, 2))
        put(scene, at("n-1", ready=False), second, third)
        wait(scene, addresses(2))
        put(scene, at("n-1", ready=False), at("n-2", ready=False), third, at("n-3", "10.1.0.4"))
        wait(scene, addresses(3, 4))
        put(scene, third)
        wait(scene, addresses(3))
        put(scene, second, third)
        wait(scene, addresses(2))
        put(scene, first, second, third)
        wait(scene, addresses(1) if by_node else addresses(1, 2))
        wait(scene, addresses(1) if by_node else addresses(1, 2), call="gethostbyname")


@suite.test("the turn goes evenly round the near pods alone")
def even():
    pods = [at("n-2", f"10.1.0.{i}") for i in range(10, 16)] + [at("n-3", f"10.1.0.{i}") for i in range(20, 40)]
    with Scene(OURS["order = zone"], slice_of("web-a", "web", pods), head=HEAD + "zone = a\n") as scene:
        wait(scene, addresses(*range(10, 16)))
        firsts = [a.addresses[0] for a in lookup.resolve_many([NAME], count=600)]
        counts = {a: firsts.count(a) for a in firsts}
        assert set(counts) == addresses(*range(10, 16)) and max(counts.values()) - min(counts.values()) <= 4, counts


HOST = socket.gethostname().lower()

# How the daemon learns its place: what stands in [daemon], in the environment, which Node the API has, the own node's name.
PLACES = [
    ("zone =", "zone = a\n", None, None, "n-1"),
    ("node = and the slices' entries", "node = n-1\n", None, None, "n-1"),
    ("node = and the API's label", "node = n-9\n", None, node_object("n-9", "a"), "n-1"),
    ("NODE_NAME and the API's label", "", {"NODE_NAME": "n-9"}, node_object("n-9", "a"), "n-1"),
    ("NODE_NAME and the slices' entries, where the API has no zone", "", {"NODE_NAME": "n-1"}, node_object("n-1", ""), "n-1"),
    ("NODE_ZONE", "", {"NODE_ZONE": "a"}, None, "n-1"),
    ("the API's label, where NODE_ZONE is empty", "", {"NODE_NAME": "n-9", "NODE_ZONE": ""}, node_object("n-9", "a"), "n-1"),
    ("zone =, which wins over NODE_ZONE", "zone = a\n", {"NODE_ZONE": "b"}, None, "n-1"),
    ("the host's name, which the API knows", "", {}, node_object(HOST, "a"), "n-1"),
    ("the host's name, which a slice knows", "", {}, None, HOST),
]


@suite.each("the own zone by {0}", PLACES)
def place(_, keys, env, node, own):
    web = slice_of("web-a", "web", [at("n-1", own=own), at("n-2"), at("n-3")])
    objects = [web, node] if node else [web]
    with Scene(OURS["order = zone"], *objects, head=HEAD + keys, env=env) as scene:
        wait(scene, addresses(1, 2))


@suite.test("a zone that is learned late, and one that is configured anew")
def place_changes():
    web = slice_of("web-a", "web", [at("n-1"), at("n-2"), at("n-3")])
    with Scene(OURS["order = zone"], web, head=HEAD + "node = n-8\n") as scene:
        wait(scene, addresses(1, 2, 3))
        scene.server.put(slice_of("db-a", "web", [endpoint("10.1.0.8", nodeName="n-8", zone="b")]))
        wait(scene, addresses(3, 8))
        scene.head = HEAD + "zone = a\n"
        scene.configure(OURS["order = zone"])
        wait(scene, addresses(1, 2))
        scene.configure("[service web]\n")
        wait(scene, addresses(1, 2, 3, 8))
        scene.configure(OURS["order = zone"])
        wait(scene, addresses(1, 2))


def hinted(pod, zones=(), nodes=()):
    return {**pod, "hints": {"forZones": [{"name": z} for z in zones] or None,
                             "forNodes": [{"name": n} for n in nodes] or None}}


@suite.test("hints say who is near, where all have them and one is ours")
def hints():
    first, second, third = at("n-1"), at("n-2"), at("n-3")
    with Scene(OURS["order = zone"], slice_of("web-a", "web", [first, second, third]),
               head=HEAD + "zone = a\nnode = n-1\n") as scene:
        wait(scene, addresses(1, 2))
        put(scene, hinted(first, ["b"]), hinted(second, ["b"]), hinted(third, ["a"]))
        wait(scene, addresses(3))
        put(scene, hinted(first, ["b"]), hinted(second, ["b"]), third)
        wait(scene, addresses(1, 2))
        put(scene, hinted(first, ["a"], ["n-2"]), hinted(second, ["a"], ["n-1"]), hinted(third, ["a"], ["n-2"]))
        wait(scene, addresses(2))


@suite.test("each family by itself, and pods by their names wherever they are")
def families():
    with Scene(OURS["order = zone"], slice_of("web-a", "web", [at("n-1"), at("n-2"), at("n-3", hostname="web-3")]),
               slice_of("web-6", "web", [at("n-3", "fd00::3"), at("n-3", "fd00::4")]),
               head=HEAD + "zone = a\n") as scene:
        wait(scene, addresses(1, 2) | {"fd00::3", "fd00::4"})
        scene.server.put(slice_of("web-6", "web", [at("n-3", "fd00::3"), at("n-2", "fd00::2")]))
        wait(scene, addresses(1, 2) | {"fd00::2"})
        assert lookup.addresses("web-3." + NAME) == addresses(3)


@suite.each("after a restart with the API away the near ones are near: order = {0}", [("zone",), ("node",)])
def restart(order):
    near = addresses(1) if order == "node" else addresses(1, 2)
    with Scene(OURS[f"order = {order}"], slice_of("web-a", "web", [at("n-3", "10.0.0.3"), at("n-1"), at("n-2"), at("n-3")]),
               head=HEAD + "node = n-1\n") as scene:
        wait(scene, near)
        scene.daemon.kill()
        scene.server.close()
        scene.daemon = daemon.Daemon()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert lookup.addresses(NAME) <= near
        scene.server.listen()
        put(scene, at("n-3"))
        wait(scene, addresses(3), 15)


@suite.test("hosts = no does not make them far")
def without_hosts():
    with Scene(OURS["order = zone"] + "hosts = no\n", slice_of("web-a", "web", [at("n-1"), at("n-2"), at("n-3")]),
               head=HEAD + "zone = a\n") as scene:
        wait(scene, addresses(1, 2))


@suite.test("a source that knows no zones rotates over all")
def rotates():
    section = OURS["order = zone"] + "source = static\nendpoints = 10.1.0.1 10.1.0.2 10.1.0.3\n"
    with Scene(section, head=HEAD + "zone = a\n") as scene:
        wait(scene, addresses(1, 2, 3))
        web = slice_of("web-a", "web", [at("n-1"), at("n-2"), at("n-3")])
        scene.server.put(web)
        scene.configure(OURS["order = zone"])
        wait(scene, addresses(1, 2))
        scene.configure(section)
        wait(scene, addresses(1, 2, 3))


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc files")
    sys.exit(suite.run())
