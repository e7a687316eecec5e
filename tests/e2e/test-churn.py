"""Services of a real control plane through their life: our table, CoreDNS and the API say the same.

    test-churn.py dns|kubernetes [REGULAR EXPRESSION]

Watched all the while, not only at the end of each step: whatever the table says, the API said it at some moment
of the last seconds. How many these are is what the source promises.
"""

import re
import sys

from cluster import churn, compare, plane, source, views
from harness import lab, lookup, sandbox, tap
from harness.api import Api

NAME = sys.argv[1]
suite = tap.Suite()


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
        tap.comment("memory: " + ", ".join(f"{c.name} {c.memory_mib()} MiB" for c in self.plane.components))


def as_the_api_says(service, family):
    found = lookup.addresses(f"{service}.svc.{plane.DOMAIN}", family=family)
    return found == scene.comparison.now(service, family, scene.source.rule)


@suite.each("{0}", churn.STEPS)
def step(_, action):
    action(scene.churn)
    scene.comparison.check()
    for service, families in churn.SERVICES.items():
        for family in families:
            sandbox.wait_until(lambda pair=(service, family): as_the_api_says(*pair), scene.source.empty_bound,
                               f"getaddrinfo() of {service}, {family} agrees")


@suite.test("the daemon has lived through it, and has warned of nothing")
def quiet():
    assert scene.daemon.alive, scene.daemon.log()
    loud = [line for line in scene.daemon.log().splitlines()
            if re.match("<[0-4]>", line) and not re.search(scene.source.warnings, line)]
    assert not loud, "\n".join(loud)


if __name__ == "__main__":
    plane.programs()
    sandbox.enter()
    del sys.argv[1]
    scene = lab.set_up(Scene)
    with scene.daemon:
        sys.exit(suite.run())
