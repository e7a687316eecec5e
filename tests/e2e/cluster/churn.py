"""What happens to services in a cluster's life, as steps: each is done, and the controllers are done with it, at its end."""

import time

from harness import sandbox

from . import objects, plane, truth
from .client import collection

NAMESPACE = "shop"
WEB, DB = f"web.{NAMESPACE}", f"db.{NAMESPACE}"
# A Deployment of dual-stack pods, and a StatefulSet.
SERVICES = {WEB: ("ipv4", "ipv6"), DB: ("ipv4",)}
# For controllers on a busy machine, and on one whose API was away: they try again in intervals of up to 30 s, one
# after the other. Nothing is measured by it.
PATIENCE = 120


class Workload:
    """A Deployment or StatefulSet with a headless service of its name."""

    def __init__(self, client, kind, name, namespace=NAMESPACE, families=("IPv4",)):
        self.client, self.kind, self.name, self.namespace, self.families = client, kind, name, namespace, families
        self.url = f"{collection('apps/v1', kind, namespace)}/{name}"

    def create(self, replicas, labels=None, ports=(("grpc", 9090),)):
        make = objects.deployment if self.kind == "Deployment" else objects.stateful_set
        self.client.apply(objects.namespace(self.namespace),
                          objects.service(self.name, self.namespace, families=self.families, ports=ports),
                          make(self.name, self.namespace, replicas, labels=labels, ports=ports))
        self.wait_settled()

    def scale(self, replicas):
        self.client.merge(self.url, {"spec": {"replicas": replicas}})
        self.wait_settled()

    def roll(self):
        """A rolling update."""
        note = {"test/rolled": str(time.time())}
        self.client.merge(self.url, {"spec": {"template": {"metadata": {"annotations": note}}}})
        self.wait_settled()

    def pods(self):
        return self.client.items("v1", "Pod", self.namespace, labelSelector=f"app={self.name}")

    def addresses(self):
        """Of the pods that are ready, first family."""
        return {pod["status"]["podIP"] for pod in self.pods() if is_ready(pod)}

    def delete_pod(self, pod):
        self.client.delete(pod_url(pod))

    def set_ready(self, pod, ready):
        change = [{"type": "Ready", "status": "True" if ready else "False", "reason": None if ready else "Test"}]
        self.client.call("PATCH", pod_url(pod) + "/status", {"status": {"conditions": change}},
                         "application/strategic-merge-patch+json")

    def wait_settled(self, replicas=None):
        """Until all pods are new and ready and the EndpointSlices have exactly them."""
        sandbox.wait_until(lambda: self._settled(replicas), PATIENCE, f"{self.kind} {self.name} is as it is to be")

    def _settled(self, replicas):
        workload = self.client.get(self.url)
        wanted = workload["spec"]["replicas"] if replicas is None else replicas
        status = workload["status"]
        if status.get("observedGeneration") != workload["metadata"]["generation"] or \
                status.get("replicas", 0) != wanted or status.get("updatedReplicas", wanted) != wanted or \
                status.get("updateRevision") != status.get("currentRevision"):
            return False
        pods = self.pods()
        return len(pods) == wanted and all(map(is_ready, pods)) and self.in_slices(pods)

    def in_slices(self, pods):
        """Whether the API's EndpointSlices say that these and no others are ready."""
        slices = self.client.items("discovery.k8s.io/v1", "EndpointSlice", self.namespace)
        addresses = {ip["ip"] for pod in pods for ip in pod["status"].get("podIPs", [])}
        return all(truth.ready(f"{self.name}.{self.namespace}", slices, family) ==
                   {address for address in addresses if (":" in address) == (name == "IPv6")}
                   for family, name in truth.FAMILIES.items() if name in self.families)

    def wait_ready(self, pods):
        sandbox.wait_until(lambda: self.in_slices(pods()), PATIENCE, f"the slices of {self.name} follow")


def is_ready(pod):
    return not pod["metadata"].get("deletionTimestamp") and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def pod_url(pod):
    return f"{collection('v1', 'Pod', pod['metadata']['namespace'])}/{pod['metadata']['name']}"


