"""The images, each unpacked as a container's root: a daemon in the one, an unmodified program in the other, and between
them the directory that a pod of a DaemonSet has from its node. And add-to-image, in roots of other releases."""

import ctypes
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile

import machine
from harness import readme, tap

STATIC = "[service web.shop]\nsource = static\nendpoints = 192.0.2.11 192.0.2.12\n"
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

suite = tap.Suite()
machine.enter()
images = machine.built("*.oci.tar")
if not images:
    tap.skip_all("the images are not built: packaging/build image build/packages/image")
libc = ctypes.CDLL(None, use_errno=True)


class Image:
    def __init__(self, name):
        self.path = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
        archive, = machine.built(f"{name}.oci.tar")
        machine.call("tar", "-x", "-C", self.path, "-f", archive)
        index = self._read("index.json")
        self.name = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        self.manifest = self._blob(index["manifests"][0])
        self.config = self._blob(self.manifest["config"])["config"]

    def _read(self, path):
        with open(f"{self.path}/{path}") as file:
            return json.load(file)

    @staticmethod
    def _file(descriptor):
        return "blobs/" + descriptor["digest"].replace(":", "/")

    def _blob(self, descriptor):
        return self._read(self._file(descriptor))

    def unpack(self):
        root = f"{self.path}/root"
        os.mkdir(root)
        for layer in self.manifest["layers"]:
            machine.call("tar", "-x", "-z", "-C", root, "-f", f"{self.path}/{self._file(layer)}")
        return root


class Container:
    """A root that nobody can write to, with /proc and with the node's directory for the table."""

    def __init__(self, image, table, writable=False):
        self.root = image.unpack()
        self.image = image
        os.makedirs(f"{self.root}/run/k8shsvc", exist_ok=True)
        machine.call("mount", "--bind", self.root, self.root)
        machine.call("mount", "-t", "proc", "proc", f"{self.root}/proc")
        machine.call("mount", "--bind", table, f"{self.root}/run/k8shsvc")
        if not writable:
            machine.call("mount", "-o", "remount,ro,bind", f"{self.root}/run/k8shsvc")

    def configure(self, text):
        """As a ConfigMap."""
        directory = tempfile.mkdtemp(dir=self.image.path)
        os.chmod(directory, 0o755)
        with open(f"{directory}/k8shsvc.conf", "w") as file:
            file.write(text)
        machine.call("mount", "--bind", directory, f"{self.root}/etc/k8shsvc")
        machine.call("mount", "-o", "remount,ro,bind", self.root)

    def _confine(self, uid):
        """No capability, no new privilege: what the DaemonSet's securityContext asks for."""
        os.chroot(self.root)
        os.chdir("/")
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for capability in range(64):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setgid(0)
        if uid:
            os.setuid(uid)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0

    def start(self, *command, uid=0):
        return subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin"}, preexec_fn=lambda: self._confine(uid),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *command, uid=0):
        process = self.start(*command, uid=uid)
        output = process.communicate(timeout=30)[0]
        return process.returncode, output


def table_directory(uid=0):
    """As kubelet makes it, DirectoryOrCreate."""
    directory = tempfile.mkdtemp(dir="/dev/shm", prefix="k8shsvc-image.")
    os.chmod(directory, 0o755)
    os.chown(directory, uid, 0)
    return directory


@suite.each("user {0} writes the table, without a capability; programs in the other image get the addresses", [
    (0,), (1000650000,)])
def reaches(uid):
    table = table_directory(uid)
    daemon = Container(Image("k8shsvcd"), table, writable=True)
    daemon.configure(STATIC)
    base = Container(Image("k8shsvc-base"), table)
    process = daemon.start(*daemon.image.config["Entrypoint"], uid=uid)
    try:
        machine.wait_until(lambda: daemon.run("/usr/bin/k8shsvcctl", "status", "--ready", uid=uid)[0] == 0, 10,
                           "k8shsvcctl status --ready")
        status, output = base.run("/usr/bin/getent", "hosts", "web.shop.svc.cluster.local", uid=65534)
        found = sorted(line.split()[0] for line in output.splitlines())
        assert status == 0 and found and set(found) <= {"192.0.2.11", "192.0.2.12"}, output
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        shutil.rmtree(table)


