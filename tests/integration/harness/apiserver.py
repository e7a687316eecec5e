"""A scripted Kubernetes API server: lists and watches of what the test puts in, and every fault there is.

It knows pages, versions, bookmarks, WatchList, and the label selectors that the daemon sends. `script`, a
function of (server, request), may answer a request in its own way: it returns True when it has.
"""

import http.server
import json
import os
import re
import socketserver
import ssl
import threading
import time
import types
import urllib.parse

from . import sandbox

SLICES, PODS, NODES = "endpointslices", "pods", "nodes"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
NAME_LABEL, HEADLESS_LABEL = "kubernetes.io/service-name", "service.kubernetes.io/headless"


def endpoint(address, **fields):
    """conditions are given as ready=, serving=, terminating=; the rest as the API spells it."""
    conditions = {k: fields.pop(k) for k in ("ready", "serving", "terminating") if k in fields}
    return {"addresses": [address], "conditions": conditions, **fields}


def slice_of(name, service, endpoints, ports=(), namespace="default", headless=True, family=None, **fields):
    """@endpoints: addresses, or what endpoint() makes; @ports: numbers, or (name, number)."""
    endpoints = [endpoint(e) if isinstance(e, str) else e for e in endpoints]
    first = endpoints[0]["addresses"][0] if endpoints else ""
    labels = {NAME_LABEL: service, **({HEADLESS_LABEL: ""} if headless else {})}
    return {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "addressType": family or ("IPv6" if ":" in first else "IPv4"),
            "endpoints": endpoints or None,
            "ports": [{"name": p[0] if isinstance(p, tuple) else "", "protocol": "TCP",
                       "port": p[1] if isinstance(p, tuple) else p} for p in ports] or None, **fields}


