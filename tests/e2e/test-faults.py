"""Parts of the control plane fail under the daemon: the table answers all the while, and is right again afterwards.

    test-faults.py dns|kubernetes [REGULAR EXPRESSION]
"""

import signal
import sys
import time

from cluster import churn, compare, plane, source, views
from harness import lab, sandbox, tap
from harness.api import Api

NAME = sys.argv[1]
SECTIONS = {service: "answers = all\nport = grpc\n" for service in churn.SERVICES}
suite = tap.Suite()

# How long the API may be away before services are followed by DNS.
GRACE = 10
# What a change may take while the daemon has not come back to the API, by DNS then, and CoreDNS has neither: it tries
# that in intervals of up to 60 s, client-go's 30 and a jitter of as much.
RECOVERY = GRACE + source.Dns.empty_bound + 60


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")
        self.churn = churn.Churn(self.plane)
        self.churn.create()
        self.source = source.make(NAME, self.plane, churn.SERVICES)
        self.daemon = self.source.start_daemon(SECTIONS)
        self.comparison = compare.Comparison(self.plane.client, churn.SERVICES, [
            self.source.view(views.table(Api())),
            compare.View("CoreDNS", views.coredns, bound=1, interval=0.2)])
        self.comparison.check()


def scale(replicas):
    for workload in scene.churn.web, scene.churn.db:
        workload.scale(replicas)


def followed(replicas, **allowed):
    """A change is seen as soon as ever."""
    scale(replicas)
    scene.comparison.check(**allowed)


def recovered():
    """The API was away: a change is seen sooner or later, and once the daemon is back, as soon as ever."""
    followed(5, late=RECOVERY)
    scene.source.wait_well(scene.daemon)
    scene.comparison.check(late=RECOVERY)
    followed(4)
    followed(3)


# ---- with any source ----

@suite.test("CoreDNS crashes, and is back seconds later")
def coredns_crash():
    scene.plane.coredns.kill()
    begin = time.monotonic()
    scale(4)
    if NAME == "kubernetes":
        sandbox.wait_until(lambda: agrees(4), 2, "the table follows without CoreDNS")
    time.sleep(3)
    scene.plane.coredns.start().wait_ready()
    # CoreDNS says nothing that it knows to be old, and DNS servers that were away are asked once a second.
    scene.comparison.check(forgive=["CoreDNS"], late=time.monotonic() - begin + 3)
    followed(3)


def agrees(replicas):
    table = scene.comparison.views[0]
    return all(len(table.look(service, "ipv4")) == replicas for service in churn.SERVICES)


@suite.test("the API server crashes, and is back at once")
def api_crash():
    scene.plane.api_server.restart()
    recovered()


@suite.test("etcd crashes, and is back at once")
def etcd_crash():
    scene.plane.etcd.restart()
    recovered()


@suite.test("the API server is silent for a while")
def api_silent():
    scene.plane.api_server.pause()
    time.sleep(GRACE + 5)
    scene.plane.api_server.resume()
    recovered()


@suite.test("the API server is gone for longer than its grace")
def api_gone():
    scene.plane.api_server.kill()
    time.sleep(GRACE + 5)
    scene.comparison.check()
    scene.plane.api_server.start().wait_ready()
    # They would come back by themselves, after up to 30 s each.
    scene.plane.controllers.restart()
    scene.plane.scheduler.restart()
    recovered()


@suite.test("all of the control plane crashes but the nodes, and comes back")
def all_crash():
    crashed = [component for component in scene.plane.components if component is not scene.plane.kwok]
    for component in crashed:
        component.kill()
    for component in crashed:
        component.start().wait_ready()
    # CoreDNS has nothing to say until it has listed all.
    scene.comparison.check(forgive=["CoreDNS"], late=RECOVERY)
    recovered()


@suite.test("the daemon crashes, and its successor takes over")
def daemon_crash():
    scene.daemon.kill()
    scale(5)
    begin = time.monotonic()
    scene.daemon = scene.source.start_daemon(SECTIONS)
    scene.comparison.check(late=time.monotonic() - begin + 2)
    followed(3)


# ---- with the Kubernetes source ----

def kubernetes_only(title):
    return suite.test(title) if NAME == "kubernetes" else lambda function: function


def refused_and_allowed(refuse, allow):
    """While the API refuses the daemon, services are followed by DNS; afterwards by the API again."""
    refuse()
    try:
        scene.plane.api_server.restart()  # a watch that is open outlives its token and its rights
        followed(4, late=RECOVERY)
        followed(6, late=source.Dns.empty_bound)
    finally:
        allow()
    recovered()


@kubernetes_only("its token ends, and a new one comes into the file")
def token_ends():
    account = scene.source.account
    refused_and_allowed(account.end_token, account.renew_token)


@kubernetes_only("its rights are taken away, and given back")
def rights_end():
    account = scene.source.account
    refused_and_allowed(lambda: account.forbid(churn.NAMESPACE), lambda: account.grant(churn.NAMESPACE))


@kubernetes_only("its connection dies and nobody says so: noticed within 45 s")
def connection_dies():
    sandbox.ip("address", "del", f"{plane.SERVICE}/32", "dev", "eth0")
    begin = time.monotonic()
    try:
        n_lost = scene.daemon.log().count("followed: ")
        sandbox.wait_until(lambda: scene.daemon.log().count("followed: ") > n_lost, 45, "it is noticed")
        tap.comment(f"noticed after {time.monotonic() - begin:.1f} s")
        followed(6, late=RECOVERY)
    finally:
        sandbox.ip("address", "add", f"{plane.SERVICE}/32", "dev", "eth0")
    recovered()


@kubernetes_only("history is compacted under it: it lists again")
def compacted():
    scene.daemon.process.send_signal(signal.SIGSTOP)
    scale(3)
    scene.plane.compact()
    scene.plane.api_server.restart()
    scene.daemon.process.send_signal(signal.SIGCONT)
    recovered()


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    del sys.argv[1]
    scene = lab.set_up(Scene)
    status = suite.run()
    with scene.daemon:
        sys.exit(status)
