"""The control plane: etcd, API server, controllers, scheduler, kwok's nodes and CoreDNS, on the sandbox's loopback.

Pods are kwok's: objects with addresses, and nothing that runs. What creates, replaces and counts them, and makes
their EndpointSlices, are the real controllers.
"""

import json
import os
import secrets
import socket
import ssl
import urllib.request

from harness import coredns, outside, sandbox, tap

from . import objects
from .client import BROKEN, Client
from .component import HOME, PATIENCE, Component

API, ETCD = ("127.0.0.1", 6443), "http://127.0.0.1:2379"
_PEER = "http://127.0.0.1:2380"
# As pods know the API server: the first address of the Services' range, which its certificate names. It may go away.
SERVICE = "10.96.0.1"
CA = f"{HOME}/apiserver.crt"
ADMIN = f"{HOME}/admin.kubeconfig"
TTL = 5
DOMAIN = "cluster.local"
NODES = {"node-a1": "zone-a", "node-a2": "zone-a", "node-b1": "zone-b", "node-b2": "zone-b"}
# How long a node may be silent, and how long pods stay on one that is.
NODE_GRACE, EVICTION = 6, 2

_CONTROLLERS = ("endpointslice", "endpoints", "serviceaccount", "serviceaccount-token", "namespace", "garbage-collector",
                "statefulset", "deployment", "replicaset", "daemonset", "root-ca-certificate-publisher", "node-lifecycle",
                "taint-eviction", "pod-garbage-collector")
_COREFILE = f"""\
{DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {sandbox.DNS_SERVER}
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {ADMIN} it
        pods insecure
        ttl {TTL}
    }}
    loadbalance
}}
.:53 {{
    bind {sandbox.DNS_SERVER}
    template ANY ANY . {{
        rcode NXDOMAIN
        authority ". 60 IN SOA ns.test. hostmaster.test. 1 60 60 60 60"
    }}
}}
"""


def programs():
    """The directory of the control plane's programs: to be called before sandbox.enter(), too."""
    path = outside.made_by("e2e/build", "plane", "--cached")
    if not path:
        tap.skip_all("the control plane was not built: tests/run --e2e does that")
    coredns.program()
    return path


def kubeconfig(path, user, server=f"https://{API[0]}:{API[1]}", ca=CA):
    """@user: what stands below `user:`, {"token": ...}, {"tokenFile": ...} ..."""
    named = [("clusters", "cluster", {"server": server, "certificate-authority": ca}), ("users", "user", user),
             ("contexts", "context", {"cluster": "it", "user": "it"})]
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "it",
              **{several: [{"name": "it", one: content}] for several, one, content in named}}
    sandbox.write(path, json.dumps(config), mode=0o644)


