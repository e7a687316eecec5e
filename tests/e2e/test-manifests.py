"""What packaging/kubernetes makes of a cluster: the daemon on every node, its rights, and pods that get the table.

The commands are those of README.md.

    test-manifests.py [REGULAR EXPRESSION]
"""

import re
import sys
import time

from cluster import churn, objects, plane
from cluster.churn import is_ready
from cluster.client import Refused, collection
from cluster.kubelet import Container
from cluster.readme import TREE, Shell, commands
from cluster.rights import Rights
from harness import lab, lookup, sandbox, tap
from harness.hammer import Hammer

suite = tap.Suite()

NAMESPACE = "k8shsvc"
LABEL = "k8shsvc.io/inject"
LEVEL = "pod-security.kubernetes.io/enforce"
RUNDIR = "/run/k8shsvc"
CONFIG = f"{collection('v1', 'ConfigMap', NAMESPACE)}/k8shsvc"
DAEMON_SET = f"{collection('apps/v1', 'DaemonSet', NAMESPACE)}/k8shsvc"
NAME = "user-svc.default.svc.cluster.local"


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        self.client = self.plane.client
        self.shell = Shell(kubectl=self.plane.program("kubectl"))
        taint = {"key": "test", "value": "yes", "effect": "NoSchedule"}
        self.client.merge("/api/v1/nodes/node-b2", {"spec": {"taints": [taint]}})
        self.client.apply(objects.namespace("shop"), labelled("free", LEVEL, "privileged"),
                          labelled("strict", LEVEL, "restricted"))
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")


def labelled(name, key, value):
    namespace = objects.namespace(name)
    namespace["metadata"]["labels"] = {key: value}
    return namespace


def pods(namespace, app):
    return scene.client.items("v1", "Pod", namespace, labelSelector=app)


def wait_pods(namespace, app, n):
    def ready():
        found = pods(namespace, app)
        return found if len(found) == n and all(map(is_ready, found)) else None
    return sandbox.wait_until(ready, churn.PATIENCE, f"{n} pods {app} in {namespace} are ready")


def addresses(namespace, app, n):
    return {pod["status"]["podIP"] for pod in wait_pods(namespace, f"app={app}", n)}


def daemons():
    return wait_pods(NAMESPACE, "app.kubernetes.io/name=k8shsvc", len(plane.NODES))


# ---- the DaemonSet ----

@suite.test("a daemon on every node, one with a taint, too; the API server tells each its zone")
def on_every_node():
    scene.shell.run(commands("A DaemonSet"))
    zones = {pod["spec"]["nodeName"]: pod["metadata"]["labels"][objects.ZONE] for pod in daemons()}
    assert zones == plane.NODES, zones


@suite.test("a second apply changes nothing, and keeps what was added to the ConfigMap")
def again():
    scene.client.merge(CONFIG, {"data": {"mine.conf": "[service mine.default]\n"}})
    before = scene.client.get(DAEMON_SET)["metadata"]["generation"]
    scene.shell.run("kubectl apply -k packaging/kubernetes/base && kubectl apply -k packaging/kubernetes/example")
    assert scene.client.get(CONFIG)["data"].keys() == {"daemon.conf", "services.conf", "mine.conf"}
    assert scene.client.get(DAEMON_SET)["metadata"]["generation"] == before
    scene.client.merge(CONFIG, {"data": {"mine.conf": None}})


def looked_up():
    """All that programs get of user-svc, one address at a time."""
    return {address for answer in lookup.resolve_many([NAME], count=30) for address in answer.addresses}


@suite.test("an overlay names the images")
def images():
    sandbox.write(f"{TREE}/overlay/kustomization.yaml", "resources: [../packaging/kubernetes/example]\nimages:\n"
                  "  - { name: k8shsvcd, newName: mine/daemon, newTag: '1' }\n"
                  "  - { name: k8shsvc-base, newName: mine/base }\n")
    rendered = scene.shell.run("kubectl kustomize overlay").stdout
    assert sorted(re.findall(r"image: (\S+)", rendered)) == ["mine/base", "mine/daemon:1", "user-svc"], rendered


