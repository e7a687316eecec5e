"""The near pods first, as EndpointSlices of two zones have them.

    test-order.py [REGULAR EXPRESSION]
"""

import sys

from cluster import plane, source
from cluster.churn import Workload, is_ready
from harness import lab, lookup, sandbox, tap

suite = tap.Suite()

OWN_NODE, OWN_ZONE = "node-a1", "zone-a"
SECTIONS = {"near.shop": "order = zone\nanswers = all\n", "own.shop": "order = node\nanswers = all\n"}
# Seconds from what the API says to what a program gets.
SOON = 1


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        self.client = self.plane.client
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")
        self.near = Workload(self.client, "Deployment", "near")
        self.own = Workload(self.client, "Deployment", "own")
        for workload in self.near, self.own:
            workload.create(8)
        self.source = source.make("kubernetes", self.plane, SECTIONS)
        self.daemon = self.source.start_daemon(SECTIONS, f"node = {OWN_NODE}\nzone = {OWN_ZONE}\n")


def on(pods, *nodes):
    return {pod["status"]["podIP"] for pod in pods if is_ready(pod) and pod["spec"]["nodeName"] in nodes}


IN_ZONE = [node for node, zone in plane.NODES.items() if zone == OWN_ZONE]


def expect(name, addresses, seconds=SOON):
    """By getaddrinfo(), as any program."""
    assert addresses, "nothing is expected: this tests nothing"
    sandbox.wait_until(lambda: lookup.addresses(name) == addresses, seconds, f"{name} is {sorted(addresses)}")


def set_ready(workload, nodes, ready):
    """Whether the pods on these nodes are; returns once the slices say so."""
    for pod in workload.pods():
        if pod["spec"]["nodeName"] in nodes:
            workload.set_ready(pod, ready)
    workload.wait_ready(lambda: [pod for pod in workload.pods() if is_ready(pod)])


@suite.test("order = zone: near pods only; all others when the last near one goes; near ones when one is back")
def zone():
    near = scene.near
    expect("near.shop.svc", on(near.pods(), *IN_ZONE))
    set_ready(near, [OWN_NODE], False)
    expect("near.shop.svc", on(near.pods(), "node-a2"))
    set_ready(near, IN_ZONE, False)
    expect("near.shop.svc", on(near.pods(), "node-b1", "node-b2"))
    set_ready(near, ["node-a2"], True)
    expect("near.shop.svc", on(near.pods(), "node-a2"))
    set_ready(near, IN_ZONE, True)
    expect("near.shop.svc", on(near.pods(), *IN_ZONE))


@suite.test("order = node: those of the own node; else those of the zone; else all")
def node():
    own = scene.own
    expect("own.shop.svc", on(own.pods(), OWN_NODE))
    set_ready(own, [OWN_NODE], False)
    expect("own.shop.svc", on(own.pods(), "node-a2"))
    set_ready(own, IN_ZONE, False)
    expect("own.shop.svc", on(own.pods(), "node-b1", "node-b2"))
    set_ready(own, IN_ZONE, True)
    expect("own.shop.svc", on(own.pods(), OWN_NODE))


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    scene = lab.set_up(Scene)
    with scene.daemon:
        sys.exit(suite.run())
