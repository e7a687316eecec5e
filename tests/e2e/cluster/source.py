"""The sources of the daemon: what each needs to be told, and how late it may be."""

import re

from harness import daemon, lab, sandbox

from . import compare, plane, truth
from .account import Account


class _Source:
    def view(self, look):
        return compare.View("the table", look, self.bound, self.rule, self.empty_bound)

    def configure(self, services, options="", more=""):
        """
        @services: {"NAME.NAMESPACE": "lines of its section"}
        @options: lines of [daemon]
        @more: other sections
        """
        daemon.configure(f"[daemon]\n{self.section}{options}" +
                         "".join(f"[service {name}]\n{lines}" for name, lines in services.items()) + more)

    def start_daemon(self, services, options="", more=""):
        """Returns once all services have an answer."""
        self.configure(services, options, more)
        return lab.start_daemon(*(f"{name}.svc.{plane.DOMAIN}" for name in services))


class Dns(_Source):
    """An answer is asked for again when its TTL has passed; three negatives, each a TTL after the other, mean none."""

    section = f"source = dns\ndns-servers = {sandbox.DNS_SERVER}\n"
    bound, empty_bound, rule = plane.TTL + 1, 3 * plane.TTL + 1, staticmethod(truth.ready)
    # NXDOMAIN may mean anything, until it was said three times.
    warnings = r": stale \(NXDOMAIN\), "

    def __init__(self, _plane, _namespaces):
        pass

    def wait_well(self, _daemon):
        """There is nothing that it would have to come back to."""


class Kubernetes(_Source):
    """What the API says at once, that there is none, too."""

    bound, empty_bound, rule = 1, 1, staticmethod(truth.served)
    warnings = "(?!)"

    def __init__(self, control, namespaces):
        self.account = Account(control)
        self.account.grant(*namespaces)
        self.section = f"source = kubernetes\nkubeconfig = {self.account.kubeconfig}\ndns-servers = {sandbox.DNS_SERVER}\n"

    def wait_well(self, started):
        """Until it watches the API again: it tries that in intervals of up to 30 s."""
        def well():
            said = re.findall("kubernetes: .*(can.t be followed|refuses verbs|followed again)", started.log())
            return not said or said[-1] == "followed again"
        sandbox.wait_until(well, 75, f"the API is watched again; the log is:\n{started.log()}")


SOURCES = {"dns": Dns, "kubernetes": Kubernetes}


def make(name, control, services):
    """@services: "NAME.NAMESPACE" that the daemon is to follow"""
    return SOURCES[name](control, sorted({service.split(".")[1] for service in services}))