@suite.test("the daemon serves as its pod says: root without capabilities, who writes nothing but the table")
def serves():
    # The one with a taint: no other pod is there.
    pod = next(pod for pod in daemons() if pod["spec"]["nodeName"] == "node-b2")
    wanted = addresses("default", "user-svc", 3)
    scene.kubelet = Container(scene.client, pod, "k8shsvcd")
    with scene.kubelet.start() as started:
        scene.kubelet.wait_probe("readinessProbe")
        assert scene.kubelet.probe("livenessProbe") == 0
        with open(f"/proc/{started.process.pid}/status") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1", status
        assert looked_up() == wanted


@suite.test("an update, where one pod ends and only then the next one begins, is noticed by no lookup")
def update():
    wanted = addresses("default", "user-svc", 3)
    with scene.kubelet.start() as started:
        scene.kubelet.wait_probe("readinessProbe")
        hammers = [Hammer(mode, NAME, wanted).start() for mode in ("long", "fresh")]
        assert started.terminate() == 0
    time.sleep(2)  # the next image is pulled
    with scene.kubelet.start():
        scene.kubelet.wait_probe("readinessProbe")
        assert looked_up() == wanted
        counts = [hammer.stop() for hammer in hammers]
    assert all(c["lookups"] > 100 and not c["failures"] and not c["wrong"] for c in counts), counts


@suite.test("a change of the ConfigMap is followed; the zone is the node's, though there is no right to get nodes")
def follows():
    cart = churn.Workload(scene.client, "Deployment", "cart", "shop")
    cart.create(4)
    near = {pod["status"]["podIP"] for pod in cart.pods() if plane.NODES[pod["spec"]["nodeName"]] == "zone-b"}
    assert 0 < len(near) < 4, near
    with scene.kubelet.start():
        scene.client.merge(CONFIG, {"data": {"cart.conf": "[service cart.shop]\norder = zone\nanswers = all\n"}})
        scene.kubelet.sync()
        sandbox.wait_until(lambda: lookup.addresses("cart.shop.svc.cluster.local") == near, 5, f"cart.shop is {near}")
    scene.client.merge(CONFIG, {"data": {"cart.conf": None}})


# ---- its rights ----

SLICES = "endpointslices.discovery.k8s.io"
WATCH = {("list", SLICES), ("watch", SLICES)}


@suite.test("the ServiceAccount may list and watch EndpointSlices, in the two namespaces, and nothing else")
def exact_rights():
    own = Rights(scene.plane, NAMESPACE, "k8shsvc")
    assert {name: own.rules(name) for name in ("default", "shop", NAMESPACE, "kube-system")} == \
        {"default": WATCH, "shop": WATCH, NAMESPACE: set(), "kube-system": set()}
    for verb in "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection":
        allowed = [own.allows(verb, *SLICES.split(".", 1), name) for name in ("default", "strict", None)]
        assert allowed == [verb in ("list", "watch"), False, False], (verb, allowed)


@suite.test("the components add theirs: pods to list and watch, nodes to get")
def components():
    sandbox.write(f"{TREE}/overlay/kustomization.yaml", "namespace: shop\ncomponents:\n"
                  "  - ../packaging/kubernetes/components/pods\n  - ../packaging/kubernetes/components/zone\n")
    scene.shell.run("kubectl apply -k overlay")
    own = Rights(scene.plane, NAMESPACE, "k8shsvc")
    assert own.rules("shop") == WATCH | {("list", "pods"), ("watch", "pods"), ("get", "nodes")}
    assert own.rules("default") == WATCH | {("get", "nodes")}
    assert own.allows("get", "nodes")


# ---- the policy ----

def container(name, *mounts, **rest):
    return {"name": name, "image": "none", "volumeMounts": [{"name": v, "mountPath": p} for v, p in mounts], **rest}


def host_path(name, path=RUNDIR):
    return {"name": name, "hostPath": {"path": path}}


