"""Other releases of Debian, with their own glibc, python and name service caches, inside of the sandbox.

The module is the one that was built here, copied in; the table is the sandbox's. What is written goes to
an overlay and is gone with the sandbox.
"""

import glob
import os
import shutil
import socket
import subprocess

from . import outside, sandbox

RELEASES = {"bullseye": (), "bookworm": ("nscd",), "trixie": ("nsncd",), "sid": ()}


def made(release):
    """The root's path, made when that has not been done yet: to be called before sandbox.enter(), too."""
    return outside.made_by("build-root", release, *RELEASES[release])


class Root:
    def __init__(self, release):
        self.path = f"{sandbox.HOME}/roots/{release}"
        self._client = f"{self.path}.client"
        for part in "", ".upper", ".work", ".client":
            os.makedirs(self.path + part)
        layers = f"lowerdir={made(release)},upperdir={self.path}.upper,workdir={self.path}.work"
        sandbox.run("mount", "-t", "overlay", "overlay", "-o", layers, self.path)
        for directory in "proc", "dev":
            sandbox.run("mount", "--rbind", f"/{directory}", f"{self.path}/{directory}")
        libc, = glob.glob(f"{self.path}/usr/lib/*/libc.so.6") or glob.glob(f"{self.path}/lib/*/libc.so.6")
        sandbox.install(f"{os.path.dirname(libc)}/libnss_k8shsvc.so.2", os.environ["K8SHSVC_TEST_MODULE"])
        self.show_table()

    def show_table(self):
        os.makedirs(self.path + sandbox.RUNDIR)
        sandbox.run("mount", "--bind", sandbox.RUNDIR, self.path + sandbox.RUNDIR)

    def hide_table(self):
        """With its directory."""
        sandbox.run("umount", self.path + sandbox.RUNDIR)
        os.rmdir(self.path + sandbox.RUNDIR)

    def configure(self, hosts):
        for name in "hosts", "resolv.conf", "gai.conf":
            with open(f"/etc/{name}") as file:
                sandbox.write(f"{self.path}/etc/{name}", file.read())
        sandbox.write(f"{self.path}/etc/nsswitch.conf", f"passwd: files\ngroup: files\nhosts: {hosts}\n")

    def command(self, *command):
        return ["chroot", self.path, *command]

    def client(self):
        """The same place to programs that ask nobody but a cache: the beginning of a command."""
        nsswitch = f"{self._client}/nsswitch.conf"
        sandbox.write(nsswitch, "passwd: files\ngroup: files\nhosts: files\n")
        return ["unshare", "--mount", "sh", "-c",
                f"mount --bind {nsswitch} {self.path}/etc/nsswitch.conf && exec chroot {self.path} \"$@\"", "sh"]

    def glibc(self):
        return sandbox.run(*self.command("ldd", "--version")).stdout.splitlines()[0].split()[-1]


class Cache:
    """nscd or nsncd in a root, which programs there then ask before all else."""

    def __init__(self, root, *command):
        self._root, self._command = root, command
        self._socket = f"{root.path}/run/nscd/socket"

    def __enter__(self):
        for directory in os.path.dirname(self._socket), f"{self._root.path}/var/cache/nscd":
            os.makedirs(directory, exist_ok=True)
        self._process = subprocess.Popen(self._root.command(*self._command), stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        sandbox.wait_until(self._listens, 30, f"{self._command[0]} listens")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.unlink(self._socket)
        # nscd would go on with what this one has learnt, from a file
        shutil.rmtree(f"{self._root.path}/var/cache/nscd", ignore_errors=True)

    @property
    def alive(self):
        return self._process.poll() is None

    def _listens(self):
        assert self.alive, f"{self._command[0]} has ended"
        with socket.socket(socket.AF_UNIX) as channel:
            return channel.connect_ex(self._socket) == 0
