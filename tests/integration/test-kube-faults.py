"""Faults of the API server and of what leads to it: the last good answer stays, and it is followed again."""

import gzip
import json
import os
import resource
import sys
import time

from harness import daemon, sandbox, scripted, tap
from harness.apiserver import ApiServer, mount_account, slice_of
from harness.kubescene import HEAD, Scene

suite = tap.Suite()

WEB = "[service web]\n"
HERE, THERE = slice_of("web-a", "web", ["10.1.0.1"]), slice_of("web-a", "web", ["10.1.0.2"])
ADDRESS = "10.96.0.20"
PKI = f"{sandbox.HOME}/pki"


def stays(scene, seconds=1.5, wanted=None):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = scene.api.lookup("web")
        assert found == (wanted or {"10.1.0.1": 0}), f"{found};\n{scene.daemon.log()}"
        assert scene.daemon.alive, scene.daemon.log()
        time.sleep(0.02)


def refuse(status, **headers):
    return lambda server, request: request.refuse(status, "no", headers.items()) or True


def send(data, status=200, end=True, headers=()):
    """A body in place of what was asked for; every request of the daemon gets it."""
    def script(server, request):
        if headers:
            request.reply(status, data, headers)
            return True
        request.begin(status)
        request.send(data)
        if not end:
            request.abort()
        request.end()
        return True
    return script


def huge(server, request):
    """One line of 200 MB."""
    request.begin()
    request.send(b'{"type":"ADDED","object":{"a":"')
    for _ in range(3200):
        request.send(b"x" * 65536)
    request.send(b'"}}\n')
    request.end()
    return True


def gone_event(server, request):
    request.begin()
    request.send({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    request.end()
    return True


BOMB = gzip.compress(json.dumps({"a": "x" * (32 << 20)}).encode())

FAULTS = [
    ("401", refuse(401)), ("403", refuse(403)), ("404", refuse(404)), ("410", refuse(410)), ("410 as an event", gone_event),
    ("422", refuse(422)), ("429", refuse(429, **{"Retry-After": "1"})), ("500", refuse(500)), ("503", refuse(503)),
    ("204", refuse(204)), ("302 to elsewhere", refuse(302, Location="http://127.0.0.1:8002/")),
    ("an answer that is cut off", send(b'{"type":"MODIFIED","object":{"kind":"Endpoi', end=False)),
    ("an answer that ends amid an object", send(b'{"type":"MODIFIED","object":{"kind":"Endpoi')),
    ("no JSON", send(b"<html><body>It works!</body></html>")),
    ("an empty answer", send(b"\n")),
    ("another kind", send({"kind": "PodList", "items": [{"kind": "Pod"}]})),
    ("events of no type", send(b'{"object":{}}\n{"type":7}\n')),
    ("a list of zeros", send(b"\0" * 4096)),
    ("a line of 200 MB", huge),
    ("gzip that nobody asked for", send(BOMB, headers=[("Content-Encoding", "gzip")])),
    ("an object of a million values", send(b'{"type":"ADDED","object":{"a":[' + b"[]," * 1000000 + b"0]}}\n")),
]


@suite.each("{0}: the answer stays, and what changed meanwhile comes when it is over", FAULTS)
def faults(_, script):
    with Scene(WEB, HERE) as scene:
        scene.wait("web", ["10.1.0.1"])
        elsewhere = ApiServer(port=8002)
        scene.server.script = script
        scene.server.end_watches()
        stays(scene)
        n = len(scene.server.requests)
        assert 1 <= n < 12, f"{n} requests"
        rss = scene.daemon.status_kib("VmHWM")
        assert rss < 100 << 10, f"{rss} KiB"
        scene.server.script = None
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 15)
        assert not elsewhere.requests, "the redirect was followed"
        elsewhere.close()


@suite.test("a proxy in the environment is nobody's business")
def proxy():
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY")}
    with Scene(WEB, HERE, env=nowhere) as scene:
        scene.wait("web", ["10.1.0.1"])


@suite.test("410 Gone: listed again within 5 s")
def gone():
    with Scene(WEB, HERE, streaming=False) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.server.put(THERE)
        scene.server.forget_history()
        time.sleep(2.1)
        since = time.monotonic()
        scene.server.put(HERE)  # not seen: the watch ends before
        scene.server.forget_history()
        scene.server.end_watches()
        sandbox.wait_until(lambda: scene.server.asked("limit=", since), 8, "a list")
        assert scene.server.asked("limit=", since)[0].at - since < 7  # a back-off after the lost connection, then 410
        scene.wait("web", ["10.1.0.1"])


@suite.test("the server dies and comes back: followed again, and DNS is asked in between after 10 s at most")
def outage():
    with Scene(WEB, HERE) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.server.close()
        stays(scene, 3)
        scene.daemon.wait_log("endpointslices of namespace default can.t be followed")
        scene.server.listen()
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 15)
        scene.daemon.wait_log("endpointslices of namespace default are followed again")