class Churn:
    """The steps, in the order of STEPS."""

    def __init__(self, control):
        self._plane = control
        self.web = Workload(control.client, "Deployment", "web", families=("IPv4", "IPv6"))
        self.db = Workload(control.client, "StatefulSet", "db")
        self._both = self.web, self.db
        self._lost = None

    def create(self):
        self.web.create(3)
        self.db.create(3)

    def _scale(self, web, db):
        self.web.scale(web)
        self.db.scale(db)

    def scale_up(self):
        self._scale(8, 5)

    def scale_down(self):
        self._scale(2, 1)

    def scale_one_by_one(self):
        for replicas in (2, 3, 4, 3, 2, 3):
            self._scale(replicas, replicas)

    def scale_to_zero(self):
        self._scale(0, 0)

    def scale_back(self):
        self._scale(4, 3)

    def roll(self):
        for workload in self._both:
            workload.roll()

    def lose_readiness(self):
        for workload in self._both:
            workload.set_ready(workload.pods()[0], False)
            workload.wait_ready(lambda w=workload: [p for p in w.pods() if is_ready(p)])

    def regain_readiness(self):
        for workload in self._both:
            for pod in workload.pods():
                workload.set_ready(pod, True)
            workload.wait_settled()

    def delete_pods(self):
        for workload in self._both:
            workload.delete_pod(workload.pods()[0])
            workload.wait_settled()

    def lose_node(self):
        """One with a pod of the StatefulSet, which stays away as long as its node is not known to be gone."""
        self._lost = self.db.pods()[0]["spec"]["nodeName"]
        gone = [p["metadata"]["uid"] for w in self._both for p in w.pods() if p["spec"]["nodeName"] == self._lost]
        self._plane.lose_node(self._lost)
        for workload in self._both:
            sandbox.wait_until(lambda w=workload: not [p for p in w.pods() if p["metadata"]["uid"] in gone and is_ready(p)],
                               PATIENCE, "pods of the lost node are no longer ready")
        sandbox.wait_until(lambda: len(self.web.addresses()) == self.web.client.get(self.web.url)["spec"]["replicas"],
                           PATIENCE, "the Deployment has pods elsewhere")
        for workload in self._both:
            workload.wait_ready(lambda w=workload: [p for p in w.pods() if is_ready(p)])

    def give_up_node(self):
        """So the garbage collector ends its pods, and the StatefulSet's comes elsewhere, under its old name."""
        taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
        url = f"/api/v1/nodes/{self._lost}"
        taints = self._plane.client.get(url)["spec"]["taints"]
        self._plane.client.merge(url, {"spec": {"taints": [*taints, taint]}})
        for workload in self._both:
            workload.wait_settled()
        self._plane.client.delete(url)

    def return_node(self):
        names = list(plane.NODES)
        self._plane.client.apply(objects.node(self._lost, plane.NODES[self._lost], names.index(self._lost) + 1))
        self.roll()

    def delete_service(self):
        for workload in self._both:
            self._plane.client.delete(f"{collection('v1', 'Service', NAMESPACE)}/{workload.name}")
            workload.wait_ready(list)

    def create_service(self):
        for workload in self._both:
            self._plane.client.apply(objects.service(workload.name, NAMESPACE, families=workload.families))
            workload.wait_settled()


STEPS = [
    ("a Deployment scaled from 3 to 8, a StatefulSet from 3 to 5", Churn.scale_up),
    ("both scaled down, to 2 and 1", Churn.scale_down),
    ("both scaled one by one, up and down", Churn.scale_one_by_one),
    ("both scaled to zero", Churn.scale_to_zero),
    ("both scaled back", Churn.scale_back),
    ("both updated by rolling", Churn.roll),
    ("a pod of each is no longer ready", Churn.lose_readiness),
    ("it is ready again", Churn.regain_readiness),
    ("a pod of each deleted", Churn.delete_pods),
    ("a node lost", Churn.lose_node),
    ("it is given up: a pod of the StatefulSet comes elsewhere", Churn.give_up_node),
    ("the node is back, and both are updated by rolling", Churn.return_node),
    ("both services deleted", Churn.delete_service),
    ("both services created again", Churn.create_service),
]
