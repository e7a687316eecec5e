"""Debian roots that packages are installed in, each an overlay on one that tests/build-root has made.

The test's process is the first of a process and a mount namespace of its own: what it starts and mounts ends with it.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILT = os.environ.get("K8SHSVC_TEST_PACKAGES", f"{SOURCE}/build/packages")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}
INSIDE = "K8SHSVC_TEST_INSIDE"
ARCHITECTURE = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()


def enter():
    """To be called first."""
    if INSIDE in os.environ:
        return
    work = tempfile.mkdtemp(prefix="k8shsvc-packages.")
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    try:
        status = subprocess.call(command, env={**os.environ, INSIDE: work})
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(status)


def call(*command, check=True, **options):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def built(pattern, architecture=None):
    """What packaging/build has made; tests/run --packages calls it. Packages are those of this machine, or of another."""
    suffixes = f"_{architecture}.deb" if architecture else (f"_{ARCHITECTURE}.deb", "_all.deb")
    files = [file for file in glob.glob(f"{BUILT}/*/{pattern}") if "-dbgsym" not in file]
    return sorted(file for file in files if not file.endswith(".deb") or file.endswith(suffixes))


def older(files, version):
    """The same packages with another version: what the release before this one is."""
    directory = tempfile.mkdtemp(dir=os.environ[INSIDE])
    for file in files:
        tree = f"{directory}/tree"
        call("dpkg-deb", "-R", file, tree)
        with open(f"{tree}/DEBIAN/control") as control:
            text = control.read()
        this = re.search(r"^Version: (.*)$", text, re.M).group(1)
        with open(f"{tree}/DEBIAN/control", "w") as control:
            text = text.replace(this, version)
            control.write(text.replace(f"(>= {this.split('-')[0]})", f"(>= {version.split('-')[0]})"))
        call("dpkg-deb", "--root-owner-group", "-b", tree, f"{directory}/{os.path.basename(file)}")
        shutil.rmtree(tree)
    return sorted(glob.glob(f"{directory}/*.deb"))


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Root:
    def __init__(self, release, *packages, cache=None):
        environment = dict(os.environ)
        if cache:
            home = environment.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
            environment["XDG_CACHE_HOME"] = f"{home}/k8shsvc/{cache}"
        made = call(f"{SOURCE}/tests/build-root", release, *packages, env=environment).stdout.strip()
        work = tempfile.mkdtemp(dir=os.environ[INSIDE])
        self.path = f"{work}/root"
        for part in "root", "upper", "work":
            os.mkdir(f"{work}/{part}")
        call("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={made},upperdir={work}/upper,workdir={work}/work",
             self.path)
        shutil.copy("/etc/resolv.conf", f"{self.path}/etc/resolv.conf")

    def mount(self):
        """What programs in a chroot expect."""
        call("mount", "--rbind", "/dev", f"{self.path}/dev")
        call("mount", "-t", "proc", "proc", f"{self.path}/proc")
        call("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", f"{self.path}/run")
        return self

    def run(self, *command, check=True):
        return call("chroot", self.path, *command, check=check, env=ENVIRONMENT)

    def start(self, *command):
        return subprocess.Popen(["chroot", self.path, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def put(self, *files):
        """Into /packages, empty before; returns the paths that programs in the root use."""
        shutil.rmtree(f"{self.path}/packages", ignore_errors=True)
        os.mkdir(f"{self.path}/packages")
        for file in files:
            shutil.copy(file, f"{self.path}/packages/")
        return [f"/packages/{os.path.basename(file)}" for file in files]

    def install(self, files, *options):
        return self.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *options, *self.put(*files))

    def read(self, path):
        with open(self.path + path) as file:
            return file.read()

    def write(self, path, text):
        with open(self.path + path, "w") as file:
            file.write(text)

    def hosts_line(self):
        return re.search(r"^hosts:.*$", self.read("/etc/nsswitch.conf"), re.M).group(0)

    def edit_hosts_line(self, line):
        text = self.read("/etc/nsswitch.conf")
        self.write("/etc/nsswitch.conf", re.sub(r"^hosts:.*$", line, text, flags=re.M))
