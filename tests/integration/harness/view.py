"""What a process sees in place of files of the sandbox: a mount namespace for each process.

So processes with different nsswitch.conf, resolv.conf and name service sockets run at the same time. While
they do, the sandbox's own files must not be replaced: the kernel takes mounts off a file that is renamed over.
"""

import os
import shlex

from . import sandbox

_HOME = f"{sandbox.HOME}/views"

LOCALHOST = "127.0.0.1 localhost\n::1 localhost\n"


class View:
    """nsswitch.conf asks `hosts`; the DNS servers are `servers`; /etc/hosts has `records` besides localhost.

    `binds` are other files and directories: {what is there already: what stands in for it}.
    """

    def __init__(self, name, hosts, servers=(sandbox.DNS_SERVER,), records="", binds=None):
        home = f"{_HOME}/{name}"
        files = {
            "/etc/nsswitch.conf": f"passwd: files\ngroup: files\nhosts: {hosts}\n",
            "/etc/resolv.conf": "".join(f"nameserver {server}\n" for server in servers),
            "/etc/hosts": LOCALHOST + records,
        }
        self._binds = dict(binds or {})
        for path, content in files.items():
            self._binds[path] = home + path
            sandbox.write(home + path, content)

    def command(self, *argv):
        """The command that runs argv with this view."""
        script = "".join(f"mount --bind {shlex.quote(source)} {shlex.quote(target)}\n"
                         for target, source in self._binds.items())
        return ["unshare", "--mount", "sh", "-e", "-c", script + 'exec "$@"', "sh", *argv]


def private_directory(name, path):
    """For `binds`: an empty directory of its own in place of this one, which is made where it is missing."""
    os.makedirs(path, exist_ok=True)
    os.makedirs(f"{_HOME}/{name}", exist_ok=True)
    return {path: f"{_HOME}/{name}"}