class Plane:
    def __init__(self, min_watch_seconds=1800):
        self._bin = programs()
        self._token = secrets.token_hex(16)
        os.makedirs(HOME)
        key = f"{HOME}/service-account.key"
        sandbox.run("ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", key)
        sandbox.write(f"{HOME}/tokens", f'{self._token},admin,1,"system:masters"\n')
        sandbox.write(f"{HOME}/Corefile", _COREFILE)
        kubeconfig(ADMIN, {"token": self._token})
        self.etcd = self._component("etcd", f"--data-dir={HOME}/etcd", f"--listen-client-urls={ETCD}",
                                    f"--advertise-client-urls={ETCD}", f"--listen-peer-urls={_PEER}",
                                    f"--initial-advertise-peer-urls={_PEER}", f"--initial-cluster=it={_PEER}",
                                    "--name=it", "--unsafe-no-fsync", "--log-level=warn",
                                    ready=self._etcd_answers)
        self.api_server = self._component(
            "kube-apiserver", f"--etcd-servers={ETCD}", "--bind-address=0.0.0.0", f"--advertise-address={API[0]}",
            f"--secure-port={API[1]}", f"--cert-dir={HOME}", f"--token-auth-file={HOME}/tokens",
            "--service-account-issuer=https://test", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.96.0.0/16,fd96::/112",
            "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount",
            f"--default-not-ready-toleration-seconds={EVICTION}", f"--default-unreachable-toleration-seconds={EVICTION}",
            f"--min-request-timeout={min_watch_seconds}", ready=self._api_is_ready)
        self.controllers = self._component(
            "kube-controller-manager", f"--kubeconfig={ADMIN}", f"--service-account-private-key-file={key}",
            f"--root-ca-file={CA}", "--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000",
            "--controllers=" + ",".join(f"{name}-controller" for name in _CONTROLLERS), "--node-monitor-period=500ms",
            f"--node-monitor-grace-period={NODE_GRACE}s", "--node-eviction-rate=10", "--secondary-node-eviction-rate=10")
        self.scheduler = self._component("kube-scheduler", f"--kubeconfig={ADMIN}", "--leader-elect=false",
                                         "--kube-api-qps=500", "--kube-api-burst=1000")
        stages = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stages.yaml")
        self.kwok = self._component("kwok", f"--kubeconfig={ADMIN}", f"--manage-nodes-with-label-selector={objects.ALIVE}",
                                    "--node-ip=127.0.0.1", "--node-lease-duration-seconds=4", f"--config={stages}")
        self.coredns = Component([coredns.program(), "-conf", f"{HOME}/Corefile"], ready=self._coredns_listens)
        self.client = None

    def program(self, name):
        return f"{self._bin}/{name}"

    def _component(self, name, *arguments, ready=lambda: True):
        return Component([self.program(name), *arguments], ready)

    @property
    def components(self):
        return [self.etcd, self.api_server, self.controllers, self.scheduler, self.kwok, self.coredns]

    def start_api(self):
        """What serves the API, and nothing that makes anything of it; they end with the sandbox."""
        sandbox.ip("address", "add", f"{SERVICE}/32", "dev", "eth0")
        self.etcd.start().wait_ready()
        self.api_server.start().wait_ready()
        self.client = Client(API, self._token, CA)
        return self

    def start(self):
        """All of it, with its nodes."""
        self.start_api()
        self.client.apply(*(objects.node(name, zone, i) for i, (name, zone) in enumerate(NODES.items(), 1)))
        for component in self.controllers, self.scheduler, self.kwok, self.coredns:
            component.start()
        self.coredns.wait_ready()
        sandbox.wait_until(lambda: all(not node["spec"].get("taints") for node in self.nodes()), PATIENCE, "nodes are ready")
        return self

    def nodes(self):
        return self.client.items("v1", "Node")

    def kubectl(self, *arguments, **options):
        return sandbox.run(self.program("kubectl"), f"--kubeconfig={ADMIN}", f"--cache-dir={HOME}/kubectl", *arguments,
                           **options).stdout

    def client_of(self, token):
        return Client(API, token, CA)

    # ---- nodes ----

    def lose_node(self, name):
        """Its kubelet is silent from now on: pods there are neither started nor ended."""
        self.client.merge(f"/api/v1/nodes/{name}", {"metadata": {"labels": {objects.ALIVE: None}}})

    def find_node(self, name):
        self.client.merge(f"/api/v1/nodes/{name}", {"metadata": {"labels": {objects.ALIVE: "kwok"}}})

    # ---- history ----

    def compact(self):
        """Forgets all that was before now, in etcd; the API server still has its own memory until it is restarted."""
        revision = int(_etcd("kv/range", {"key": "AA=="})["header"]["revision"])
        _etcd("kv/compaction", {"revision": revision, "physical": True})
        return revision

    # ---- whether they are there ----

    @staticmethod
    def _etcd_answers():
        try:
            with urllib.request.urlopen(f"{ETCD}/health", timeout=1) as answer:
                return json.load(answer)["health"] == "true"
        except OSError:
            return False

    def _api_is_ready(self):
        try:
            return os.path.exists(CA) and Client(API, self._token, CA).call("GET", "/readyz") == "ok"
        except (*BROKEN, ssl.SSLError, RuntimeError):
            return False

    @staticmethod
    def _coredns_listens():
        with socket.socket() as channel:
            return channel.connect_ex((sandbox.DNS_SERVER, 53)) == 0


def _etcd(call, request):
    with urllib.request.urlopen(f"{ETCD}/v3/{call}", json.dumps(request).encode(), timeout=10) as answer:
        return json.load(answer)