DATA = {"name": "data", "emptyDir": {}}
PLAIN = {"containers": [{"name": "a", "image": "none"}]}
FULL = {"containers": [container("a", ("data", "/data")), container("b", ("data", "/data"), ("data", "/more"))],
        "initContainers": [container("early", ("data", "/data")), container("beside", restartPolicy="Always")],
        "volumes": [DATA, host_path("other", "/run/other")]}
BARE = {"containers": [{"name": "a", "image": "none"}, {"name": "b", "image": "none"}],
        "initContainers": [{"name": "early", "image": "none"}]}
EMPTY = {"containers": [{"name": "a", "image": "none", "volumeMounts": []}], "initContainers": [], "volumes": []}
HAS_IT = {"containers": [container("a", ("mine", "/elsewhere")), container("b")],
          "volumes": [host_path("mine", RUNDIR + "/")]}
HAS_SIDECAR = {"containers": [container("a", ("mine", RUNDIR)), container("b")],
               "volumes": [{"name": "mine", "emptyDir": {}}]}
HAS_MOUNT = {"containers": [container("a", ("mine", "/var//run/k8shsvc"))],
             "volumes": [{"name": "mine", "emptyDir": {}}]}
WINDOWS = {"os": {"name": "windows"}, **PLAIN}
ON_WINDOWS = {"nodeSelector": {"kubernetes.io/os": "windows"}, **PLAIN}
ON_LINUX = {"nodeSelector": {"kubernetes.io/os": "linux"}, "os": {"name": "linux"}, **PLAIN}
HAS_NAME = {"containers": [container("a", ("k8shsvc-table", "/elsewhere"))],
            "volumes": [{"name": "k8shsvc-table", "emptyDir": {}}]}

MOUNT = {"name": "k8shsvc-table", "mountPath": RUNDIR, "readOnly": True, "mountPropagation": "HostToContainer"}
VOLUME = {"name": "k8shsvc-table", "hostPath": {"path": RUNDIR, "type": "DirectoryOrCreate"}}


def containers(spec):
    return spec["containers"] + spec.get("initContainers", [])


