"""EndpointSlices that no controller makes, by hand: what is served of them, and what CoreDNS answers.

    test-slices.py dns|kubernetes [REGULAR EXPRESSION]

Each service has slices at first, and others later; what is to be served is written down for both.
"""

import sys

from cluster import compare, objects, plane, source, views
from cluster.client import collection, path
from cluster.objects import endpoint
from harness import lab, sandbox, tap
from harness.api import Api

NAME = sys.argv[1]
NAMESPACE = "hand"
suite = tap.Suite()

ENDING = {"serving": True, "terminating": True}
ENDED = {"serving": False, "terminating": True}


def many(first, count):
    return [f"10.50.{i // 200}.{i % 200 + 1}" for i in range(first, first + count)]


def slices(*contents, ports=(("grpc", 9090),)):
    return [(content, ports) for content in contents]


def hinted(address, zone, **rest):
    return endpoint(address, zone=zone, nodeName=f"node-{zone[-1]}1", hints={"forZones": [{"name": zone}]}, **rest)


# Service: (slices at first, what is served), (slices later, what is served then). A slice: (endpoints, ports); None:
# that one is deleted.
ROWS = {
    "many": ((slices(*([endpoint(a) for a in many(i, n)] for i, n in ((0, 100), (100, 100), (200, 50)))), many(0, 250)),
             ([None, *slices([endpoint(a) for a in many(100, 100)], [endpoint(a) for a in many(200, 51)])], many(100, 151))),
    "moved": ((slices([endpoint("10.51.0.1"), endpoint("10.51.0.2")], [endpoint("10.51.0.3")]),
               ["10.51.0.1", "10.51.0.2", "10.51.0.3"]),
              (slices([endpoint("10.51.0.1"), endpoint("10.51.0.2")], [endpoint("10.51.0.2"), endpoint("10.51.0.3")]),
               ["10.51.0.1", "10.51.0.2", "10.51.0.3"])),
    "stale-twin": ((slices([endpoint("10.51.1.1", False)], [endpoint("10.51.1.1")]), ["10.51.1.1"]),
                   ([None, *slices([endpoint("10.51.1.1")])], ["10.51.1.1"])),
    "dual": ((slices([endpoint("10.51.2.1")], [endpoint("fd51::2:1")]), ["10.51.2.1", "fd51::2:1"]),
             (slices([endpoint("10.51.2.2")], [endpoint("fd51::2:1"), endpoint("fd51::2:2")]),
              ["10.51.2.2", "fd51::2:1", "fd51::2:2"])),
    "unready": ((slices([endpoint("10.51.3.1"), endpoint("10.51.3.2", False)]), ["10.51.3.1"]),
                (slices([endpoint("10.51.3.1", False), endpoint("10.51.3.2")]), ["10.51.3.2"])),
    "no-conditions": ((slices([endpoint("10.51.4.1", None), endpoint("10.51.4.2", False)]), ["10.51.4.1"]),
                      (slices([endpoint("10.51.4.2", None)]), ["10.51.4.2"])),
    "ending": ((slices([endpoint("10.51.5.1"), endpoint("10.51.5.2", False, conditions=ENDING)]), ["10.51.5.1"]),
               (slices([endpoint("10.51.5.2"), endpoint("10.51.5.1", False, conditions=ENDED)]), ["10.51.5.2"])),
    "no-ports": ((slices([endpoint("10.51.6.1")], ports=None), ["10.51.6.1"]),
                 (slices([endpoint("10.51.6.2")], ports=None), ["10.51.6.2"])),
    "hints": ((slices([hinted("10.51.7.1", "zone-a"), hinted("10.51.7.2", "zone-b")]), ["10.51.7.1", "10.51.7.2"]),
              (slices([hinted("10.51.7.1", "zone-a"), endpoint("10.51.7.3", zone="zone-b")]), ["10.51.7.1", "10.51.7.3"])),
    "hosts": ((slices([endpoint("10.51.8.1", hostname="h-0"), endpoint("10.51.8.2", hostname="h-1")]),
               ["10.51.8.1", "10.51.8.2"]),
              (slices([endpoint("10.51.8.3", hostname="h-0"), endpoint("10.51.8.2", hostname="h-1")]),
               ["10.51.8.3", "10.51.8.2"])),
    "emptied": ((slices([endpoint("10.51.9.1")], [endpoint("10.51.9.2")]), ["10.51.9.1", "10.51.9.2"]),
                (slices([], [endpoint("10.51.9.2")]), ["10.51.9.2"])),
    # none is ready: those that still serve, where the source knows of them
    "all-ending": ((slices([endpoint("10.51.10.1")]), ["10.51.10.1"]),
                   (slices([endpoint("10.51.10.1", False, conditions=ENDING),
                            endpoint("10.51.10.2", False, conditions=ENDED)]),
                    {"dns": [], "kubernetes": ["10.51.10.1"]})),
}
SERVICES = {f"{name}.{NAMESPACE}": ("ipv4", "ipv6") if name == "dual" else ("ipv4",) for name in ROWS}


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")
        client = self.plane.client
        client.apply(objects.namespace(NAMESPACE))
        for name in ROWS:
            families = ("IPv4", "IPv6") if name == "dual" else ("IPv4",)
            client.apply(objects.service(name, NAMESPACE, selector=False, families=families))
        self.apply(0)
        self.source = source.make(NAME, self.plane, SERVICES)
        self.table = views.table(Api())
        self.daemon = self.source.start_daemon({service: "answers = all\n" for service in SERVICES})
        self.comparison = compare.Comparison(client, SERVICES, [
            self.source.view(self.table), compare.View("CoreDNS", views.coredns, bound=1, interval=0.2)])
        self.comparison.check()

    def apply(self, phase):
        for name, row in ROWS.items():
            for i, piece in enumerate(row[phase][0]):
                made = objects.endpoint_slice(f"{name}-{i}", NAMESPACE, name, *(piece or ([], None)))
                if piece:
                    self.plane.client.apply(made)
                else:
                    self.plane.client.delete(path(made))


def expect(name, phase):
    wanted = ROWS[name][phase][1]
    wanted = set(wanted[NAME] if isinstance(wanted, dict) else wanted)
    service = f"{name}.{NAMESPACE}"
    found = set().union(*(scene.table(service, family) for family in SERVICES[service]))
    assert found == wanted, f"{len(found)}, not {len(wanted)}: {sorted(found ^ wanted)[:10]}"


@suite.each("{0}: as at first", [(name,) for name in ROWS])
def at_first(name):
    expect(name, 0)


@suite.test("slices change: at every moment the table has said what the API said")
def change():
    scene.apply(1)
    scene.comparison.check()


@suite.each("{0}: as later", [(name,) for name in ROWS])
def later(name):
    expect(name, 1)


@suite.test("all slices go: nothing is left")
def gone():
    scene.plane.client.call("DELETE", collection("discovery.k8s.io/v1", "EndpointSlice", NAMESPACE))
    scene.comparison.check()
    for service, families in SERVICES.items():
        for family in families:
            assert scene.table(service, family) == frozenset(), service


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    del sys.argv[1]
    scene = lab.set_up(Scene)
    with scene.daemon:
        sys.exit(suite.run())