def too_old(server, request):
    """As a server that was restarted: it takes any version, and only then says that it does not have it."""
    if "resourceVersion" not in request.query:
        return False
    request.begin()
    time.sleep(1)
    request.send({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    request.end()
    return True


@suite.test("DNS knew better while the API was away: what the API had said before never comes back")
def outdated():
    dns = scripted.Server()
    dns.zone["web.default"] = (["10.1.0.2"], 1)
    with Scene(WEB, HERE, head=HEAD.replace("127.0.0.1:9", sandbox.DNS_SERVER)) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.server.close()
        scene.wait("web", ["10.1.0.2"], 25)
        scene.server.put(THERE)
        scene.server.script = too_old
        scene.server.listen()
        until = time.monotonic() + 40
        while "followed again" not in scene.daemon.log():
            assert time.monotonic() < until, scene.daemon.log()
            stays(scene, 0.1, {"10.1.0.2": 0})
        stays(scene, 3, {"10.1.0.2": 0})
    dns.close()


@suite.test("a service that is not headless keeps its pods through an outage, and through a restart of the daemon in it")
def outage_not_headless():
    dns = scripted.Server()
    dns.zone["web.default"] = (["10.96.7.7"], 1)  # its cluster IP
    with Scene(WEB, slice_of("web-a", "web", ["10.1.0.1"], headless=False),
               head=HEAD.replace("127.0.0.1:9", sandbox.DNS_SERVER)) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.server.close()
        scene.daemon.kill()
        scene.daemon = daemon.Daemon()
        stays(scene, 15)
        scene.server.listen()
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 20)
        scene.server.close()
        scene.wait("web", ["10.96.7.7"], 25)  # headless now, and what DNS says of it counts
    dns.close()


@suite.test("403: one line names the verbs, the resource, the namespace and the Role's file")
def forbidden():
    with Scene(WEB, HERE) as scene:
        scene.wait("web", ["10.1.0.1"])
        scene.server.script = refuse(403)
        scene.server.end_watches()
        scene.daemon.wait_log(r"verbs list and watch on endpointslices.discovery.k8s.io in namespace default; "
                              r"packaging/kubernetes/base/role.yaml")
        stays(scene, 4)
        assert scene.daemon.log().count("role.yaml") == 1, scene.daemon.log()


@suite.test("what comes after a bookmark and nothing else is not lost")
def bookmarks():
    with Scene(WEB, HERE, bookmark_s=0.1) as scene:
        scene.wait("web", ["10.1.0.1"])
        time.sleep(1)
        scene.server.end_watches()
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 10)


@suite.test("a connection that is dead is noticed within 45 s")
def dead():
    sandbox.ip("address", "add", f"{ADDRESS}/32", "dev", "eth0")
    token_head("token-1")
    with tls_scene(address=ADDRESS) as scene:
        scene.wait("web", ["10.1.0.1"])
        sandbox.ip("address", "del", f"{ADDRESS}/32", "dev", "eth0")
        scene.daemon.wait_log("can.t be followed", 45)
        stays(scene, 1)
        sandbox.ip("address", "add", f"{ADDRESS}/32", "dev", "eth0")
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 45)
    sandbox.ip("address", "del", f"{ADDRESS}/32", "dev", "eth0")


# ---- TLS, tokens ----

def openssl(*arguments):
    sandbox.run("openssl", *arguments, cwd=PKI)


def make_pki():
    """Two CAs; certificates of 127.0.0.1 by both, one of another name, one that has expired."""
    os.makedirs(PKI, exist_ok=True)
    for ca in "ca", "other-ca":
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "30",
                "-subj", f"/CN={ca}", "-addext", "basicConstraints=critical,CA:TRUE")
    for name, ca, alt, days in (("good", "ca", f"IP:127.0.0.1,IP:{ADDRESS},DNS:api.test", "10"),
                                ("other", "other-ca", "IP:127.0.0.1", "10"), ("name", "ca", "DNS:example.com", "10"),
                                ("expired", "ca", "IP:127.0.0.1", "-1")):
        sandbox.write(f"{PKI}/{name}.ext", f"subjectAltName={alt}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=api")
        dates = ["-days", days] if days != "-1" else ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
        try:
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
                    "-out", f"{name}.crt", "-extfile", f"{name}.ext", *dates)
        except RuntimeError:  # openssl before 3.4 has no dates here
            sandbox.write(f"{PKI}/index.txt", "")
            sandbox.write(f"{PKI}/ca.conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
                                            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", "ca.conf", "-in", f"{name}.csr", "-cert", f"{ca}.crt", "-keyfile", f"{ca}.key",
                    "-out", f"{name}.crt", "-extfile", f"{name}.ext", "-startdate", "20200101000000Z", "-enddate",
                    "20200102000000Z", "-create_serial", "-notext")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def token_head(token):
    if not os.path.exists(f"{PKI}/good.crt"):
        make_pki()
    mount_account(token, read(f"{PKI}/ca.crt"))


