"""What the daemon shows over HTTP: metrics, health, services as JSON, the status page; and clients of every kind."""

import datetime
import http.client
import json
import multiprocessing
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time

from harness import ctl, daemon, kubescene, lookup, sandbox, tap
from harness.apiserver import slice_of
from harness.scripted import Server

suite = tap.Suite()

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PORT = 9768
LISTEN = f"metrics-listen = 127.0.0.1:{PORT}\n"
NAME = "s0.many.svc.cluster.local"
N_CLIENTS = 10000

NAMES = {
    "k8shsvc_build_info", "k8shsvc_services", "k8shsvc_service_endpoints", "k8shsvc_service_age_seconds",
    "k8shsvc_source_results_total", "k8shsvc_watch_restarts_total", "k8shsvc_dns_queries_total",
    "k8shsvc_table_size_bytes", "k8shsvc_table_used_bytes", "k8shsvc_publishes_total",
    "k8shsvc_heartbeat_timestamp_seconds", "k8shsvc_log_dropped_total", "k8shsvc_propagation_seconds_bucket",
    "k8shsvc_propagation_seconds_sum", "k8shsvc_propagation_seconds_count", "k8shsvc_services_without_series",
    "k8shsvc_services_refused",
}


def get(path, method="GET", address="127.0.0.1", port=PORT, timeout=10, **headers):
    """A response with its body in .text"""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        response.text = response.read().decode()
        return response
    finally:
        connection.close()


def metrics(**headers):
    """{(name, labels as in the text): value}"""
    series = {}
    for line in get("/metrics", **headers).text.splitlines():
        if not line.startswith("#"):
            match = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line)
            assert match, line
            assert (match[1], match[2]) not in series, f"twice: {line}"
            series[match[1], match[2]] = float(match[3])
    return series


def many(n, first=0):
    return "".join(f"[service s{i}.many]\nsource = static\nendpoints = 10.1.{i // 250}.{i % 250 + 1} fd00::{i + 1:x}\n"
                   for i in range(first, n))


def start(text, prefix=LISTEN, **options):
    sandbox.remove_table()
    daemon.configure(f"[daemon]\n{prefix}{text}")
    started = daemon.Daemon(**options)
    started.wait_log("listening on")
    return started


# ---- what is shown ----

@suite.test("every series, of 1,200 services: those of the first 1,000 by name, within 20 ms; promtool is content")
def every_series():
    with start(many(1200) + "[service empty.a]\nsource = static\nendpoints =\n"):
        begun = time.time()
        series = metrics()
        assert {name for name, _ in series} == NAMES, {name for name, _ in series} ^ NAMES
        assert series["k8shsvc_services", 'state="fresh",source="static"'] == 1200
        assert series["k8shsvc_services", 'state="empty",source="static"'] == 1
        assert series["k8shsvc_services", 'state="stale",source="dns"'] == 0
        assert series["k8shsvc_services_without_series", None] == 201
        assert series["k8shsvc_service_endpoints", 'namespace="many",service="s0",family="ipv6"'] == 1
        assert series["k8shsvc_service_endpoints", 'namespace="a",service="empty",family="ipv4"'] == 0
        assert sum(name == "k8shsvc_service_age_seconds" for name, _ in series) == 1000
        assert series["k8shsvc_publishes_total", None] >= 1201
        assert series["k8shsvc_source_results_total", 'source="static",result="answer"'] >= 1200
        assert abs(series["k8shsvc_heartbeat_timestamp_seconds", None] - begun) < 2
        assert series["k8shsvc_table_used_bytes", None] < series["k8shsvc_table_size_bytes", None]
        times = []
        for _ in range(9):
            time.sleep(0.6)  # a new snapshot each
            begun = time.monotonic()
            text = get("/metrics").text
            times.append((time.monotonic() - begun) * 1000)
        tap.comment(f"{len(text)} bytes in {min(times):.1f} to {max(times):.1f} ms")
        assert min(times) <= 20, times  # the others show how busy the machine is
        if not shutil.which("promtool"):
            raise tap.Skip("there is no promtool; all else was tested")
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert checked.returncode == 0 and not checked.stderr, checked


