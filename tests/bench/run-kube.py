"""The daemon with 10,000 services of 50 endpoints out of the Kubernetes API: what it takes to list and publish them.

    ninja -C build-release bench-kube-report

The pages are made beforehand, so that the time is the daemon's and the loopback's. The pods are those of stateful
sets in three zones, on 5,000 nodes with names as long as clouds give them. It speaks TAP, and holds the bars.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import daemon, sandbox, tap  # noqa: the path is known only now
from harness.api import Api
from harness.apiserver import ApiServer
from harness.kubescene import HEAD

N_SERVICES, N_ENDPOINTS, N_NODES, PAGE = 10000, 50, 5000, 500
MOST_SECONDS, MOST_ANON_KIB, MOST_TABLE = 10, 128 << 10, 64 << 20

suite = tap.Suite()


def _endpoint(i, k):
    n = i * N_ENDPOINTS + k
    node = n % N_NODES
    return (f'{{"addresses":["10.{n >> 16}.{n >> 8 & 255}.{n & 255}"],"conditions":{{"ready":true,"serving":true,'
            f'"terminating":false}},"hostname":"service-{i:05}-{k}","nodeName":"ip-10-123-{node >> 8:03}-{node & 255:03}'
            f'.eu-central-1.compute.internal","targetRef":{{"kind":"Pod","namespace":"default","name":"service-{i:05}-{k}",'
            f'"uid":"8d7fd1c9-5a0f-4f3e-9a53-{n:012}"}},"zone":"eu-central-1{"abc"[node % 3]}"}}')


def _slice(i):
    endpoints = ",".join(_endpoint(i, k) for k in range(N_ENDPOINTS))
    return (f'{{"metadata":{{"name":"service-{i:05}-x2x7k","namespace":"default","resourceVersion":"{i + 1}","labels":{{'
            f'"kubernetes.io/service-name":"service-{i:05}","service.kubernetes.io/headless":""}}}},'
            f'"addressType":"IPv4","endpoints":[{endpoints}],"ports":[{{"name":"http","protocol":"TCP","port":8080}},'
            f'{{"name":"metrics","protocol":"TCP","port":9090}}]}}')


def make_pages():
    pages = []
    for at in range(0, N_SERVICES, PAGE):
        end = min(at + PAGE, N_SERVICES)
        more = f',"continue":"{end}"' if end < N_SERVICES else ""
        items = ",".join(_slice(i) for i in range(at, end))
        pages.append(f'{{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{{"resourceVersion":'
                     f'"{N_SERVICES}"{more}}},"items":[{items}]}}'.encode())
    return pages


class Pages:
    """The script of an API server that has nothing but these pages."""

    def __init__(self):
        self.pages, self.asked = make_pages(), 0

    def __call__(self, server, request):
        if request.is_watch or not request.route.endswith("/endpointslices"):
            return False
        self.asked += 1
        request.reply(200, self.pages[int(request.query.get("continue", "0") or 0) // PAGE])
        return True


def _served(near):
    """How many addresses of each service a lookup gives: all, or those in the first zone."""
    return {f"service-{i:05}": sum(not near or (i * N_ENDPOINTS + k) % N_NODES % 3 == 0 for k in range(N_ENDPOINTS))
            for i in range(N_SERVICES)}


def measure(pages, sections, served):
    """Seconds until all is published, KiB of anonymous memory, bytes of the table, CPU seconds, most KiB ever."""
    with ApiServer(streaming=False) as server:
        server.script = pages
        daemon.configure(HEAD + sections)
        begun = time.monotonic()
        with daemon.Daemon() as running:
            api, left = Api(), list(served)
            while left:
                assert time.monotonic() < begun + 60, f"{len(left)} left: {running.log()}"
                while left and len(api.lookup(left[-1])) == served[left[-1]]:
                    left.pop()
                time.sleep(0.02)
            seconds = time.monotonic() - begun
            time.sleep(3)
            table = os.stat(f"{os.environ['K8SHSVC_TEST_RUNDIR']}/table.v1").st_size
            result = seconds, running.status_kib("RssAnon"), table, running.cpu_seconds(), running.status_kib("VmHWM")
            daemon.configure(HEAD)  # the next one begins with an empty table, which this process has mapped
            running.reload()
            running.wait_log("configuration: 0 services")
            return result


# What stands behind [daemon].
WANTED = {
    "[namespace]": "[namespace default]\nservices = headless\n",
    "order = zone": "zone = eu-central-1a\n[namespace default]\nservices = headless\norder = zone\n",
}


@suite.each("10,000 services of 50 endpoints: {0}", [(title,) for title in WANTED])
def load(title):
    seconds, anon, table, cpu, most = measure(PAGES, WANTED[title], _served("zone" in title))
    tap.comment(f"{seconds:.1f} s until published, {cpu:.1f} s of CPU; RssAnon {anon / 1024:.0f} MiB, VmHWM "
                f"{most / 1024:.0f} MiB; table {table / (1 << 20):.0f} MiB")
    assert seconds <= MOST_SECONDS and anon <= MOST_ANON_KIB and table <= MOST_TABLE


if __name__ == "__main__":
    sandbox.enter()
    PAGES = Pages()
    sys.exit(suite.run())