def create(namespace, spec, labels=None):
    """What the API server makes of it."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it", "labels": labels or {}}, "spec": spec}
    made = scene.client.call("POST", collection("v1", "Pod", namespace) + "?dryRun=All", pod)
    return made["spec"]


def names(items, but=None):
    return [item["name"] for item in items if item != but]


def is_given(asked, made):
    """Whether every container has the mount, once; anything between all and none, or a loss, is an error."""
    given = [c.get("volumeMounts", []).count(MOUNT) for c in containers(made)]
    for old, new in zip(containers(asked), containers(made), strict=True):
        assert names(new.get("volumeMounts", []), MOUNT) == names(old.get("volumeMounts", [])), new
    assert names(made.get("volumes", []), VOLUME) == names(asked.get("volumes", [])), made
    assert set(given) in ({0}, {1}) and made.get("volumes", []).count(VOLUME) == given[0], made
    return given[0] == 1


PODS = [("one container and nothing else", PLAIN), ("volumes, mounts, init containers, a sidecar", FULL),
        ("no volumes and no mounts", BARE), ("empty lists", EMPTY), ("Linux as its operating system", ON_LINUX)]


@suite.test("before there is a policy, nothing happens; README's commands give the table to what runs already")
def begin():
    scene.client.apply(objects.deployment("running", "shop", 1))
    before = wait_pods("shop", "app=running", 1)[0]
    assert not is_given(PLAIN, create("free", PLAIN, {LABEL: "enabled"}))
    apply, label, restart = commands("Injection by label").splitlines()
    scene.shell.run(f"{apply}\n{label}")
    sandbox.wait_until(lambda: is_given(PLAIN, create("shop", PLAIN)), 20, "the policy has an effect")
    sandbox.wait_until(lambda: is_given(PLAIN, create("free", PLAIN, {LABEL: "enabled"})), 20, "for single pods, too")
    scene.shell.run(restart)
    sandbox.wait_until(lambda: [pod["metadata"]["uid"] for pod in wait_pods("shop", "app=running", 1)] !=
                       [before["metadata"]["uid"]], 20, "it is started anew")
    assert is_given(before["spec"], wait_pods("shop", "app=running", 1)[0]["spec"])


@suite.each("a labelled pod with {0}", PODS)
def labelled_pod(_, spec):
    assert is_given(spec, create("free", spec, {LABEL: "enabled"}))


@suite.each("a pod in a labelled namespace with {0}", PODS)
def labelled_namespace(_, spec):
    assert is_given(spec, create("shop", spec))
    assert is_given(spec, create("shop", spec, {LABEL: "enabled"}))


@suite.each("{0} stays as it is", [
    ("a pod without a label", PLAIN, {}, "free"),
    ("a pod with another label", FULL, {LABEL: "yes"}, "free"),
    ("a pod that is exempted from its namespace's label", FULL, {LABEL: "disabled"}, "shop"),
    ("a pod that mounts the directory already", HAS_IT, {LABEL: "enabled"}, "free"),
    ("a pod with a sidecar of its own", HAS_SIDECAR, {LABEL: "enabled"}, "shop"),
    ("a pod that spells the directory in another way", HAS_MOUNT, {LABEL: "enabled"}, "free"),
    ("a pod for Windows", WINDOWS, {LABEL: "enabled"}, "free"),
    ("a pod for nodes with Windows", ON_WINDOWS, {LABEL: "enabled"}, "shop"),
    ("a pod that has our volume's name", HAS_NAME, {LABEL: "enabled"}, "free"),
])
def stays(_, spec, labels, namespace):
    assert not is_given(spec, create(namespace, spec, labels))


SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
          "seccompProfile": {"type": "RuntimeDefault"}}


@suite.test("in a restricted namespace, the label makes a pod one that is refused, since hostPath is")
def restricted():
    spec = {"containers": [container("a", securityContext=SECURE)]}
    assert not is_given(spec, create("strict", spec))
    try:
        create("strict", spec, {LABEL: "enabled"})
        raise AssertionError("it is allowed")
    except Refused as error:
        assert error.status == 403 and "hostPath" in str(error), error


# ---- the sidecar ----

def seen_by_main(kubelet, mode="ro"):
    """The addresses that a container gets which has the sidecar's directory like that."""
    mount = f"mount --bind {kubelet.volume('k8shsvc-table')} {RUNDIR} && mount -o remount,bind,{mode} {RUNDIR}"
    script = f'{mount} && exec "$@"'
    answer = sandbox.run("unshare", "--mount", "sh", "-ec", script, "sh", sandbox.RESOLVE, "--", NAME).stdout
    return set() if answer.startswith("!") else set(answer.split()[1:])


@suite.test("a sidecar needs no more than a restricted namespace allows, and serves those that mount it read-only")
def sidecar():
    scene.shell.run(commands("A sidecar"))
    scene.shell.run("kubectl apply -n strict -k packaging/kubernetes/sidecar")
    sandbox.remove_table()
    kubelet = Container(scene.client, wait_pods("strict", "app=user-client", 1)[0], "k8shsvcd")
    with kubelet.start() as started:
        kubelet.wait_probe("startupProbe")
        assert kubelet.probe("livenessProbe") == 0
        wanted = addresses("default", "user-svc", 3)
        sandbox.wait_until(lambda: seen_by_main(kubelet) == wanted, 10, f"{wanted}; the log is:\n{started.log()}")
        assert not seen_by_main(kubelet, "rw")


@suite.test("all of it goes, and leaves nothing")
def removal():
    scene.shell.run("kubectl delete -k packaging/kubernetes/inject; kubectl delete -k packaging/kubernetes/example")
    kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,daemonsets"
    left = scene.shell.run(f"kubectl get {kinds} -A -o name").stdout
    assert not left, left
    assert scene.client.find(f"/api/v1/namespaces/{NAMESPACE}") is None


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    scene = lab.set_up(Scene)
    sys.exit(suite.run())
