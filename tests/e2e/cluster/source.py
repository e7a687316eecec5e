"""The sources of the daemon: what each needs to be told, and how late it may be."""

from harness import daemon, lab, sandbox

from . import compare, plane, truth

KUBECONFIG = f"{sandbox.HOME}/k8shsvcd.kubeconfig"
TOKEN = f"{sandbox.HOME}/k8shsvcd.token"


class Dns:
    """An answer is asked for again when its TTL has passed; three negatives, each a TTL after the other, mean none."""

    daemon_section = f"source = dns\ndns-servers = {sandbox.DNS_SERVER}\n"
    bound, empty_bound, rule = plane.TTL + 1, 3 * plane.TTL + 1, staticmethod(truth.ready)

    # NXDOMAIN may mean anything, until it was said three times.
    warnings = r": stale \(NXDOMAIN\), "

    def view(self, look):
        return compare.View("the table", look, self.bound, Dns.rule, self.empty_bound)

    def start_daemon(self, services, options=""):
        """@services: {"NAME.NAMESPACE": "lines of its section"}; returns once all have an answer"""
        daemon.configure(f"[daemon]\n{self.daemon_section}{options}" +
                         "".join(f"[service {name}]\n{lines}" for name, lines in services.items()))
        return lab.start_daemon(*(f"{name}.svc.{plane.DOMAIN}" for name in services))


SOURCES = {"dns": Dns}


def make(name, _):
    return SOURCES[name]()