@suite.test("the daemon's image: two programs, no shell, nothing setuid; 15 MiB at most beyond what Debian-slim has")
def is_small():
    root, base = Image("k8shsvcd").unpack(), Image("k8shsvc-base").unpack()
    files = [os.path.join(path, name) for path, _, names in os.walk(root) for name in names]
    sizes = {file: os.lstat(file).st_size for file in files}
    # What Debian-slim has, too: libc, libsystemd, and what these load.
    own = [file for file in files if not os.path.exists(base + os.path.realpath(file)[len(os.path.realpath(root)):])]
    size = sum(sizes[file] for file in own)
    tap.comment(f"{sum(sizes.values())} bytes, {size} of them beyond Debian-slim")
    assert size <= 15 << 20, size
    assert sorted(os.listdir(f"{root}/usr/bin") + os.listdir(f"{root}/usr/sbin")) == ["k8shsvcctl", "k8shsvcd"]
    assert not [file for file in files if os.lstat(file).st_mode & 0o6000]


@suite.test("the base image adds the module, 100 KiB at most, and the hosts line")
def adds_little():
    image = Image("k8shsvc-base")
    with tarfile.open(f"{image.path}/" + image._file(image.manifest["layers"][1])) as layer:
        members = {member.name.lstrip("./"): member.size for member in layer}
    module, = [name for name in members if name.endswith("/libnss_k8shsvc.so.2")]
    assert set(members) == {module, "etc/nsswitch.conf"} and members[module] <= 100 << 10, members


# ---- add-to-image ----

def module_files():
    archive, = machine.built("k8shsvc-module.tar.gz")
    directory = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    machine.call("tar", "-x", "-z", "-C", directory, "-f", archive)
    return [f"{directory}/{name}" for name in ("add-to-image", "nsswitch", "libnss_k8shsvc.so.2")]


@suite.each("add-to-image in {0}: module and hosts line, once", [("bookworm", "nscd"), ("trixie", "nsncd")])
def adds(release, package):
    root = machine.Root(release, package).mount()
    script = root.put(*module_files())[0]
    said = root.run("sh", script).stdout
    assert "libnss_k8shsvc.so.2\n" in said and "files k8shsvc dns" in said, said
    assert root.run("sh", script).stdout.count("\n") == 1
    assert root.hosts_line().split() == ["hosts:", "files", "k8shsvc", "dns"]
    assert "libnss_k8shsvc" in root.run("sh", "-c", "LD_DEBUG=libs getent hosts web.shop 2>&1 | grep calling.init").stdout


class Buildah:
    """With images of its own. localhost/base is our base image without what it has of k8shsvc: none is fetched."""

    def __init__(self, directory):
        self.directory = directory
        self.command = ["buildah", "--storage-driver", "vfs", "--root", f"{directory}/store", "--runroot", f"{directory}/run"]
        archive, = machine.built("k8shsvc-base.oci.tar")
        root = self.root(f"oci-archive:{archive}")
        machine.call("sh", module_files()[1], "remove", root)
        machine.call("find", root, "-xdev", "-name", "libnss_k8shsvc*", "-delete")
        self("commit", "--quiet", self.container, "base")

    def __call__(self, *arguments):
        return machine.call(*self.command, *arguments, cwd=self.directory).stdout.strip()

    def root(self, image):
        self.container = self("from", image)
        return self("mount", self.container)

    def build(self, *arguments):
        """The last BASE counts."""
        return self("build", "--isolation", "chroot", *arguments[:-1], "--build-arg", "BASE=localhost/base", arguments[-1])

    def has_module(self, image):
        made = self.root(f"localhost/{image}")
        assert machine.glob.glob(f"{made}/usr/lib/*/libnss_k8shsvc.so.2")
        with open(f"{made}/etc/nsswitch.conf") as file:
            assert "files k8shsvc dns" in file.read()


