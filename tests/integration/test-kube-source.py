"""The Kubernetes source against a scripted API server: what programs get while slices and pods come and go."""

import json
import sys
import time

from harness import daemon, sandbox, tap
from harness.apiserver import ApiServer, HEADLESS_LABEL, endpoint, pod, slice_of
from harness.kubescene import HEAD, Scene

suite = tap.Suite()

WEB = "[service web]\nport = 8080\n"


@suite.each("slices come, change and go ({0})", [("WatchList", True), ("pages", False)])
def life(_, streaming):
    first = slice_of("web-a", "web", ["10.1.0.1", "10.1.0.2"])
    with Scene(WEB, first, streaming=streaming) as scene:
        scene.wait("web", {"10.1.0.1": 8080, "10.1.0.2": 8080})
        second = slice_of("web-b", "web", ["10.1.0.3", endpoint("10.1.0.4", ready=False)])
        scene.server.put(second)
        scene.wait("web", ["10.1.0.1", "10.1.0.2", "10.1.0.3"])
        # the other slice's stay (kuberesolver #66)
        scene.server.put(slice_of("web-a", "web", ["10.1.0.2"]))
        scene.wait("web", ["10.1.0.2", "10.1.0.3"])
        scene.server.delete(second)
        scene.wait("web", ["10.1.0.2"])
        scene.server.put(slice_of("web-a", "web", []))
        assert scene.wait("web", "ENODATA") < 1
        scene.server.put(slice_of("web-a", "web", ["10.1.0.9", "fd00::9"][:1]), slice_of("web-6", "web", ["fd00::9"]))
        scene.wait("web", ["10.1.0.9", "fd00::9"])
        assert len(scene.server.asked("watch=1")) <= 2, [r.path for r in scene.server.requests]


@suite.test("a service without slices is empty at once, and 250 pods in three slices are all served")
def joined():
    addresses = [f"10.1.{i // 200}.{i % 200 + 1}" for i in range(250)]
    with Scene(WEB) as scene:
        scene.wait("web", "ENODATA")
        scene.server.put(*(slice_of(f"web-{i}", "web", addresses[i * 100:i * 100 + 110]) for i in range(3)))
        scene.wait("web", addresses)


@suite.test("a busy watch: 100 changes a second wake the daemon less often, and all arrive")
def busy():
    with Scene(WEB, slice_of("web-a", "web", ["10.1.0.1"])) as scene:
        scene.wait("web", ["10.1.0.1"])
        begin, sleeps = time.monotonic(), scene.daemon.n_sleeps()
        for i in range(300):
            time.sleep(max(0, begin + i / 100 - time.monotonic()))
            scene.server.put(slice_of("web-a", "web", [f"10.1.1.{i % 200}"]))
        seconds = time.monotonic() - begin
        sleeps = scene.daemon.n_sleeps() - sleeps
        tap.comment(f"{sleeps} in {seconds:.1f} s")
        assert sleeps < 100 * seconds, f"{sleeps} in {seconds:.1f} s"
        scene.wait("web", ["10.1.1.99"])


@suite.test("max-stale = 2s and no change: an open watch confirms its services, one that is lost does not")
def confirmed():
    with Scene(WEB, slice_of("web-a", "web", ["10.1.0.1"]), head=HEAD + "max-stale = 2s\n") as scene:
        scene.wait("web", {"10.1.0.1": 8080})
        until = time.monotonic() + 8
        while time.monotonic() < until:
            assert scene.api.lookup("web") == {"10.1.0.1": 8080}, scene.daemon.log()
            time.sleep(0.02)
        scene.server.close()
        assert scene.wait("web", "ESTALE", 4) > 1


@suite.test("ports of slices, by name and by number, and ordinals")
def ports():
    with Scene("[service web]\nport = http\n[service db]\nport = 3000+\n",
               slice_of("web-a", "web", ["10.1.0.1"], [("http", 8080)]),
               slice_of("web-b", "web", ["10.1.0.2"], [("http", 9090), ("m", 1)]),
               slice_of("db-a", "db", [endpoint(f"10.2.0.{i}", hostname=f"db-{i}") for i in range(1, 4)])) as scene:
        scene.wait("web", {"10.1.0.1": 8080, "10.1.0.2": 9090})
        scene.wait("db", {"10.2.0.1": 3001, "10.2.0.2": 3002, "10.2.0.3": 3003})