@suite.test("README.md's commands print what it shows; so do log-format = json's objects")
def readme():
    with open(f"{SOURCES}/README.md") as file:
        section = file.read().split("\n## Metrics, status page and log\n")[1].split("\n## ")[0]
    commands = re.findall(r"^\$ (.*)\n((?:[^$`].*\n)*)", section, re.MULTILINE)
    assert len(commands) == 2 and re.search(r"`(metrics-listen = .*?)`", section)[1] + "\n" == LISTEN, commands
    [shown] = re.findall(r"^\{.*\}$", section, re.MULTILINE)
    with start("[service user-svc.default]\nsource = static\nendpoints = 10.0.0.1 10.0.0.2 10.0.0.3\n",
               LISTEN + "log-format = json\n") as running:
        sandbox.wait_until(lambda: get("/readyz").status == 200, 10, "it is ready")
        for command, expected in commands:
            printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout
            assert printed == expected, (command, printed)
        objects = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
        assert objects and all(list(o) in (["ts", "level", "msg"], list(json.loads(shown))) for o in objects), objects


@suite.test("OpenMetrics where it is accepted: the same series, other families, and an end")
def openmetrics():
    with start(many(3)):
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        response = get("/metrics", Accept=accept)
        assert response.getheader("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        lines = response.text.splitlines()
        assert lines[-1] == "# EOF" and lines.count("# EOF") == 1
        assert "# TYPE k8shsvc_publishes counter" in lines and "# TYPE k8shsvc_build info" in lines
        assert "# UNIT k8shsvc_table_size_bytes bytes" in lines
        assert metrics(Accept=accept).keys() == metrics().keys()
        plain = get("/metrics", Accept="text/plain")
        assert plain.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert "# TYPE k8shsvc_publishes_total counter" in plain.text and "EOF" not in plain.text


@suite.test("queries and results of DNS are counted; while a service waits for its first answer nobody is ready")
def dns():
    server = Server()
    server.zone = {"web.default": (["10.1.0.1"], 1)}
    server.scripts = {"mute.default": lambda *_: None}
    try:
        with start("[service web.default]\n[service mute.default]\n", LISTEN + "refresh-min = 200ms\nrefresh-max = 200ms\n"):
            sandbox.wait_until(lambda: lookup.addresses("web.default.svc.cluster.local") == {"10.1.0.1"}, 10, "web")
            ready = get("/readyz")
            assert ready.status == 503 and "no first answer yet for 1 of " in ready.text and "mute.default" in ready.text, ready.text
            assert get("/healthz").status == 200
            assert "Not ready" in get("/").text
            before = metrics()
            assert sum(value for (name, labels), value in before.items()
                       if name == "k8shsvc_services" and 'state="pending"' in labels) == 1
            time.sleep(1.5)
            after = metrics()
            for key in (("k8shsvc_dns_queries_total", 'transport="tcp",result="noerror"'),
                        ("k8shsvc_source_results_total", 'source="dns",result="answer"')):
                assert after[key] > before[key] > 0, (key, before[key], after[key])
            sandbox.wait_until(lambda: metrics()["k8shsvc_dns_queries_total", 'transport="tcp",result="timeout"'] > 0, 10,
                               "silence is counted")
            server.scripts = {}
            server.zone["mute.default"] = (["10.1.0.2"], 1)
            sandbox.wait_until(lambda: get("/readyz").status == 200, 20, "it is ready")
            assert get("/readyz").text == "ready\n"
    finally:
        server.close()


@suite.test("the Kubernetes source: how long a change takes to the table, and why watches begin anew")
def kubernetes():
    def changed(*addresses, ago=0.0):
        item = slice_of("web-a", "web", addresses)
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
        item["metadata"]["annotations"] = {
            "endpoints.kubernetes.io/last-change-trigger-time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        return item

    def propagation():
        series = metrics()
        return series["k8shsvc_propagation_seconds_count", None], series["k8shsvc_propagation_seconds_sum", None]

    sandbox.remove_table()
    with kubescene.Scene("[service web]\n", changed("10.1.0.1", ago=3000), head=kubescene.HEAD + LISTEN) as scene:
        scene.wait("web", ["10.1.0.1"])
        assert propagation() == (0, 0), "a list says nothing of how long a change takes"
        scene.server.put(changed("10.1.0.2"))
        scene.wait("web", ["10.1.0.2"])
        time.sleep(0.6)
        n, seconds = propagation()
        assert n == 1 and seconds < 0.5, (n, seconds)
        scene.server.put(changed("10.1.0.3", ago=20))  # older than what is known
        scene.wait("web", ["10.1.0.3"])
        scene.server.put(changed("10.1.0.3"))  # changes no endpoint
        time.sleep(0.6)
        assert propagation()[0] == 1, propagation()
        scene.server.put(changed("10.1.0.4", ago=-1000))  # a clock that is ahead
        scene.wait("web", ["10.1.0.4"])
        time.sleep(0.6)
        assert propagation() == (2, seconds), propagation()
        assert metrics()["k8shsvc_services", 'state="fresh",source="kubernetes"'] == 1
        assert metrics()["k8shsvc_watch_restarts_total", 'reason="failed"'] == 0
        scene.server.close()
        sandbox.wait_until(lambda: metrics()["k8shsvc_watch_restarts_total", 'reason="failed"'] > 0, 10,
                           "a watch that fails is counted")


@suite.test("/api/services is what `k8shsvcctl list --json` says, of 10,000 services, too")
def services():
    def same(line):
        return re.sub(r'"(age_ms|version)":\d+', "", line)

    with start(many(20) + "[service web.a]\nsource = static\nport = 80\nendpoints = 10.2.0.1:81\nalias = web.internal w\n"):
        listed = ctl.run("list", "--json").out
        response = get("/api/services")
        assert response.getheader("Content-Type") == "application/json"
        assert same(response.text) == same(listed), response.text[:500]
        assert [s["aliases"] for s in json.loads(response.text) if s["service"] == "web.a"] == [["w", "web.internal"]]
    with start(many(10000)) as running:
        running.wait_log("ready: ")
        begun = time.monotonic()
        assert len(json.loads(get("/api/services").text)) == 10000
        seconds = time.monotonic() - begun
        tap.comment(f"10,000 services in {seconds * 1000:.0f} ms")
        assert seconds < 2, seconds
        page = get("/").text
        assert page.count("<tr ") == 1001 and "9000 more" in page


@suite.test("the status page: complete without a script, and nothing of it from elsewhere")
def page():
    with start(many(2) + "[service empty.a]\nsource = static\nendpoints =\n"):
        response = get("/")
        assert response.getheader("Content-Type") == "text/html; charset=utf-8"
        assert response.getheader("Content-Security-Policy").startswith("default-src 'none';")
        text = re.sub(r"<[^>]+>", " ", response.text)
        assert re.search(r"Ready .*3 services: 2 fresh, 1 empty\.", text, re.DOTALL), text
        assert re.search(r"empty\.a\s+0\s+empty\s+\d+\.\d s\s+static\s+nodata", text), text
        assert "//" not in re.sub(r"<!DOCTYPE.*", "", response.text), "an address of another machine"
        for path, kind in ("/status.css", "text/css"), ("/status.js", "text/javascript"):
            assert get(path).getheader("Content-Type").startswith(kind) and get(path).status == 200


@suite.test("other methods and paths are refused; HEAD has no body; every connection ends")
def refused():
    with start(many(1)):
        for method in "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
            response = get("/metrics", method)
            assert response.status == 405 and response.getheader("Allow") == "GET, HEAD", (method, response.status)
        for path in "/metrics/", "//", "/api", "/../etc/passwd", "/%2e%2e/x", "/" + "x" * 5000:
            assert get(path).status == 404, path
        head = get("/metrics", "HEAD")
        assert head.status == 200 and head.text == "" and int(head.getheader("Content-Length")) > 1000
        assert head.getheader("Connection") == "close"
        assert get("/metrics?x=y").status == 200
        assert get("/api/services", "HEAD").status == 200


# ---- where it listens ----

@suite.test("metrics-listen is followed: another address, IPv6, nowhere; one that is taken is tried again")
def followed():
    with start(many(1)) as running:
        daemon.configure(f"[daemon]\nmetrics-listen = [::1]:{PORT + 1}\n" + many(1))
        running.wait_log(rf"listening on \[::1\]:{PORT + 1}")
        assert get("/healthz", address="::1", port=PORT + 1).text == "ok\n"
        refuses(PORT)
        with socket.create_server(("127.0.0.1", PORT + 2)):
            daemon.configure(f"[daemon]\nmetrics-listen = 127.0.0.1:{PORT + 2}\n" + many(1))
            running.wait_log(rf"<3>metrics-listen: 127\.0\.0\.1:{PORT + 2} can't be listened on: Address already in use")
        running.wait_log(rf"listening on 127\.0\.0\.1:{PORT + 2}", 10)
        assert get("/healthz", port=PORT + 2).status == 200
        daemon.configure("[daemon]\nmetrics-listen =\n" + many(1))
        sandbox.wait_until(lambda: refused_at(PORT + 2), 10, "nobody listens")
        daemon.configure(f"[daemon]\n{LISTEN}" + many(1))
        running.wait_log(rf"listening on 127\.0\.0\.1:{PORT}$(.|\n)*listening on 127\.0\.0\.1:{PORT}$", 10)
        assert get("/healthz").status == 200


def refused_at(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except ConnectionRefusedError:
        return True


def refuses(port):
    assert refused_at(port), f"somebody listens on {port}"


# ---- clients of every kind ----

def flood(opened, request, reads):
    """Opens connections one after the other, and keeps N_CLIENTS of them open until it begins anew."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (N_CLIENTS + 1000,) * 2)
    kept = []
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", PORT), 5)
            kept.append(client)
            client.sendall(request)
            if reads:
                client.recv(1)
            opened.value += 1
        except OSError:
            pass
        if len(kept) >= N_CLIENTS:
            kept = []


@suite.each("{1} clients that {0}: a good one has its page within 2 s, and lookups, changes and heartbeat go on", [
    ("say nothing", N_CLIENTS, b"", False),
    ("send half a request", N_CLIENTS, b"GET /metrics HTTP/1.1\r\nHost: a\r\n", False),
    ("send a header without end", N_CLIENTS, b"GET / HTTP/1.1\r\nX: " + b"x" * 4000, False),
    ("send a body that nobody wants", N_CLIENTS, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nxx", False),
    ("ask, and read one byte", N_CLIENTS, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("ask for all services, and do not read", N_CLIENTS, b"GET /api/services HTTP/1.1\r\nHost: a\r\n\r\n", False),
])
def clients(_, __, request, reads):
    opened = multiprocessing.Value("L", 0)
    hostile = multiprocessing.Process(target=flood, args=(opened, request, reads), daemon=True)
    waited, beats = [], []
    with start(many(500)) as running:
        sandbox.wait_until(lambda: lookup.addresses(NAME), 10, "the table answers")
        hostile.start()
        try:
            sandbox.wait_until(lambda: opened.value > 300, 20, "clients are there")
            end = time.monotonic() + 20
            while (opened.value < N_CLIENTS or len(waited) < 10) and time.monotonic() < end:
                begun = time.monotonic()
                assert get("/").status == 200
                waited.append(time.monotonic() - begun)
                beats.append(ctl.value("status")["heartbeat_age_ms"])
                assert lookup.addresses(NAME)
            daemon.configure(f"[daemon]\n{LISTEN}" + many(501))
            begun = time.monotonic()
            sandbox.wait_until(lambda: lookup.addresses("s500.many.svc.cluster.local"), 3, "a change is published")
            change = time.monotonic() - begun
        finally:
            hostile.kill()
            hostile.join()
        tap.comment(f"{opened.value} clients; {len(waited)} pages, the slowest after {max(waited) * 1000:.0f} ms; heartbeat "
                    f"at most {max(beats)} ms old; the change after {change:.1f} s; {running.n_descriptors()} descriptors, "
                    f"{running.status_kib('VmHWM')} KiB")
        assert opened.value > 2000 and max(waited) < 2 and max(beats) <= 1500
        assert running.status_kib("VmHWM") < 64 << 10
        sandbox.wait_until(lambda: running.n_descriptors() < 40, 30, "they are all gone")


@suite.test("out of descriptors: who asks waits, and the daemon does not spin")
def no_descriptors():
    with start(many(1), prefix=LISTEN) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (running.n_descriptors(), 4096))
        client = socket.create_connection(("127.0.0.1", PORT), 5)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        before = running.cpu_seconds()
        time.sleep(2)
        assert running.cpu_seconds() - before < 0.2, running.cpu_seconds() - before
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (1024, 4096))
        client.settimeout(10)
        assert client.recv(4096).startswith(b"HTTP/1.1 200"), "it has waited for nothing"
        client.close()


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sys.exit(suite.run())