@suite.test("Containerfile.distroless: its steps lead to an image with the module")
def distroless():
    buildah = Buildah(os.path.dirname(module_files()[0]))
    buildah.build("--build-arg", "TOOLS=localhost/base", "-f", "Containerfile.distroless", "-t", "made", ".")
    buildah.has_module("made")


@suite.test("README.md's commands lead to an image with the module; buildah stands for podman, our base for its base")
def readme_commands():
    buildah = Buildah(tempfile.mkdtemp(dir=os.environ[machine.INSIDE]))
    os.mkdir(f"{buildah.directory}/out")
    shutil.copy(machine.built("k8shsvc-module.tar.gz")[0], f"{buildah.directory}/out/")
    build, unpack, podman = readme.block("Install", "podman").splitlines()
    assert build == "packaging/build image out", build
    machine.call("bash", "-euc", unpack, cwd=buildah.directory)
    words = shlex.split(podman)
    assert words[:2] == ["podman", "build"], podman
    buildah.build(*words[2:])
    buildah.has_module("my-base")


def foreign_root(libc_path, content):
    root = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    os.makedirs(os.path.dirname(root + libc_path))
    os.mkdir(f"{root}/etc")
    with open(root + libc_path, "wb") as file:
        file.write(content)
    with open(f"{root}/etc/nsswitch.conf", "w") as file:
        file.write("hosts: files dns\n")
    return root


def add_to(root):
    script, _, module = module_files()
    return module, machine.call("sh", script, module, root, check=False)


@suite.test("add-to-image for a root without a shell, of a system with lib64")
def adds_from_outside():
    with open(module_files()[2], "rb") as file:
        root = foreign_root("/usr/lib64/libc.so.6", file.read())
    module, result = add_to(root)
    assert result.returncode == 0, result.stderr
    assert open(f"{root}/usr/lib64/libnss_k8shsvc.so.2", "rb").read() == open(module, "rb").read()
    assert open(f"{root}/etc/nsswitch.conf").read() == "hosts: files k8shsvc dns\n"


@suite.each("add-to-image refuses {0}, and changes nothing", [
    ("musl", "/lib/ld-musl-x86_64.so.1", "libk8shsvc"), ("another architecture", "/lib64/libc.so.6", "architecture")])
def refuses(_, path, word):
    root = foreign_root(path, b"\x7fELF\x01\x01\x01" + bytes(11) + b"\x28\x00")
    result = add_to(root)[1]
    assert result.returncode == 1 and word in result.stderr, result.stderr
    assert open(f"{root}/etc/nsswitch.conf").read() == "hosts: files dns\n"
    assert not machine.glob.glob(f"{root}/**/libnss_*", recursive=True)


@suite.test("add-to-image follows no link out of the root, and puts nothing into a directory in the module's place")
def stays_inside():
    script, _, module = module_files()
    with open(module, "rb") as file:
        libc = file.read()
    root, outside = (foreign_root("/usr/lib64/libc.so.6", libc) for _ in range(2))
    shutil.rmtree(f"{root}/usr/lib64")
    os.symlink(f"{outside}/usr/lib64", f"{root}/usr/lib64")
    result = machine.call("sh", script, module, root, check=False)
    assert result.returncode == 1 and os.listdir(f"{outside}/usr/lib64") == ["libc.so.6"], result
    os.mkdir(f"{outside}/usr/lib64/libnss_k8shsvc.so.2")
    result = machine.call("sh", script, module, outside, check=False)
    assert result.returncode == 1 and "is a directory" in result.stderr, result


@suite.test("add-to-image without od says so: no libc is taken for one that can load the module")
def needs_od():
    script, _, module = module_files()
    tools = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    for name in "sh", "cat", "cp", "mv", "rm", "readlink", "chmod", "dirname":
        os.symlink(shutil.which(name), f"{tools}/{name}")
    root = foreign_root("/lib64/libc.so.6", b"\x7fELF\x01\x01\x01" + bytes(11) + b"\x28\x00")
    result = machine.call(f"{tools}/sh", script, module, root, check=False, env={"PATH": tools})
    assert result.returncode == 1 and "od is needed" in result.stderr, result
    assert not machine.glob.glob(f"{root}/**/libnss_*", recursive=True)


raise SystemExit(suite.run())