def pod(name, address, labels, ready=True, ports=(), annotations=None, namespace="default"):
    return {"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations or {}},
            "spec": {"nodeName": "node-1", "containers": [
                {"ports": [{"name": n, "containerPort": number} for n, number in ports]}]},
            "status": {"phase": "Running", "podIP": address,
                       "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def _selects(selector, labels):
    for term in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        match = re.fullmatch(r"\s*(\S+) in \(([^)]*)\)", term)
        if match and labels.get(match[1]) not in match[2].split(","):
            return False
        if not match and "!=" in term and labels.get(term.split("!=")[0]) == term.split("!=")[1]:
            return False
        if not match and "=" in term and "!=" not in term and labels.get(term.split("=")[0]) != term.split("=")[1]:
            return False
        if not match and "=" not in term and term.strip() not in labels:
            return False
    return True


class Ended(Exception):
    """The connection is over, as the test wants it."""


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._serve(None)

    def do_POST(self):
        self._serve(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null"))

    def _serve(self, body):
        url = urllib.parse.urlsplit(self.path)
        self.body = body
        self.route, self.query = url.path, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.at = time.monotonic()
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.is_watch = self.query.get("watch") == "1"
        api = self.server.api
        with api.changed:
            # A connection's requests share one object.
            api.requests.append(types.SimpleNamespace(path=self.path, query=self.query, token=self.token, at=self.at,
                                                      is_watch=self.is_watch, body=body, headers=self.headers))
        try:
            if api.script and api.script(api, self):
                return
            api.answer(self)
        except (OSError, Ended):
            self.close_connection = True

    # ---- what a script may do ----

    def reply(self, status, body, headers=()):
        """A whole answer; a dict is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message="", headers=()):
        self.reply(status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                            "message": message}, headers)

    def begin(self, status=200):
        """Of an answer that has no end yet."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data):
        data = data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def end(self):
        self.wfile.write(b"0\r\n\r\n")

    def abort(self):
        """Ends the connection amid the answer."""
        raise Ended


class _Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # connections end in every way here


class ApiServer:
    def __init__(self, address="127.0.0.1", port=8001, tls=None, streaming=True, bookmark_s=60.0, token=None):
        """@tls: (certificate, key) files; @streaming: it has WatchList; @token: the only good one"""
        self.address, self.port, self.streaming, self.bookmark_s, self.token = address, port, streaming, bookmark_s, token
        self.tls = tls
        self.user = "system:serviceaccount:k8shsvc:k8shsvc"
        self.allows = lambda attributes: True
        self.script = None
        self.changed = threading.Condition(threading.RLock())
        self.requests = []
        self.version = 1000
        self.oldest = 0  # a watch from before is 410
        self.objects = {}  # (resource, namespace, name): object
        self.events = []  # (version, resource, namespace, type, object, labels before)
        self.epoch = 0  # watches of an earlier one end
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def listen(self):
        self._server = _Threads((self.address, self.port), Request)
        self._server.api = self
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """As a server that dies: what is open breaks, and nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()
        self.end_watches()

    def end_watches(self):
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    # ---- what is in it ----

    def put(self, *objects):
        for o in objects:
            self._change(o, False)

    def delete(self, *objects):
        for o in objects:
            self._change(o, True)

    def _change(self, o, gone):
        resource = {"EndpointSlice": SLICES, "Pod": PODS, "Node": NODES}[o["kind"]]
        meta = o["metadata"]
        key = (resource, meta.get("namespace", ""), meta["name"])
        with self.changed:
            self.version += 1
            before = self.objects.get(key)
            o = {**o, "metadata": {**meta, "resourceVersion": str(self.version), "uid": "u"}}
            if gone:
                self.objects.pop(key, None)
            else:
                self.objects[key] = o
            kind = "DELETED" if gone else "MODIFIED" if before else "ADDED"
            self.events.append((self.version, *key[:2], kind, o, before["metadata"].get("labels", {}) if before else None))
            self.changed.notify_all()

    def forget_history(self):
        """As etcd compacts it: older versions are gone."""
        with self.changed:
            self.version += 1
            self.oldest = self.version

    def asked(self, what="", since=0.0):
        """Requests whose path with query has the text."""
        with self.changed:
            return [r for r in self.requests if what in urllib.parse.unquote(r.path) and r.at >= since]

    # ---- how it answers ----

    def answer(self, request):
        if self.token is not None and request.token != self.token:
            return request.refuse(401, "Unauthorized")
        if request.route.endswith("/selfsubjectreviews"):
            return request.reply(201, {"status": {"userInfo": {"username": self.user}}})
        if request.route.endswith("/selfsubjectaccessreviews"):
            wanted = request.body["spec"]["resourceAttributes"]
            return request.reply(201, {"status": {"allowed": self.allows(wanted)}})
        node = re.fullmatch(r"/api/v1/nodes/([^/]+)", request.route)
        match = re.fullmatch(r"/(?:apis/discovery.k8s.io|api)/v1/namespaces/([^/]+)/(endpointslices|pods)", request.route)
        if node:
            with self.changed:
                found = self.objects.get((NODES, "", node[1]))
            return request.reply(200, found) if found else request.refuse(404, "not found")
        if not match:
            return request.refuse(404, "the server could not find the requested resource")
        namespace, resource = match.groups()
        if not request.is_watch:
            return self._list(request, resource, namespace)
        if "sendInitialEvents" in request.query and not self.streaming:
            return request.refuse(422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        return self._watch(request, resource, namespace)

    def _matching(self, request, resource, namespace):
        selector = request.query.get("labelSelector", "")
        return [o for (r, n, _), o in sorted(self.objects.items())
                if (r, n) == (resource, namespace) and _selects(selector, o["metadata"].get("labels", {}))]

    def _list(self, request, resource, namespace):
        limit, at = int(request.query.get("limit", 0)), int(request.query.get("continue", "0") or 0)
        with self.changed:
            found, version = self._matching(request, resource, namespace), self.version
        page = found[at:at + limit] if limit else found
        meta = {"resourceVersion": str(version)}
        if limit and at + limit < len(found):
            meta["continue"] = str(at + limit)
        items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in page]
        request.reply(200, {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": items})

    def _watch(self, request, resource, namespace):
        selector = request.query.get("labelSelector", "")
        with self.changed:
            epoch, version = self.epoch, self.version
            initial = self._matching(request, resource, namespace) if "sendInitialEvents" in request.query else None
            at = len(self.events)
            if initial is None:
                since = int(request.query["resourceVersion"])
                if since < self.oldest:
                    return request.refuse(410, "too old resource version")
                at = next((i for i, e in enumerate(self.events) if e[0] > since), len(self.events))
        request.begin()
        for o in initial or []:
            request.send({"type": "ADDED", "object": o})
        if initial is not None:
            self.bookmark(request, version, {"k8s.io/initial-events-end": "true"})
        until = time.monotonic() + float(request.query["timeoutSeconds"])
        self._follow(request, resource, namespace, selector, at, epoch, until)

    @staticmethod
    def bookmark(request, version, annotations=None):
        request.send({"type": "BOOKMARK", "object": {"kind": "EndpointSlice", "metadata": {
            "resourceVersion": str(version), "annotations": annotations or {}}}})

    def _follow(self, request, resource, namespace, selector, at, epoch, until):
        bookmark = time.monotonic() + self.bookmark_s
        while time.monotonic() < until:
            with self.changed:
                if at == len(self.events) and self.epoch == epoch:
                    self.changed.wait(min(0.5, max(0.0, bookmark - time.monotonic())))
                events, at, version = self.events[at:], len(self.events), self.version
                if self.epoch != epoch:
                    request.abort()
            for _, r, n, kind, o, before in events:
                if (r, n) != (resource, namespace):
                    continue
                was = before is not None and _selects(selector, before)
                now = kind != "DELETED" and _selects(selector, o["metadata"].get("labels", {}))
                if was or now:
                    request.send({"type": "DELETED" if not now else "MODIFIED" if was else "ADDED", "object": o})
            if time.monotonic() >= bookmark:
                self.bookmark(request, version)
                bookmark = time.monotonic() + self.bookmark_s
        request.end()


def mount_account(token="token-1", ca=b"", namespace="default"):
    """The service account as the kubelet projects it: links through ..data, which is swapped in one step."""
    directory = f"..{time.monotonic_ns()}"
    for name, content in (("token", token), ("ca.crt", ca), ("namespace", namespace)):
        sandbox.write(f"{ACCOUNT}/{directory}/{name}", content)
        if not os.path.lexists(f"{ACCOUNT}/{name}"):
            os.symlink(f"..data/{name}", f"{ACCOUNT}/{name}")
    os.symlink(directory, f"{ACCOUNT}/..new")
    os.rename(f"{ACCOUNT}/..new", f"{ACCOUNT}/..data")
