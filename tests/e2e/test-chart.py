"""The Helm chart that packaging/chart-build makes: whether it is the same as packaging/kubernetes, and what it refuses.

    test-chart.py [REGULAR EXPRESSION]
"""

import json
import re
import sys

from cluster import churn, objects, plane
from cluster.client import collection
from cluster.readme import SOURCE, TREE, Shell, commands
from harness import lab, outside, sandbox, tap

suite = tap.Suite()

CHART = f"{TREE}/out/k8shsvc-*.tgz"
# What helm puts on top of each object.
HELM_LABELS = {"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by",
               "helm.sh/chart"}


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        self.client = self.plane.client
        self.client.apply(objects.namespace("shop"))
        self.shell = Shell(kubectl=self.plane.program("kubectl"), helm=helm())


def helm():
    path = outside.made_by("build-helm")
    if not path:
        tap.skip_all("helm can't be built here")
    return path


def version():
    with open(f"{SOURCE}/meson.build") as file:
        return re.search(r"^ *version: '(.*)',$", file.read(), re.MULTILINE).group(1)


def parse(stream):
    """One JSON object after the other; those of a List one by one."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(stream):
        obj, at = decoder.raw_decode(stream, at)
        found += obj["items"] if obj["kind"] == "List" else [obj]
        at += len(stream[at:]) - len(stream[at:].lstrip())
    return found


def rendered(command):
    """{(kind, namespace, name): object} of the YAML that a command prints, as the API server understands it."""
    found = {}
    read = "kubectl create --dry-run=client --validate=strict -o json -f -"
    for obj in parse(scene.shell.run(f"{command} | {read}").stdout):
        labels = obj["metadata"].get("labels", {})
        obj["metadata"]["labels"] = {key: value for key, value in labels.items() if key not in HELM_LABELS}
        obj["metadata"].setdefault("namespace", "default")
        found[obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]] = obj
    return found


def template(*options):
    return f"helm template k8shsvc {CHART} --namespace k8shsvc {' '.join(options)}"


@suite.test("the chart carries this version, twice the same bytes, and is what README's commands install")
def install():
    scene.shell.run(commands("Helm"))
    daemon_set = f"{collection('apps/v1', 'DaemonSet', 'k8shsvc')}/k8shsvc"

    def everywhere():
        status = scene.client.get(daemon_set)["status"]
        return status.get("numberReady") == status.get("desiredNumberScheduled") == len(plane.NODES)
    sandbox.wait_until(everywhere, churn.PATIENCE, "a daemon on every node")
    [release] = json.loads(scene.shell.run("helm list --namespace k8shsvc -o json").stdout)
    assert (release["app_version"], release["chart"]) == (version(), f"k8shsvc-{version()}"), release
    image = scene.client.get(daemon_set)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"k8shsvcd:{version()}", image
    config = scene.client.get(f"{collection('v1', 'ConfigMap', 'k8shsvc')}/k8shsvc")["data"]
    assert config.keys() == {"daemon.conf", "services.conf"}, config
    for name in "default", "shop":
        assert scene.client.find(f"{collection('rbac.authorization.k8s.io/v1', 'RoleBinding', name)}/k8shsvc")
    scene.shell.run("packaging/chart-build again && cmp again/k8shsvc-*.tgz out/k8shsvc-*.tgz")


@suite.test("with its defaults it is the base, object by object")
def as_the_base():
    chart, base = rendered(template()), rendered("kubectl kustomize packaging/kubernetes/base")
    # helm installs into a namespace that is there
    del base["Namespace", "default", "k8shsvc"]
    container = chart["DaemonSet", "k8shsvc", "k8shsvc"]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].partition(":")[0]
    assert chart.keys() == base.keys(), chart.keys() ^ base.keys()
    for key in base:
        assert chart[key] == base[key], f"{key}:\n{chart[key]}\n{base[key]}"


@suite.test("with all it can do, it is the base, the components and the policy")
def as_the_rest():
    chart = rendered(template("--set=inject.enabled=true,rights.pods=true,rights.zone=true"))
    rest = "inject/policy.yaml", "components/pods/role.yaml", "components/zone/clusterrole.yaml"
    for file in rest:
        for key, obj in rendered(f"cat packaging/kubernetes/{file}").items():
            assert chart[key] | {"metadata": None} == obj | {"metadata": None}, f"{chart[key]}\n{obj}"
    assert len(chart) == len(rendered(template())) + 7


@suite.test("with spc_t in seLinuxOptions it is the base with the component selinux")
def as_with_selinux():
    sandbox.write(f"{TREE}/overlay/kustomization.yaml", "resources: [../packaging/kubernetes/base]\n"
                  "components: [../packaging/kubernetes/components/selinux]\n")
    daemons = [rendered(command)["DaemonSet", "k8shsvc", "k8shsvc"]["spec"]["template"]["spec"]["containers"][0]
               for command in (template("--set seLinuxOptions.type=spc_t"), "kubectl kustomize overlay")]
    assert daemons[0]["securityContext"] == daemons[1]["securityContext"], daemons
    assert daemons[0]["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}


@suite.test("every value is in the schema, and the other way round")
def schema():
    values = json.loads(scene.shell.run("helm get values k8shsvc --all --namespace k8shsvc -o json").stdout)
    with open(f"{SOURCE}/packaging/kubernetes/chart/values.schema.json") as file:
        known = json.load(file)["properties"]

    def names(of):
        return {key: set(value) if key in ("image", "rights", "inject") else None for key, value in of.items()}
    described = {key: value.get("properties", {}) for key, value in known.items()
                 if key not in ("global", "enabled")}  # a parent chart's
    assert names(values) == names(described)


@suite.each("refused: {0}", [
    ("image.repository=",), ("image.pullPolicy=Sometimes",), ("images.tag=1",), ("config.services=x",),
    ("namespaces={Shop}",), ("namespaces={shop,shop}",), ("rights.pods=maybe",), ("rights.secrets=true",),
    ("metricsPort=0",), ("seLinuxOptions=spc_t",), ("maxUnavailable=0",), ("maxUnavailable=0%",), ("inject=true",),
    ("image.tag=a b",), ("image.digest=sha256:1",), ("image=null",), ("seLinuxOptions.foo=bar",),
    ("podLabels.app\\.kubernetes\\.io/name=x",),
])
def refused(value):
    result = scene.shell.run(template(f"--set '{value}'"), check=False)
    assert result.returncode != 0 and "don't meet the specifications of the schema" in result.stderr, result.stderr


@suite.test("what may be set arrives: a registry's password, nodes, resources, labels")
def settings():
    chart = rendered(template(
        "--set image.repository=mine/k8shsvcd,image.tag=v2,image.pullPolicy=Always,imagePullSecrets={one}",
        "--set nodeSelector.disk=fast,podLabels.team=a,podAnnotations.note=b,priorityClassName=,maxUnavailable=2",
        "--set resources.limits=null,tolerations=null,metricsPort=1234"))
    spec = chart["DaemonSet", "k8shsvc", "k8shsvc"]["spec"]
    metadata, pod = spec["template"]["metadata"], spec["template"]["spec"]
    container = pod["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("mine/k8shsvcd:v2", "Always")
    assert pod["imagePullSecrets"] == [{"name": "one"}] and pod["nodeSelector"] == {"disk": "fast"}
    assert "tolerations" not in pod and "priorityClassName" not in pod and "limits" not in container["resources"]
    assert metadata["labels"] == {"app.kubernetes.io/name": "k8shsvc", "team": "a"}
    assert metadata["annotations"] == {"note": "b"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 1234}]
    assert spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 2


DIGEST = "sha256:" + "0123456789abcdef" * 4


@suite.each("an image by its digest: {0}", [
    (DIGEST, "@" + DIGEST), ("", ""), ("null", ""),  # as with --reuse-values of a release that had no such value
])
def digest(value, suffix):
    chart = rendered(template(f"--set image.repository=mine/k8shsvcd,image.digest={value}"))
    [container] = chart["DaemonSet", "k8shsvc", "k8shsvc"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"mine/k8shsvcd:{version()}{suffix}", container["image"]


@suite.test("names that look like numbers stay names")
def numbers():
    chart = rendered(template("--set-string 'namespaces={10,1e3},imagePullSecrets={7},priorityClassName=8'")
                     .replace("--namespace k8shsvc", "--namespace 123"))
    pod = chart["DaemonSet", "123", "k8shsvc"]["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "7"}] and pod["priorityClassName"] == "8", pod
    for name in "10", "1e3":
        assert chart["RoleBinding", name, "k8shsvc"]["subjects"][0]["namespace"] == "123"


@suite.test("uninstalled, it leaves nothing")
def uninstall():
    scene.shell.run("helm uninstall k8shsvc --namespace k8shsvc --wait")
    kinds = "daemonsets,roles,rolebindings,serviceaccounts,configmaps,secrets"
    left = scene.shell.run(f"kubectl get {kinds} -A -o name").stdout
    assert "k8shsvc" not in left, left


if __name__ == "__main__":
    plane.programs()
    helm()
    sandbox.enter()
    scene = lab.set_up(Scene)
    sys.exit(suite.run())
