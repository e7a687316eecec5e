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
suite = tap.Suite()

# How long the API may be away before services are followed by DNS, and how soon a list after a 410 is there.
GRACE, RELIST = 10, 5


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        sandbox.nsswitch("k8shsvc [NOTFOUND=return]")
        self.churn = churn.Churn(self.plane)
        self.churn.create()
        self.source = source.make(NAME, self.plane, churn.SERVICES)
        self.daemon = self.source.start_daemon({service: "answers = all\nport = grpc\n" for service in churn.SERVICES})
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
    # CoreDNS takes up its watches when it likes to.
    scene.comparison.check(late=5)
    followed(5, late=RELIST)
    followed(4)


@suite.test("etcd crashes, and is back at once")
def etcd_crash():
    scene.plane.etcd.restart()
    followed(3, late=RELIST)
    followed(5)


@suite.test("the API server is silent for a while")
def api_silent():
    scene.plane.api_server.pause()
    time.sleep(GRACE + 5)
    scene.plane.api_server.resume()
    followed(4, late=RELIST)
    followed(3)


@suite.test("the API server is gone for longer than its grace")
def api_gone():
    scene.plane.api_server.kill()
    time.sleep(GRACE + 5)
    scene.comparison.check()
    scene.plane.api_server.start().wait_ready()
    followed(4, late=30)
    followed(5)


@suite.test("all of the control plane crashes but the nodes, and comes back")
def all_crash():
    crashed = [component for component in scene.plane.components if component is not scene.plane.kwok]
    for component in crashed:
        component.kill()
    for component in crashed:
        component.start().wait_ready()
    scene.comparison.check(forgive=["CoreDNS"], late=30)
    followed(3, forgive=["CoreDNS"], late=10)
    followed(4)


@suite.test("the daemon crashes, and its successor takes over")
def daemon_crash():
    scene.daemon.kill()
    scale(5)
    scene.daemon = scene.source.start_daemon({service: "answers = all\nport = grpc\n" for service in churn.SERVICES})
    scene.comparison.check(late=5)
    followed(3)


# ---- with the Kubernetes source ----

def kubernetes_only(title):
    return suite.test(title) if NAME == "kubernetes" else lambda function: function


def refused_and_allowed(refuse, allow):
    """While the API refuses the daemon, services are followed by DNS; afterwards by the API again."""
    dns = source.Dns
    refuse()
    scene.plane.api_server.restart()  # a watch that is open outlives its token and its rights
    followed(4, late=GRACE + dns.empty_bound)
    followed(6, late=dns.bound)
    allow()
    scene.comparison.check(late=60)
    sandbox.wait_until(watched_again, 60, "the API is watched again")
    followed(3)
    followed(5)


def watched_again():
    """A change is seen sooner than DNS could tell it."""
    scale(5 if len(scene.churn.db.pods()) == 4 else 4)
    time.sleep(1)
    return agrees(len(scene.churn.db.pods()))


@kubernetes_only("its token ends, and a new one comes into the file")
def token_ends():
    account = scene.source.account
    refused_and_allowed(account.end_token, account.renew_token)


@kubernetes_only("its rights are taken away, and given back")
def rights_end():
    account = scene.source.account
    refused_and_allowed(lambda: account.forbid(churn.NAMESPACE), lambda: account.grant(churn.NAMESPACE))


@kubernetes_only("history is compacted under it: it lists again")
def compacted():
    scene.daemon.process.send_signal(signal.SIGSTOP)
    scale(3)
    scene.plane.compact()
    scene.plane.api_server.restart()
    scene.daemon.process.send_signal(signal.SIGCONT)
    scene.comparison.check(late=30)
    followed(4)


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    del sys.argv[1]
    scene = lab.set_up(Scene)
    status = suite.run()
    with scene.daemon:
        sys.exit(status)
