"""The control plane itself: that what the other tests do to it has the effect that they count on."""

import sys
import time

from cluster import churn, compare, objects, plane, truth
from cluster.account import Account
from cluster.client import collection
from harness import lab, sandbox, tap

suite = tap.Suite()
SLICES = collection("discovery.k8s.io/v1", "EndpointSlice", "shop")


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        self.client = self.plane.client
        self.account = Account(self.plane)
        self.web = churn.Workload(self.client, "Deployment", "web", families=("IPv4", "IPv6"))
        self.web.create(4)


def slices():
    return scene.client.get(SLICES)["items"]


@suite.test("a Deployment's pods are spread over two zones, and have an address of each family")
def zones():
    found = [e for e, _ in truth.endpoints("web.shop", slices(), "ipv4")]
    assert {e["zone"] for e in found} == {"zone-a", "zone-b"}, found
    assert len(truth.ready("web.shop", slices(), "ipv6")) == 4


@suite.test("slices that no controller owns stay, beside those of the controller")
def by_hand():
    by_hand = objects.endpoint_slice("by-hand", "shop", "web", [objects.endpoint("10.9.0.1")])
    scene.client.apply(by_hand)
    scene.web.client.merge(scene.web.url, {"spec": {"replicas": 2}})
    sandbox.wait_until(lambda: len(truth.ready("web.shop", slices(), "ipv4")) == 3, 30, "two pods and one by hand")
    scene.client.delete(f"{SLICES}/by-hand")
    scene.web.wait_settled()


@suite.test("a pod that takes its time to end is terminating, and serves")
def terminating():
    pod = scene.web.pods()[0]
    scene.client.merge(churn.pod_url(pod), {"metadata": {"annotations": {"test/stop": "5000ms"}}})
    scene.client.delete(churn.pod_url(pod), gracePeriodSeconds=30)

    def condition():
        found = [e for e, _ in truth.endpoints("web.shop", slices(), "ipv4") if pod["status"]["podIP"] in e["addresses"]]
        return found and [truth.condition(found[0], c) for c in ("ready", "serving", "terminating")] == [False, True, True]
    sandbox.wait_until(condition, 4, "it is terminating")
    scene.web.wait_settled()


@suite.test("rights that are taken away are missing at once, and are back at once")
def rights():
    assert scene.account.status("shop") == 403
    scene.account.grant("shop")
    sandbox.wait_until(lambda: scene.account.status("shop") == 200, 2, "granted")
    scene.account.forbid("shop")
    sandbox.wait_until(lambda: scene.account.status("shop") == 403, 2, "forbidden")
    scene.account.grant("shop")
    sandbox.wait_until(lambda: scene.account.status("shop") == 200, 2, "granted again")


@suite.test("a token ends before its time, and its successor is in the same file")
def tokens():
    scene.account.end_token()
    scene.account.renew_token()
    sandbox.wait_until(lambda: scene.account.status("shop") == 200, 2, "the new token is good")
    with open(scene.account.token_file) as file:
        assert file.read() == scene.account.token


@suite.test("kubectl talks to it")
def kubectl():
    assert scene.plane.kubectl("get", "nodes", "-o", "name").split() == [f"node/{name}" for name in plane.NODES]
    assert scene.plane.kubectl("create", "token", "k8shsvc", "-n", "k8shsvc", "--duration", "10m").count(".") == 2


@suite.test("history that was compacted is gone once the API server has been restarted: 410")
def compaction():
    old = scene.client.get(SLICES)["metadata"]["resourceVersion"]
    scene.web.scale(3)
    scene.plane.compact()
    scene.plane.api_server.restart()
    event = scene.client.open("GET", f"{SLICES}?watch=1&resourceVersion={old}").readline()
    assert b'"code":410' in event, event


@suite.test("etcd and the API server come back after a crash, with all objects")
def crashes():
    scene.plane.etcd.kill()
    scene.plane.etcd.start().wait_ready()
    scene.plane.api_server.restart()
    scene.web.scale(2)


@suite.test("an API server that is stopped for a while is silent, not gone")
def silent():
    scene.plane.api_server.pause()
    try:
        scene.client.open("GET", SLICES, timeout=1)
        raise AssertionError("it has answered")
    except TimeoutError:
        pass
    finally:
        scene.plane.api_server.resume()
    sandbox.wait_until(slices, 20, "it answers again")


def judged(look):
    """What a comparison says of a view while the Deployment is scaled up and down; "" where it is content."""
    comparison = compare.Comparison(scene.client, {"web.shop": ("ipv4",)}, [compare.View("it", look, bound=1)])
    try:
        for replicas in 4, 2:
            scene.web.scale(replicas)
            comparison.check()
        return ""
    except AssertionError as error:
        return str(error)
    finally:
        comparison.stop()


def as_the_api_says(*_):
    return truth.ready("web.shop", slices(), "ipv4")


def late(seconds):
    seen = []

    def look(*_):
        seen.append((time.monotonic(), as_the_api_says()))
        return [value for when, value in seen if when <= seen[-1][0] - seconds or value is seen[0][1]][-1]
    return look


@suite.test("a view is judged: well when it is right or a little late, not when it is late, wrong once, or no answer")
def views():
    wrong = iter([frozenset(["192.0.2.1"])])
    silent = iter(["TimeoutError"])
    assert judged(as_the_api_says) == ""
    assert judged(late(0.5)) == ""
    assert "s late" in judged(late(3))
    assert "never true" in judged(lambda *_: next(wrong, None) or as_the_api_says())
    assert "TimeoutError" in judged(lambda *_: next(silent, None) or as_the_api_says())


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    scene = lab.set_up(Scene)
    sys.exit(suite.run())
