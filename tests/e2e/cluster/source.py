"""The sources of the daemon: what each needs to be told, and how late it may be."""

from harness import daemon, lab, sandbox

from . import compare, plane, truth
from .account import Account


class _Source:
    def view(self, look):
        return compare.View("the table", look, self.bound, self.rule, self.empty_bound)

    def start_daemon(self, services, options="", more=""):
        """Returns once all services have an answer.

        @services: {"NAME.NAMESPACE": "lines of its section"}
        @options: lines of [daemon]
        @more: other sections
        """
        daemon.configure(f"[daemon]\n{self.section}{options}" +
                         "".join(f"[service {name}]\n{lines}" for name, lines in services.items()) + more)
        return lab.start_daemon(*(f"{name}.svc.{plane.DOMAIN}" for name in services))


class Dns(_Source):
    """An answer is asked for again when its TTL has passed; three negatives, each a TTL after the other, mean none."""

    section = f"source = dns\ndns-servers = {sandbox.DNS_SERVER}\n"
    bound, empty_bound, rule = plane.TTL + 1, 3 * plane.TTL + 1, staticmethod(truth.ready)
    # NXDOMAIN may mean anything, until it was said three times.
    warnings = r": stale \(NXDOMAIN\), "

    def __init__(self, _plane, _namespaces):
        pass


class Kubernetes(_Source):
    """What the API says at once, that there is none, too."""

    bound, empty_bound, rule = 1, 1, staticmethod(truth.served)
    warnings = "(?!)"

    def __init__(self, control, namespaces):
        self.account = Account(control)
        self.account.grant(*namespaces)
        self.section = f"source = kubernetes\nkubeconfig = {self.account.kubeconfig}\ndns-servers = {sandbox.DNS_SERVER}\n"


SOURCES = {"dns": Dns, "kubernetes": Kubernetes}


def make(name, control, services):
    """@services: "NAME.NAMESPACE" that the daemon is to follow"""
    return SOURCES[name](control, sorted({service.split(".")[1] for service in services}))
