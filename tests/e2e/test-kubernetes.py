"""What only the Kubernetes source does: pods without a Service, and every service of a namespace.

    test-kubernetes.py [REGULAR EXPRESSION]
"""

import contextlib
import json
import os
import re
import sys
import time

from cluster import churn, objects, plane, source
from cluster.churn import Workload, is_ready, pod_url
from cluster.client import collection
from harness import lab, lookup, sandbox, tap
from harness.api import Api

suite = tap.Suite()

SECTIONS = {"web.shop": ""}
MORE = """
[pods worker.shop]
selector = app=worker
port = work
[pods micro.shop]
go-micro = greeter
[namespace discovered]
services = headless
"""
ESTABLISHED = "01"  # in /proc/net/tcp
# Seconds from what the API says to what a program gets.
SOON = 1


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        self.client = self.plane.client
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")
        self.web = Workload(self.client, "Deployment", "web")
        self.web.create(1)
        self.client.apply(objects.namespace("discovered"))
        self.source = source.make("kubernetes", self.plane, [*SECTIONS, "any.discovered"])
        self.source.account.grant("shop", role="components/pods/role.yaml")
        self.daemon = self.source.start_daemon(SECTIONS, more=MORE)
        self.api = Api()


def expect(name, addresses, seconds=SOON):
    """By getaddrinfo(), as any program."""
    assert addresses, "nothing is expected: this tests nothing"
    sandbox.wait_until(lambda: lookup.addresses(name) == addresses, seconds, f"{name} is {sorted(addresses)}")


def expect_ports(target, wanted, seconds=SOON):
    sandbox.wait_until(lambda: scene.api.lookup(target, "ipv4") == wanted, seconds, f"{target} is {wanted}")


def create_pods(name, replicas, ports):
    """A Deployment that no Service stands for."""
    scene.client.apply(objects.deployment(name, "shop", replicas, ports=ports))
    return scale_pods(name, replicas)


def scale_pods(name, replicas):
    scene.client.merge(f"{collection('apps/v1', 'Deployment', 'shop')}/{name}", {"spec": {"replicas": replicas}})

    def pods():
        found = scene.client.items("v1", "Pod", "shop", labelSelector=f"app={name}")
        return found if len(found) == replicas and all(map(is_ready, found)) else None
    return sandbox.wait_until(pods, churn.PATIENCE, f"{replicas} pods of {name}") if replicas else []


@suite.test("pods by label, without a Service: port of the container by its name, ready ones only")
def pods_by_label():
    pods = create_pods("worker", 3, (("work", 7070),))
    expect_ports("worker.shop", {pod["status"]["podIP"]: 7070 for pod in pods})
    scene.web.set_ready(pods[0], False)
    expect_ports("worker.shop", {pod["status"]["podIP"]: 7070 for pod in pods[1:]})
    pods = scale_pods("worker", 1)
    expect_ports("worker.shop", {pods[0]["status"]["podIP"]: 7070})
    scale_pods("worker", 0)
    expect_ports("worker.shop", "ENODATA", 2)


def register(pod, nodes):
    """As go-micro's kubernetes registry does it, from inside the pod."""
    value = nodes if isinstance(nodes, str) else json.dumps({"name": "greeter", "version": "latest", "nodes": nodes})
    scene.client.merge(pod_url(pod), {"metadata": {
        "labels": {"micro.mu/type": "service", "micro.mu/selector-greeter": "service"},
        "annotations": {"micro.mu/service-greeter": value}}})


@suite.test("go-micro's own registrations, found without go-micro: address and port as registered")
def go_micro():
    pods = create_pods("micro", 3, (("any", 1),))
    for i, pod in enumerate(pods):
        register(pod, [{"id": f"greeter-{i}", "address": f"{pod['status']['podIP']}:{40000 + i}", "metadata": {}}])
    wanted = {pod["status"]["podIP"]: 40000 + i for i, pod in enumerate(pods)}
    expect_ports("micro.shop", wanted)
    register(pods[0], "{ no JSON")
    del wanted[pods[0]["status"]["podIP"]]
    expect_ports("micro.shop", wanted)
    scene.web.set_ready(pods[1], False)
    del wanted[pods[1]["status"]["podIP"]]
    expect_ports("micro.shop", wanted)


@suite.test("a namespace's headless services: served a second after their first ready pod, gone two after their end")
def discovered():
    fresh = Workload(scene.client, "StatefulSet", "fresh", "discovered")
    fresh.create(2)
    expect("fresh.discovered.svc", fresh.addresses())
    # one with a cluster IP is none of them
    scene.client.apply(objects.service("virtual", "discovered", headless=False, selector=False))
    scene.client.delete(f"{collection('v1', 'Service', 'discovered')}/fresh")
    fresh.wait_ready(list)
    begin = time.monotonic()
    sandbox.wait_until(lambda: scene.api.lookup("fresh.discovered") == "ENOENT", 2, "it is no longer registered")
    tap.comment(f"gone after {time.monotonic() - begin:.2f} s")
    assert scene.api.lookup("virtual.discovered") == "ENOENT"


# ---- what it costs the API server ----

def watches():
    """Of EndpointSlices of a single namespace: the daemon's."""
    text = scene.client.open("GET", "/metrics").read().decode()
    of_namespace = ('verb="WATCH"', 'resource="endpointslices"', 'scope="namespace"')
    return sum(int(n) for labels, n in re.findall(r"^apiserver_longrunning_requests{(.*)} (\d+)$", text, re.M)
               if all(label in labels for label in of_namespace))


def connections():
    """Those of the daemon to the API server that are open."""
    pid, found = scene.daemon.process.pid, set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(remote.endswith(f":{plane.API[1]:04X}") and state == ESTABLISHED and f"socket:[{inode}]" in found
               for _, _, remote, state, _, _, _, _, _, inode, *_ in rows)


# Watches that there are besides: of web.shop and of the namespace discovered.
BASE = 2


@suite.each("{0} services of a namespace by their names: {1} watches, all of them over one connection",
            [(10, 1), (310, 4), (600, 1)])
def one_connection(n_services, n_watches):
    names = {f"service-with-a-name-of-forty-letters-{i:03}.many": "" for i in range(n_services)}
    scene.source.account.grant("many")
    scene.source.configure(SECTIONS | names, more=MORE)
    scene.daemon.reload()
    sandbox.wait_until(lambda: all(scene.api.lookup(name) == "ENODATA" for name in names), 20, "all are known to be empty")
    sandbox.wait_until(lambda: watches() == BASE + n_watches, 5, f"there are {n_watches} watches")
    assert connections() == 1


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    scene = lab.set_up(Scene)
    with scene.daemon:
        sys.exit(suite.run())
