"""A daemon that follows a scripted API server: what the tests of its Kubernetes side begin with."""

import time

from . import daemon, sandbox
from .api import Api
from .apiserver import ApiServer

HEAD = "[daemon]\nsource = kubernetes\nnamespace = default\napi-server = http://127.0.0.1:8001\ndns-servers = 127.0.0.1:9\n"


class Scene:
    """An API server and a daemon that follows it."""

    def __init__(self, sections, *objects, head=HEAD, env=None, **options):
        self.head, self.env = head, env
        self.configure(sections)
        self.server = ApiServer(**options)
        self.server.put(*objects)

    def configure(self, sections):
        daemon.configure(self.head + sections)

    def __enter__(self):
        self.daemon = daemon.Daemon(env=self.env)
        try:
            self.daemon.wait_log("ready")
        except AssertionError:
            self.__exit__(None, None, None)
            raise
        self.api = Api()
        return self

    def __exit__(self, *what):
        # The table stays, since this process has mapped it, and the next scene begins with an empty one.
        if self.daemon.alive:
            daemon.configure(self.head)
            self.daemon.reload()
            self.daemon.wait_log("configuration: 0 services")
        self.daemon.__exit__(*what)
        self.server.close()

    def wait(self, name, wanted, seconds=5):
        """@wanted: addresses, {address: port}, or the name of an error. Returns the time it took."""
        begun = time.monotonic()
        wanted = sorted(wanted) if isinstance(wanted, (list, set, tuple)) else wanted

        def right():
            found = self.api.lookup(name)
            return found == wanted or (isinstance(found, dict) and sorted(found) == wanted)
        try:
            sandbox.wait_until(right, seconds, "")
        except AssertionError:
            raise AssertionError(f"{name} is {wanted}, not {self.api.lookup(name)};\n{self.daemon.log()}") from None
        return time.monotonic() - begun