@suite.test("include = ready, serving, all")
def include():
    states = [endpoint("10.1.0.1"), endpoint("10.1.0.2", ready=False),
              endpoint("10.1.0.3", ready=False, serving=False),
              endpoint("10.1.0.4", ready=False, serving=True, terminating=True)]
    sections = "".join(f"[service {name}]\ninclude = {name}\n" for name in ("ready", "serving", "all"))
    with Scene(sections, *(slice_of(f"{n}-a", n, states) for n in ("ready", "serving", "all"))) as scene:
        scene.wait("ready", ["10.1.0.1"])
        scene.wait("serving", ["10.1.0.1", "10.1.0.2", "10.1.0.4"])
        scene.wait("all", ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"])
        # nothing is ready: those that still serve while they terminate
        scene.server.put(slice_of("ready-a", "ready", states[1:]))
        scene.wait("ready", ["10.1.0.4"])


@suite.test("more than 5,000 endpoints: the first in address order, told once")
def many():
    addresses = [f"10.{i // 62500 + 1}.{i // 250 % 250}.{i % 250 + 1}" for i in range(6000)]
    with Scene(WEB, *(slice_of(f"web-{i:02}", "web", addresses[i * 1000:i * 1000 + 1000]) for i in range(6))) as scene:
        scene.wait("web", addresses[:5000], 20)
        scene.server.put(slice_of("web-05", "web", addresses[5000:5500]))
        time.sleep(0.5)
        scene.wait("web", addresses[:5000])
        assert scene.daemon.log().count("more than 5000 addresses") == 1, scene.daemon.log()


@suite.test("a registration that comes or goes leaves the others alone")
def registrations():
    with Scene(WEB, slice_of("web-a", "web", ["10.1.0.1"]), slice_of("db-a", "db", ["10.2.0.1"])) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.configure(WEB + "[service db]\n")
        deadline = time.monotonic() + 10
        while scene.api.lookup("db") != {"10.2.0.1": 0}:
            assert scene.api.lookup("web") == {"10.1.0.1": 8080}
            assert time.monotonic() < deadline, scene.daemon.log()
        scene.server.put(slice_of("web-a", "web", ["10.1.0.2"]))
        scene.wait("web", ["10.1.0.2"])
        n = len(scene.server.asked("watch=1"))
        scene.configure(WEB)
        scene.wait("db", "ENOENT")
        scene.server.put(slice_of("web-a", "web", ["10.1.0.3"]))
        scene.wait("web", ["10.1.0.3"])
        assert len(scene.server.asked("watch=1")) == n, "the watch that there is was enough"


def slow_lists(server, request):
    """Of selectors by name."""
    if " in (" in request.query.get("labelSelector", "") and "resourceVersion" not in request.query:
        time.sleep(1)


@suite.test("a service is not seen empty before its own watch has listed: one that is new, one that gets a section")
def uncovered():
    with Scene("[namespace default]\nservices = headless\n[service web]\n", slice_of("web-a", "web", ["10.1.0.1"]),
               slice_of("db-a", "db", ["10.2.0.1"]), slice_of("ip-a", "ip", ["10.3.0.1"], headless=False)) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.wait("db", ["10.2.0.1"])
        scene.server.script = slow_lists
        scene.configure("[namespace default]\nservices = headless\n" + "".join(f"[service {s}]\n" for s in ("web", "db", "ip")))
        seen = {name: set() for name in ("web", "db", "ip")}
        until = time.monotonic() + 4
        while time.monotonic() < until:
            for name, found in seen.items():
                found.add(str(scene.api.lookup(name)))
        assert seen["web"] == {"{'10.1.0.1': 0}"} and seen["db"] == {"{'10.2.0.1': 0}"}, seen
        assert "{'10.3.0.1': 0}" in seen["ip"] and "ENODATA" not in seen["ip"], seen


@suite.test("2,000 services of a namespace: one watch; one more: a second one")
def many_services():
    names = [f"service-{i:04}" for i in range(2000)]
    sections = "".join(f"[service {n}]\n" for n in names)
    slices = [slice_of(f"{n}-a", n, [f"10.{i // 250 + 1}.0.{i % 250 + 1}"]) for i, n in enumerate(names)]
    with Scene(sections, *slices, slice_of("other", "other", ["10.9.9.9"]), streaming=False) as scene:
        scene.wait("service-1999", ["10.8.0.250"], 20)
        def watches():
            return [w.query["labelSelector"] for w in scene.server.asked("&resourceVersion=")]
        sandbox.wait_until(watches, 5, "a watch")
        assert watches() == ["kubernetes.io/service-name"], watches()
        assert len(scene.server.asked("continue=")) == 4
        assert scene.api.lookup("other") == "ENOENT"
        since = time.monotonic()
        scene.configure(sections + "[service other]\n")
        scene.wait("other", ["10.9.9.9"], 10)
        lists = [r.query["labelSelector"] for r in scene.server.asked("limit=", since)]
        assert lists == ["kubernetes.io/service-name in (other)"], lists


@suite.test("hosts = no, and back to auto: ports and names are there at once, not with the next change")
def hosts_again():
    web = slice_of("web-a", "web", [endpoint("10.1.0.1", hostname="web-0")], [("grpc", 9000)])
    with Scene("[service web]\nport = grpc\nhosts = no\n", web) as scene:
        scene.wait("web", {"10.1.0.1": 0})
        scene.configure("[service web]\nport = grpc\n")
        scene.wait("web", {"10.1.0.1": 9000})
        scene.wait("web-0.web.default.svc.cluster.local", {"10.1.0.1": 9000})


@suite.test("[namespace]: headless services appear and go by themselves")
def discovery():
    with Scene("[namespace default]\nservices = headless\ninclude = all\n[service web]\n",
               slice_of("web-a", "web", [endpoint("10.1.0.1"), endpoint("10.1.0.2", ready=False)]),
               slice_of("db-a", "db", [endpoint("10.2.0.1", ready=False)]),
               slice_of("ip-a", "ip", ["10.3.0.1"], headless=False)) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.wait("db", ["10.2.0.1"])
        assert scene.api.lookup("ip") == "ENOENT"
        new = slice_of("new-a", "new", ["10.4.0.1"])
        scene.server.put(new)
        assert scene.wait("new", ["10.4.0.1"]) < 1
        time.sleep(1.5)  # it stands in the set now
        scene.server.put(slice_of("new-a", "new", ["10.4.0.2"]))
        scene.wait("new", ["10.4.0.2"])
        scene.server.delete(new)
        assert scene.wait("new", "ENOENT") < 2
        scene.configure("[namespace default]\nservices = headless\n")
        scene.wait("web", ["10.1.0.1"])
        scene.wait("db", "ENODATA")
        watches = [r.query["labelSelector"] for r in scene.server.asked("watch=1")]
        assert any(w.startswith(HEADLESS_LABEL) for w in watches), watches


@suite.test("[pods]: by label, ready ones, and their containers' ports")
def pods():
    labels = {"app": "worker", "tier": "front"}
    with Scene("[pods worker]\nselector = app=worker,tier!=canary\nport = http\n",
               pod("p1", "10.1.0.1", labels, ports=[("http", 8080)]),
               pod("p2", "10.1.0.2", labels, ready=False, ports=[("http", 8080)]),
               pod("p3", "10.1.0.3", {**labels, "tier": "canary"}),
               pod("p4", "10.1.0.4", {"app": "other"})) as scene:
        scene.wait("worker", {"10.1.0.1": 8080})
        scene.server.put(pod("p2", "10.1.0.2", labels, ports=[("http", 9090)]))
        scene.wait("worker", {"10.1.0.1": 8080, "10.1.0.2": 9090})
        gone = pod("p1", "10.1.0.1", labels)
        scene.server.delete(gone)
        scene.wait("worker", {"10.1.0.2": 9090})


@suite.test("[pods] with go-micro: addresses and ports as they were registered")
def go_micro():
    def registered(name, address, nodes, ready=True):
        value = nodes if isinstance(nodes, str) else json.dumps({"name": "greeter", "nodes": [{"address": n} for n in nodes]})
        return pod(name, address, {"micro.mu/selector-greeter": "service"}, ready,
                   annotations={"micro.mu/service-greeter": value})

    with Scene("[pods greeter]\ngo-micro = greeter\n",
               registered("p1", "10.1.0.1", ["10.1.0.1:4711"]), registered("p2", "10.1.0.2", ["10.1.0.2:4712"], ready=False),
               registered("p3", "10.1.0.3", "{broken")) as scene:
        scene.wait("greeter", {"10.1.0.1": 4711})
        assert "pod p3: left out" in scene.daemon.log()


@suite.test("a bad slice costs itself, is told once, and what was known stays")
def bad_slices():
    with Scene(WEB, slice_of("web-a", "web", ["10.1.0.1", "127.0.0.1", "bogus"]), slice_of("web-b", "web", ["10.1.0.2"])) as scene:
        scene.wait("web", ["10.1.0.1", "10.1.0.2"])
        broken = slice_of("web-b", "web", ["10.1.0.3"])
        broken["endpoints"] = "none"
        for _ in range(5):
            scene.server.put(broken)
        scene.server.put(slice_of("web-c", "web", ["10.1.0.4"]))
        scene.wait("web", ["10.1.0.1", "10.1.0.2", "10.1.0.4"])
        assert scene.daemon.log().count("slice web-b: left out") == 1, scene.daemon.log()
        assert scene.daemon.log().count("slice web-a: left out") == 1, scene.daemon.log()


@suite.test("[namespace]: after a restart with the API away all is still served; what is gone meanwhile leaves when it is back")
def restart():
    gone = slice_of("db-a", "db", ["10.2.0.1"])
    with Scene("[namespace default]\nservices = headless\n", slice_of("web-a", "web", ["10.1.0.1"]), gone) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.wait("db", ["10.2.0.1"])
        scene.daemon.kill()
        scene.server.close()
        scene.daemon = daemon.Daemon()
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert scene.api.lookup("web") == {"10.1.0.1": 0} and scene.api.lookup("db") == {"10.2.0.1": 0}
            time.sleep(0.02)
        scene.server.listen()
        scene.server.delete(gone)
        scene.wait("db", "ENOENT", 15)
        scene.wait("web", ["10.1.0.1"])


LIVE = """[daemon]
source = kubernetes
namespace = default
api-server = http://127.0.0.1:8001
[service web]
[service db]
order = zone
[service web.shop]
[service local]
source = static
endpoints = 10.0.0.1
[pods worker]
selector = app=worker
"""


@suite.test("--check-config --live: a line for each right, and the Roles that are missing")
def live():
    def ended(allows, *arguments):
        with ApiServer() as server:
            server.allows = allows
            daemon.configure(LIVE)
            return daemon.Ended("--check-config", "--live", *arguments), server

    end, server = ended(lambda a: True)
    assert end.status == 0 and not end.stderr, end
    assert end.stdout.splitlines() == [
        "# default: list on endpointslices.discovery.k8s.io: allowed", "# default: watch on endpointslices.discovery.k8s.io: allowed",
        "# shop: list on endpointslices.discovery.k8s.io: allowed", "# shop: watch on endpointslices.discovery.k8s.io: allowed",
        "# default: list on pods: allowed", "# default: watch on pods: allowed", "# get on nodes: allowed"], end
    end, server = ended(lambda a: a["resource"] != "nodes")
    assert end.status == 0 and "# get on nodes: missing, but not needed" in end.stdout, end
    end, server = ended(lambda a: a.get("namespace") != "shop" or a["verb"] != "watch")
    assert end.status == 1 and "# shop: watch on endpointslices.discovery.k8s.io: MISSING" in end.stdout, end
    role = end.stdout[end.stdout.index("---"):end.stdout.index("# default: list on pods")]
    assert role == """---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: k8shsvc
  namespace: shop
rules:
  - apiGroups: ["discovery.k8s.io"]
    resources: [endpointslices]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: k8shsvc
  namespace: shop
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: k8shsvc
subjects:
  - kind: ServiceAccount
    namespace: k8shsvc
    name: k8shsvc
""", role
    daemon.configure(LIVE)
    end = daemon.Ended("--check-config", "--live")
    assert end.status == 1 and len(end.lines()) == 1 and "kubernetes: " in end.lines()[0], end
    daemon.configure("[daemon]\nsource = kubernetes\nkubeconfig = /nonexistent\n[service web.default]\n")
    end = daemon.Ended("--check-config", "--live")
    assert end.status == 1 and len(end.lines()) == 1 and "/nonexistent: No such file" in end.lines()[0], end
    daemon.configure("[service web.default]\nsource = static\n")
    end = daemon.Ended("--check-config", "--live")
    assert end.status == 0 and end.stdout == "# no section uses the Kubernetes source\n", end
    assert daemon.Ended("--live").status == 2


if __name__ == "__main__":
    sandbox.enter()
    sys.exit(suite.run())