def tls_scene(certificate="good", address="127.0.0.1", token="token-1", port=6443):
    return Scene(WEB, HERE, head="[daemon]\nsource = kubernetes\nnamespace = default\ndns-servers = 127.0.0.1:9\n",
                 env={"KUBERNETES_SERVICE_HOST": address, "KUBERNETES_SERVICE_PORT": str(port)},
                 address=address, port=port, tls=(f"{PKI}/{certificate}.crt", f"{PKI}/{certificate}.key"), token=token)


@suite.test("in the cluster: the service account's token and CA; a token that is replaced is read after a 401")
def token():
    token_head("token-1")
    with tls_scene() as scene:
        scene.wait("web", ["10.1.0.1"])
        mount_account("token-2", read(f"{PKI}/ca.crt"))
        scene.server.token = "token-2"
        scene.server.end_watches()
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 10)
        assert "token-" not in scene.daemon.log()
        with open(f"/proc/{scene.daemon.process.pid}/cmdline") as file:
            assert "token-" not in file.read()


@suite.each("a certificate that is {0}: no request, and so no token, is sent; trusted again, it is followed", [
    ("by another CA", "other"), ("of another name", "name"), ("expired", "expired"),
])
def certificates(_, certificate):
    token_head("token-1")
    with tls_scene(certificate) as scene:
        time.sleep(2)
        assert not scene.server.requests
        scene.daemon.wait_log("can.t be followed: .*(SSL|certificate)")
        scene.server.close()
        scene.server.tls = (f"{PKI}/good.crt", f"{PKI}/good.key")
        scene.server.listen()
        scene.wait("web", ["10.1.0.1"], 20)


@suite.test("a CA that is replaced is read for the next connection")
def rotated_ca():
    token_head("token-1")
    with tls_scene() as scene:
        scene.wait("web", ["10.1.0.1"])
        mount_account("token-1", read(f"{PKI}/other-ca.crt"))
        scene.server.close()
        scene.server.tls = (f"{PKI}/other.crt", f"{PKI}/other.key")
        scene.server.listen()
        scene.server.put(THERE)
        scene.wait("web", ["10.1.0.2"], 20)


@suite.test("kubeconfig: a server by name from /etc/hosts, client certificate, tls-server-name")
def kubeconfig():
    token_head("token-1")
    config = {"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
              "clusters": [{"name": "c", "cluster": {"server": "https://api-server.test:6443",
                                                     "certificate-authority": f"{PKI}/ca.crt", "tls-server-name": "api.test"}}],
              "users": [{"name": "u", "user": {"token": "token-9", "client-certificate": f"{PKI}/name.crt",
                                               "client-key": f"{PKI}/name.key"}}]}
    sandbox.write("/etc/k8shsvc/kubeconfig", json.dumps(config))
    sandbox.write("/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 api-server.test\n")
    with Scene(WEB, HERE, head="[daemon]\nsource = kubernetes\nnamespace = default\ndns-servers = 127.0.0.1:9\n"
                               "kubeconfig = /etc/k8shsvc/kubeconfig\n",
               port=6443, tls=(f"{PKI}/good.crt", f"{PKI}/good.key"), token="token-9") as scene:
        scene.wait("web", ["10.1.0.1"])
        assert scene.server.requests[0].headers["Host"] == "api-server.test:6443", scene.server.requests[0].headers["Host"]

        # A bad one changes nothing; with another token in it, it is connected anew.
        sandbox.write("/etc/k8shsvc/kubeconfig", "current-context: [\n")
        scene.daemon.wait_log("<3>kubernetes: /etc/k8shsvc/kubeconfig", 20)
        stays(scene)
        config["users"][0]["user"]["token"] = scene.server.token = "token-10"
        scene.server.end_watches()
        scene.server.put(THERE)
        sandbox.write("/etc/k8shsvc/kubeconfig", json.dumps(config))
        scene.wait("web", ["10.1.0.2"], 60)
        scene.daemon.wait_log("/etc/k8shsvc/kubeconfig has changed")
        assert "token-" not in scene.daemon.log()


@suite.test("out of descriptors: the line says so, the answer stays, and what changed comes when there are some")
def no_descriptors():
    with Scene(WEB, HERE) as scene:
        scene.wait("web", ["10.1.0.1"])
        pid = scene.daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        scene.server.close()
        scene.server.listen()
        scene.daemon.wait_log("Too many open files|descriptors", 20)
        stays(scene)
        scene.server.put(THERE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        scene.wait("web", ["10.1.0.2"], 40)


@suite.test("no credentials: one line says why, and they are found when they come")
def no_credentials():
    sandbox.write("/etc/k8shsvc/kubeconfig", "clusters: []\n")
    with Scene(WEB, HERE, head="[daemon]\nsource = kubernetes\nnamespace = default\ndns-servers = 127.0.0.1:9\n"
                               "kubeconfig = /etc/k8shsvc/kubeconfig\n") as scene:
        scene.daemon.wait_log("/etc/k8shsvc/kubeconfig: no current-context")
        config = {"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}],
                  "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8001"}}]}
        sandbox.write("/etc/k8shsvc/kubeconfig", json.dumps(config))
        scene.wait("web", ["10.1.0.1"], 40)


if __name__ == "__main__":
    sandbox.enter()
    sys.exit(suite.run())
