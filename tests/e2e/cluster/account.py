"""The daemon's ServiceAccount: its rights, and tokens that end when the test wants it."""

import os
import uuid

from harness import sandbox

from . import objects, plane
from .client import Refused, collection

_ROLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../packaging/kubernetes")
# As the Roles name it.
NAME = NAMESPACE = "k8shsvc"
# The API server believes a token for so long after it has looked at it.
TOKEN_CACHE = 10


class Account:
    def __init__(self, control):
        self._client, self._plane = control.client, control
        self.token_file = f"{sandbox.HOME}/{NAME}.token"
        self.kubeconfig = f"{sandbox.HOME}/{NAME}.kubeconfig"
        self._client.apply(objects.namespace(NAMESPACE), objects.service_account(NAME, NAMESPACE))
        self.renew_token()
        plane.kubeconfig(self.kubeconfig, {"tokenFile": self.token_file}, f"https://{plane.SERVICE}:{plane.API[1]}")

    # ---- rights: those of the Roles that are shipped ----

    def grant(self, *namespaces, role="base/role.yaml"):
        for namespace in namespaces:
            self._client.apply(objects.namespace(namespace))
            self._plane.kubectl("apply", "-n", namespace, "-f", f"{_ROLES}/{role}")

    def forbid(self, *namespaces, role="base/role.yaml"):
        for namespace in namespaces:
            self._plane.kubectl("delete", "-n", namespace, "-f", f"{_ROLES}/{role}")

    # ---- tokens ----

    def renew_token(self):
        """Into the file, as the kubelet does it: whoever reads it sees the old one or the new one."""
        secret = {"apiVersion": "v1", "kind": "Secret",
                  "metadata": {"name": f"{NAME}-{uuid.uuid4().hex[:8]}", "namespace": NAMESPACE}}
        made = self._client.call("POST", collection("v1", "Secret", NAMESPACE), secret)["metadata"]
        bound = {"kind": "Secret", "apiVersion": "v1", "name": made["name"], "uid": made["uid"]}
        self._secret = f"{collection('v1', 'Secret', NAMESPACE)}/{made['name']}"
        self.token = self._client.make_token(NAME, NAMESPACE, bound=bound)
        sandbox.write(self.token_file, self.token)

    def end_token(self):
        """Before its time: it is bound to a Secret, which goes. Returns when the API server refuses it."""
        self._client.delete(self._secret)
        sandbox.wait_until(lambda: self.status() == 401, TOKEN_CACHE + 10, "the token is refused")

    def status(self, namespace="default"):
        """Of a list of the namespace's EndpointSlices with the last token: 200, 401, 403."""
        try:
            self._plane.client_of(self.token).items("discovery.k8s.io/v1", "EndpointSlice", namespace)
        except Refused as error:
            return error.status
        return 200
