"""A daemon that follows services of scripted DNS servers: what the tests of its DNS side begin with."""

import re
import time

from . import daemon, lookup, sandbox

POD, POD2 = "10.1.0.1", "10.1.0.2"
SUFFIX = ".svc.cluster.local"


def services(n):
    return [f"s{i:03}.default" for i in range(n)]


class Scene:
    """A daemon and the servers that it asks; everything ends with it."""

    def __init__(self, names, *servers, listed=None, options="", refresh_max="500ms", service="family = ipv4\n", texts=(POD,),
                 query_rate=2000):
        """@listed: the daemon's dns-servers, if not just these; "" for resolv.conf"""
        sandbox.remove_table()
        self.names, self.servers = names, servers
        for server in servers:
            server.zone = {name: (list(texts), 1) for name in names}
        if listed is None:
            listed = " ".join(f"[{s.address}]:{s.port}" if ":" in s.address else f"{s.address}:{s.port}" for s in servers)
        self._config = (f"[daemon]\nrefresh-min = 200ms\nrefresh-max = {refresh_max}\ndns-servers = {listed}\n{options}",
                        "".join(f"[service {name}]\nanswers = all\n{service}" for name in names))
        self.configure(query_rate)
        self.daemon = None

    def configure(self, query_rate):
        daemon.configure(f"{self._config[0]}query-rate = {query_rate}\n{self._config[1]}")

    def restart(self, query_rate):
        """As after a crash, with another rate."""
        self.daemon.kill()
        self.configure(query_rate)
        self.daemon = daemon.Daemon()
        self.daemon.wait_log("ready: ")

    def __enter__(self):
        self.begin = time.monotonic()
        self.daemon = daemon.Daemon()
        return self

    def __exit__(self, kind, error, trace):
        self.daemon.__exit__(kind, error, trace)
        for server in self.servers:
            server.close()

    def wait(self, texts=(POD,), names=None, seconds=30):
        names = [name + SUFFIX for name in names or self.names]
        sandbox.wait_until(lambda: all(set(a.addresses) == set(texts) for a in lookup.resolve_many(names)), seconds,
                           f"{len(names)} names have {texts}")
        return time.monotonic()

    def wait_asked(self, server, n, seconds=30, **which):
        sandbox.wait_until(lambda: len(server.asked(**which)) >= n, seconds, f"{n} questions {which}")

    def wait_logged(self, text, seconds=30):
        """Once more than so far."""
        n = self.daemon.log().count(text)
        sandbox.wait_until(lambda: self.daemon.log().count(text) > n, seconds, f"'{text}' in the log")

    def assert_quiet(self, *patterns):
        """Nothing was said of servers, nor of services that are stale."""
        loud = [line for line in self.daemon.log().splitlines() if re.search(r"dns server|: stale,|^<[0-4]>", line)]
        loud = [line for line in loud if not any(p in line for p in patterns)]
        assert not loud, "\n".join(loud)
