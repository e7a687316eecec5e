"""What watching costs the API server: our daemons, kuberesolver's watches, kube-proxy's.

    ninja -C build-release bench-watch-report

One real API server (tests/e2e/build plane) with 100 services of 20 pods, of which one changes at a time. For each
crowd of clients: bytes that the server sends and processor time that it takes for a change, less what a change takes
that nobody watches. Clients and server share the machine's processors: the figures are for comparison. K8SHSVC_BENCH_JSON
names a file for them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(_HERE, "..", "integration"), os.path.join(_HERE, "..", "e2e")]

from cluster import objects, plane, source  # noqa: the path is known only now
from cluster.client import path
from harness import daemon, outside, sandbox  # noqa

N_SERVICES, N_PODS, NAMESPACE, SECONDS = 100, 20, "scale", 20
RUNDIR = os.environ["K8SHSVC_TEST_RUNDIR"]
OWN_RUNDIR = ["unshare", "--mount", "sh", "-c", f'mkdir -p {RUNDIR} && mount -t tmpfs none {RUNDIR} && exec "$@"', "sh"]


def build_watchers():
    go, directory = outside.made_by("go"), tempfile.mkdtemp(prefix="k8shsvc-watchers-")
    if not go:
        sys.exit("there is no Go to build the watchers with")
    subprocess.run([go, "build", "-o", f"{directory}/watchers", f"{_HERE}/watchers/watchers.go"], check=True)
    return f"{directory}/watchers"


def service_slice(number, version):
    """One pod is another with each version, as in a rolling update."""
    endpoints = []
    for pod in range(N_PODS):
        name = f"service-{number:03}-{pod if pod else N_PODS + version}"
        endpoints.append(objects.endpoint(
            f"10.{version % 250 if pod == 0 else 250}.{number}.{pod + 1}", hostname=name, nodeName=f"ip-10-0-{pod}-17.internal",
            zone=f"zone-{'abc'[pod % 3]}", conditions={"serving": True, "terminating": False},
            targetRef={"kind": "Pod", "namespace": NAMESPACE, "name": name, "uid": f"00000000-0000-0000-0000-{number:012}"}))
    return objects.endpoint_slice(f"service-{number:03}-x2x7k", NAMESPACE, f"service-{number:03}", endpoints)


class Daemons:
    """Each on a node of its own."""

    def __init__(self, count):
        self._running = [daemon.Daemon(prefix=OWN_RUNDIR) for _ in range(count)]
        for running in self._running:
            running.wait_log("ready", 60)

    def received(self):
        pids = {running.process.pid for running in self._running}
        found = sandbox.run("ss", "-tinpOH", "state", "established", f"dport = :{plane.API[1]}").stdout
        return sum(int(re.search(r"bytes_received:(\d+)", line)[1]) for line in found.splitlines()
                   if "bytes_received" in line and pids & {int(pid) for pid in re.findall(r"pid=(\d+)", line)})

    def end(self):
        for running in self._running:
            assert running.alive, running.log()
            running.kill()


class Watchers:
    def __init__(self, control, clients, services):
        self._process = subprocess.Popen(
            [WATCHERS, f"https://{plane.API[0]}:{plane.API[1]}", plane.CA, control.client.token, NAMESPACE, str(clients),
             str(services)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "open\n"

    def received(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self):
        self._process.kill()
        self._process.wait()


def cpu_seconds(component):
    with open(f"/proc/{component.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(control, crowd, rate):
    """Bytes and milliseconds of processor time of the API server, each for a change."""
    n = rate * SECONDS
    time.sleep(3)  # lists are over
    received, cpu, begin = crowd.received() if crowd else 0, cpu_seconds(control.api_server), time.monotonic()
    for i in range(n):
        time.sleep(max(0, begin + i / rate - time.monotonic()))
        measure.version += 1
        changed = service_slice(i % N_SERVICES, measure.version)
        control.client.merge(path(changed), {"endpoints": changed["endpoints"]})
    seconds = time.monotonic() - begin
    assert seconds < SECONDS + 1, f"{n} changes took {seconds:.1f} s"
    time.sleep(1)
    return ((crowd.received() if crowd else 0) - received) / n, 1000 * (cpu_seconds(control.api_server) - cpu) / n


measure.version = 0


def crowds(control):
    """Title, how many watches, changes in a second, what makes the clients."""
    for rate in 10, 50:
        yield "nobody", 0, rate, lambda: None
    for count in 1, 10, 50:
        yield f"{count} of our daemons", count, 10, lambda count=count: Daemons(count)
    yield "1 of our daemons", 1, 50, lambda: Daemons(1)
    yield "30 pods with kuberesolver", 30 * N_SERVICES, 10, lambda: Watchers(control, 30, N_SERVICES)
    yield "1 kube-proxy", 1, 10, lambda: Watchers(control, 1, 0)


def start():
    control = plane.Plane().start_api()
    control.client.apply(objects.namespace(NAMESPACE), *(service_slice(i, 0) for i in range(N_SERVICES)))
    services = {f"service-{i:03}.{NAMESPACE}": "" for i in range(N_SERVICES)}
    source.make("kubernetes", control, services).configure(services)
    return control


def main():
    control, rows, nobody = start(), [], {}
    print(f"{N_SERVICES} services of {N_PODS} pods\n\n{'clients':28} {'watches':>7} {'changes/s':>9} {'KiB/change':>11} {'CPU ms/change':>14}")
    for title, n_watches, rate, make in crowds(control):
        crowd = make()
        n_bytes, cpu = measure(control, crowd, rate)
        if crowd:
            crowd.end()
        nobody.setdefault(rate, cpu)
        rows.append({"clients": title, "watches": n_watches, "rate": rate, "bytes": n_bytes, "cpu_ms": cpu - nobody[rate],
                     "cpu_ms_of_change": nobody[rate]})
        print(f"{title:28} {n_watches:7} {rate:9} {n_bytes / 1024:11.1f} {cpu - nobody[rate]:14.2f}", flush=True)
    print(f"\nA change itself, that nobody watches, takes {nobody[10]:.2f} ms at 10/s, {nobody[50]:.2f} ms at 50/s.")
    if "K8SHSVC_BENCH_JSON" in os.environ:
        with open(os.environ["K8SHSVC_BENCH_JSON"], "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    plane.programs()
    if "K8SHSVC_TEST_WATCHERS" not in os.environ:
        os.environ["K8SHSVC_TEST_WATCHERS"] = build_watchers()
    sandbox.enter()
    WATCHERS = os.environ["K8SHSVC_TEST_WATCHERS"]
    try:
        main()
    finally:
        shutil.rmtree(os.path.dirname(WATCHERS))
