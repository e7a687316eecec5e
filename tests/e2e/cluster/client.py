"""The Kubernetes API over HTTPS, as JSON, with a bearer token. Each thread has a connection of its own."""

import http.client
import json
import ssl
import threading
import time
import urllib.parse

_LATER_MAX = 30
# What a connection dies of while the API server is restarted.
BROKEN = (OSError, http.client.HTTPException)


class Refused(RuntimeError):
    """An answer of the API that is none of 2xx."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


def collection(version, kind, namespace=None):
    """The path below which objects of a kind are: ("v1", "Pod", "default") -> /api/v1/namespaces/default/pods"""
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    plural = kind.lower() + "s"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def path(obj):
    """Where an object is."""
    meta = obj["metadata"]
    return f"{collection(obj['apiVersion'], obj['kind'], meta.get('namespace'))}/{meta['name']}"


class Client:
    def __init__(self, address, token, ca):
        self._address, self.token = address, token
        self._tls = ssl.create_default_context(cafile=ca)
        self._local = threading.local()

    def open(self, method, url, body=None, kind="application/json", timeout=30):
        """The response, to be read by the caller; its status is 2xx. A server that has just been started may say
        "later", and is asked again then."""
        for _ in range(_LATER_MAX):
            response = self._send(method, url, body, kind, timeout)
            if response.status != 429:
                break
            refusal = Refused(response.status, response.read().decode(errors="replace"))
            time.sleep(float(response.headers.get("Retry-After", 1)))
        else:
            raise refusal
        if response.status >= 300:
            raise Refused(response.status, response.read().decode(errors="replace"))
        return response

    def _send(self, method, url, body, kind, timeout):
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.timeout != timeout:
            connection = self._connect(timeout)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Accept": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, url, data, headers)
            return connection.getresponse()
        except BROKEN:
            # The server has closed the connection while nobody used it: once more, on a new one.
            connection = self._connect(timeout)
            connection.request(method, url, data, headers)
            return connection.getresponse()

    def _connect(self, timeout):
        host, port = self._address
        self._local.connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
        return self._local.connection

    def call(self, method, url, body=None, kind="application/json"):
        answer = self.open(method, url, body, kind).read()
        return json.loads(answer) if answer[:1] == b"{" else answer.decode()

    def get(self, url, **query):
        return self.call("GET", url + ("?" + urllib.parse.urlencode(query) if query else ""))

    def find(self, url):
        """The object, or None."""
        try:
            return self.get(url)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def items(self, version, kind, namespace=None, **query):
        return self.get(collection(version, kind, namespace), **query)["items"]

    def apply(self, *objects):
        """As `kubectl apply --server-side --force-conflicts`."""
        for obj in objects:
            self.call("PATCH", path(obj) + "?fieldManager=test&force=true", obj, "application/apply-patch+yaml")

    def merge(self, url, change):
        """A merge patch: keys with None go."""
        return self.call("PATCH", url, change, "application/merge-patch+json")

    def delete(self, url, **options):
        """Whether it was there."""
        try:
            self.call("DELETE", url, options or None)
            return True
        except Refused as error:
            if error.status == 404:
                return False
            raise

    def make_token(self, account, namespace, seconds=600, bound=None):
        """As `kubectl create token`; bound: the object with which it ends, {"kind", "apiVersion", "name", "uid"}."""
        spec = {"expirationSeconds": seconds}
        if bound:
            spec["boundObjectRef"] = bound
        url = f"{collection('v1', 'ServiceAccount', namespace)}/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return self.call("POST", url, request)["status"]["token"]
