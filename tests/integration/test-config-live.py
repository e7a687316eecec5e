"""The configuration is followed by itself: what changes in its files holds within a second, the rest does not notice."""

import ctypes
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import daemon, lab, lookup, sandbox, tap
from harness.hammer import Hammer

suite = tap.Suite()

A, B, C = lab.pods(10, 3)
FIRST, SECOND, THIRD = (f"{name}-svc.default.svc.cluster.local" for name in ("first", "second", "third"))
BASE = "[service first-svc.default]\nanswers = all\n"
SECOND_SECTION, THIRD_SECTION = "[service second-svc.default]\n", "[service third-svc.default]\n"
ETC_D, RUN_D = f"{sandbox.CONFIG_DIR}/conf.d", f"{sandbox.RUNDIR}/conf.d"
VOLUME = "/etc/volume"
MANY = [f"many-{i}.batch" for i in range(1000)]

# What takes longer never comes. What is promised is a second, and said as a comment.
NEVER = 20
# Files are looked at twice a second, and changes joined for 0.1 s: what has not happened by then is not going to.
SOON = 1.5


def in_place(path, text, mode="w"):
    """As echo and many editors write: the file keeps its inode."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as file:
        file.write(text)


def wait_answer(name, addresses, seconds=NEVER):
    start = time.monotonic()
    sandbox.wait_until(lambda: lookup.addresses(name) == set(addresses), seconds,
                       f"{name} is {addresses}; it is {lookup.resolve(name)}; the log is:\n{running.log()}")
    tap.comment(f"{name.split('.')[0]}: there after {time.monotonic() - start:.2f} s")


def wait_gone(name):
    start = time.monotonic()
    sandbox.wait_until(lambda: lookup.resolve(name).error, NEVER,
                       f"{name} is not answered any more; the log is:\n{running.log()}")
    tap.comment(f"{name.split('.')[0]}: gone after {time.monotonic() - start:.2f} s")


def remains(name, addresses):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        assert lookup.addresses(name) == set(addresses), f"{name} is {lookup.resolve(name)}"
        time.sleep(0.05)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def fresh():
    """The configuration that every test begins with."""
    for path in ETC_D, RUN_D, VOLUME:
        remove(path)
    if os.path.islink(sandbox.CONFIG):
        os.unlink(sandbox.CONFIG)
    daemon.configure(BASE)
    wait_answer(FIRST, [A])
    wait_gone(SECOND)
    wait_gone(THIRD)


class Versions:
    """Which services have changed, by k8shsvc_wait(3)."""

    def __init__(self, *names):
        self._library = ctypes.CDLL(os.environ["K8SHSVC_TEST_LIBRARY"])
        self._handle = ctypes.c_void_p()
        assert self._library.k8shsvc_open(ctypes.byref(self._handle)) == 0
        self._tokens = {name: ctypes.c_uint64(0) for name in names}
        self.changed()

    def changed(self):
        """Those that are others than at the last call."""
        changed = set()
        for name, token in self._tokens.items():
            r = self._library.k8shsvc_wait(self._handle, name.encode(), ctypes.byref(token), 0)
            assert r in (0, -errno.ETIMEDOUT), f"{name}: {r}"
            if r == 0:
                changed.add(name)
        return changed


# ---- plain files ----

@suite.test("a line is added to the main file, in place")
def edit_in_place():
    fresh()
    in_place(sandbox.CONFIG, SECOND_SECTION, "a")
    wait_answer(SECOND, [B])
    in_place(sandbox.CONFIG, BASE)
    wait_gone(SECOND)
    assert lookup.addresses(FIRST) == {A}


@suite.test("another file is moved over the main file")
def rename_over():
    fresh()
    daemon.configure(BASE + SECOND_SECTION)
    wait_answer(SECOND, [B])
    daemon.configure(BASE)
    wait_gone(SECOND)


@suite.test("the main file is deleted, and comes back")
def deleted():
    fresh()
    os.unlink(sandbox.CONFIG)
    wait_gone(FIRST)
    in_place(sandbox.CONFIG, BASE)
    wait_answer(FIRST, [A])


@suite.test("the main file is moved away, and back")
def moved():
    fresh()
    os.rename(sandbox.CONFIG, sandbox.CONFIG + ".off")
    wait_gone(FIRST)
    os.rename(sandbox.CONFIG + ".off", sandbox.CONFIG)
    wait_answer(FIRST, [A])


@suite.test("a file of conf.d is added, edited in place, and deleted")
def conf_d():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    in_place(f"{ETC_D}/10.conf", THIRD_SECTION)
    wait_answer(THIRD, [C])
    wait_gone(SECOND)
    os.unlink(f"{ETC_D}/10.conf")
    wait_gone(THIRD)


@suite.test("a file that is being written is not read before it is closed; nor is a file that is written anew")
def half_written():
    fresh()
    os.makedirs(ETC_D)
    time.sleep(0.5)
    with open(f"{ETC_D}/10.conf", "w") as file:
        file.write(SECOND_SECTION)
        file.flush()
        time.sleep(SOON)
        assert lookup.resolve(SECOND).error, "half a file is taken"
    wait_answer(SECOND, [B])
    with open(f"{ETC_D}/10.conf", "w") as file:  # empty from here on
        remains(SECOND, [B])
        file.write(SECOND_SECTION + THIRD_SECTION)
    wait_answer(THIRD, [C])


@suite.test("a service that moves from file to file is never lost")
def moves():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    loop = Hammer("long", SECOND, [B]).start()
    for i in range(20):
        os.rename(f"{ETC_D}/{10 + i}.conf", f"{ETC_D}/{11 + i}.conf")
        time.sleep(0.07)
    time.sleep(0.5)
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result


@suite.test("a file is linked into conf.d, a link made, and both deleted")
def links():
    fresh()
    in_place(f"{VOLUME}/second", SECOND_SECTION)
    in_place(f"{VOLUME}/third", THIRD_SECTION)
    os.makedirs(ETC_D)
    os.link(f"{VOLUME}/second", f"{ETC_D}/10.conf")
    os.symlink(f"{VOLUME}/third", f"{ETC_D}/20.conf")
    wait_answer(SECOND, [B])
    wait_answer(THIRD, [C])
    os.unlink(f"{ETC_D}/10.conf")
    os.unlink(f"{ETC_D}/20.conf")
    wait_gone(SECOND)
    wait_gone(THIRD)


@suite.test("a file that was linked when its writer was done: O_TMPFILE and linkat(2); link(2) and unlink(2)")
def linked_whole():
    fresh()
    os.makedirs(ETC_D)
    time.sleep(0.5)
    fd = os.open(sandbox.CONFIG_DIR, os.O_TMPFILE | os.O_WRONLY, 0o644)
    os.write(fd, SECOND_SECTION.encode())
    root = os.open("/", os.O_PATH)  # without it python calls link(2), which does not follow
    os.link(f"/proc/self/fd/{fd}", f"{ETC_D}/10.conf", src_dir_fd=root, follow_symlinks=True)
    os.close(root)
    os.close(fd)
    in_place(f"{sandbox.CONFIG_DIR}/third", THIRD_SECTION)
    os.link(f"{sandbox.CONFIG_DIR}/third", f"{ETC_D}/20.conf")
    os.unlink(f"{sandbox.CONFIG_DIR}/third")
    wait_answer(SECOND, [B])
    wait_answer(THIRD, [C])


@suite.test("what a link of conf.d leads to is edited in place, replaced, and replaced by a link")
def link_target():
    fresh()
    in_place(f"{VOLUME}/file", "")
    os.makedirs(ETC_D)
    os.symlink(f"{VOLUME}/file", f"{ETC_D}/10.conf")
    time.sleep(0.5)
    in_place(f"{VOLUME}/file", SECOND_SECTION)
    wait_answer(SECOND, [B])
    sandbox.write(f"{VOLUME}/file", THIRD_SECTION)
    wait_answer(THIRD, [C])
    wait_gone(SECOND)
    in_place(f"{VOLUME}/other/file", SECOND_SECTION)
    os.symlink("other/file", f"{VOLUME}/new")
    os.rename(f"{VOLUME}/new", f"{VOLUME}/file")
    wait_answer(SECOND, [B])
    in_place(f"{VOLUME}/other/file", THIRD_SECTION)
    wait_answer(THIRD, [C])


# ---- directories ----

@suite.each("{0}: it appears, is moved away and back, deleted, and made again", [
    ("/etc's conf.d", ETC_D), ("/run's conf.d", RUN_D), ("conf.d of a tree that is not there", ETC_D)])
def directories(what, directory):
    fresh()
    tree = sandbox.CONFIG_DIR if "tree" in what else directory
    if tree == sandbox.CONFIG_DIR:
        remove(tree)
        wait_gone(FIRST)
    in_place(f"{directory}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    os.rename(tree, tree + ".off")
    wait_gone(SECOND)
    in_place(tree + ".off" + directory[len(tree):] + "/10.conf", SECOND_SECTION + THIRD_SECTION)
    os.rename(tree + ".off", tree)
    wait_answer(SECOND, [B])
    wait_answer(THIRD, [C])
    remove(tree)
    wait_gone(SECOND)
    in_place(f"{directory}/20.conf", THIRD_SECTION)
    wait_answer(THIRD, [C])
    in_place(f"{directory}/20.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])


@suite.test("conf.d is a link to a directory, and then to another")
def directory_link():
    fresh()
    in_place(f"{VOLUME}/one/10.conf", SECOND_SECTION)
    in_place(f"{VOLUME}/two/10.conf", THIRD_SECTION)
    os.symlink(f"{VOLUME}/one", ETC_D)
    wait_answer(SECOND, [B])
    os.symlink(f"{VOLUME}/two", f"{VOLUME}/new")
    os.rename(f"{VOLUME}/new", ETC_D)
    wait_answer(THIRD, [C])
    wait_gone(SECOND)
    in_place(f"{VOLUME}/two/20.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])


@suite.test("something is mounted over conf.d, and unmounted")
def mounted_over():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    in_place(f"{VOLUME}/10.conf", THIRD_SECTION)
    sandbox.run("mount", "--bind", VOLUME, ETC_D)
    try:
        wait_answer(THIRD, [C])
        wait_gone(SECOND)
        in_place(f"{VOLUME}/20.conf", SECOND_SECTION)
        wait_answer(SECOND, [B])
    finally:
        sandbox.run("umount", ETC_D)
    os.unlink(f"{ETC_D}/10.conf")
    wait_gone(SECOND)
    wait_gone(THIRD)


@suite.test("conf.d can't be read: what is known stays; it can be again")
def unreadable_directory():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    os.rename(ETC_D, ETC_D + ".off")
    in_place(ETC_D, "not a directory\n")
    running.wait_log(re.escape(ETC_D) + ": found Not a directory, expected a readable directory")
    os.unlink(ETC_D)
    os.rename(ETC_D + ".off", ETC_D)
    in_place(f"{ETC_D}/20.conf", THIRD_SECTION)
    wait_answer(THIRD, [C])
    assert lookup.addresses(SECOND) == {B}


# ---- volumes ----

class Volume:
    """A directory as the kubelet keeps it for a ConfigMap: only the link ..data is ever exchanged."""

    def __init__(self, directory, **files):
        self._directory = directory
        self._number = 0
        os.makedirs(directory)
        self.set(**files)

    def set(self, **files):
        self._number += 1
        new, old = f"..2026_{self._number}", os.path.realpath(f"{self._directory}/..data")
        for name, text in files.items():
            in_place(f"{self._directory}/{new}/{name}.conf", text)
        os.symlink(new, f"{self._directory}/..data_tmp")
        os.rename(f"{self._directory}/..data_tmp", f"{self._directory}/..data")
        for name in files:
            if not os.path.lexists(f"{self._directory}/{name}.conf"):
                os.symlink(f"..data/{name}.conf", f"{self._directory}/{name}.conf")
        for name in os.listdir(self._directory):
            if name.endswith(".conf") and name[:-5] not in files:
                os.unlink(f"{self._directory}/{name}")
        if self._number > 1:
            shutil.rmtree(old)


@suite.test("conf.d is a ConfigMap volume: a key changes, comes, goes, and a service moves between two")
def config_map():
    fresh()
    volume = Volume(ETC_D, a=SECOND_SECTION)
    wait_answer(SECOND, [B])
    volume.set(a=THIRD_SECTION)
    wait_answer(THIRD, [C])
    wait_gone(SECOND)
    volume.set(a=THIRD_SECTION, b=SECOND_SECTION)
    wait_answer(SECOND, [B])
    loop = Hammer("long", SECOND, [B]).start()
    for _ in range(5):
        volume.set(a=SECOND_SECTION, b=THIRD_SECTION)
        time.sleep(0.15)
        volume.set(a=THIRD_SECTION, b=SECOND_SECTION)
        time.sleep(0.15)
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result
    volume.set(a=THIRD_SECTION)
    wait_gone(SECOND)


@suite.test("the main file is a link into the ..data of a volume elsewhere")
def main_link():
    fresh()
    volume = Volume(VOLUME, main=BASE)
    os.symlink(f"{VOLUME}/main.conf", f"{sandbox.CONFIG}.new")
    os.rename(f"{sandbox.CONFIG}.new", sandbox.CONFIG)
    time.sleep(0.5)
    volume.set(main=BASE + SECOND_SECTION)
    wait_answer(SECOND, [B])
    volume.set(main=BASE + THIRD_SECTION)
    wait_answer(THIRD, [C])
    wait_gone(SECOND)


@suite.test("--config FILE with conf.d beside it, named from the current directory")
def config_flag():
    fresh()
    in_place(f"{VOLUME}/my.conf", BASE)
    running.kill()
    os.chdir(VOLUME)
    try:
        with lab.start_daemon(FIRST, arguments=["--config", "my.conf"]):
            in_place(f"{VOLUME}/my.conf", SECOND_SECTION, "a")
            wait_answer(SECOND, [B])
            in_place(f"{VOLUME}/conf.d/10.conf", THIRD_SECTION)
            wait_answer(THIRD, [C])
            in_place(f"{ETC_D}/10.conf", "[service first-svc.default]\nalias = not-read\n")
            remove(f"{VOLUME}/conf.d")
            wait_gone(THIRD)
            assert lookup.resolve("not-read").error
            os.unlink(f"{VOLUME}/my.conf")  # must exist: what it said stays
            remains(SECOND, [B])
    finally:
        os.chdir("/")
        restart()


# ---- only what has changed ----

@suite.test("services that a change does not concern do not change, static ones neither")
def untouched():
    fresh()
    daemon.configure(BASE + "alias = nick\n" + THIRD_SECTION + "[service here.static]\nsource = static\nendpoints = 10.244.7.1\n")
    wait_answer(THIRD, [C])
    wait_answer("here.static", ["10.244.7.1"])
    versions = Versions("first-svc.default", "third-svc.default", "here.static", "nick")
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION + "alias = other\n")
    wait_answer(SECOND, [B])
    in_place(f"{ETC_D}/20.conf", THIRD_SECTION + "answers = all\n")
    sandbox.wait_until(lambda: "third-svc.default" in versions.changed(), NEVER, "the third service changes")
    in_place(f"{ETC_D}/30.conf", "[service here.static]\nendpoints = 10.244.7.2 10.244.7.3\n")
    sandbox.wait_until(lambda: "here.static" in versions.changed(), NEVER, "the static service changes")
    in_place(f"{ETC_D}/10.conf", "")
    wait_gone(SECOND)
    assert not versions.changed(), "a service has changed that nothing was said about"


def n_taken(log):
    return len(re.findall("configuration: \\d+ services", log))


@suite.test("files that say nothing new do nothing: editors' files, a file that is written as it was, comments")
def nothing_new():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    time.sleep(0.5)
    before = len(running.log())
    in_place(f"{ETC_D}/.10.conf.swp", "[broken\n")
    in_place(f"{ETC_D}/10.conf~", "[broken\n")
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION + "# a comment\n")
    os.utime(sandbox.CONFIG)
    time.sleep(SOON)
    assert n_taken(running.log()[before:]) == 0, running.log()[before:]
    in_place(f"{ETC_D}/10.conf", THIRD_SECTION)
    wait_answer(THIRD, [C])
    assert n_taken(running.log()[before:]) == 1, running.log()[before:]


@suite.test("--service and K8SHSVC_SERVICES outlive every file")
def targets():
    fresh()
    running.kill()
    try:
        with lab.start_daemon(SECOND, THIRD, arguments=["--service", "second-svc.default"],
                              env={"K8SHSVC_SERVICES": "third-svc.default"}) as other:
            os.unlink(sandbox.CONFIG)
            wait_gone(FIRST)
            in_place(f"{ETC_D}/10.conf", "[service second-svc.default]\nport = x/y\n")
            other.wait_log(r"10\.conf:2: \[service second-svc\.default\] port: ")
            assert lookup.addresses(SECOND) == {B} and lookup.addresses(THIRD) == {C}
    finally:
        restart()


@suite.test("keys of [daemon] hold at once: cluster-domain, namespace, allow-cidr, refresh-max, log-level")
def daemon_keys():
    fresh()
    daemon.configure("[daemon]\ncluster-domain = example.test\n" + BASE)
    wait_answer("first-svc.default.svc.example.test", [B])
    assert lookup.resolve(FIRST).error, "the old domain is still answered"
    daemon.configure("[daemon]\nnamespace = default\n" + BASE)
    wait_answer("first-svc", [A])
    server.set_service("first-svc.default", [A, "10.99.0.1"])
    wait_answer(FIRST, [A, "10.99.0.1"])
    daemon.configure("[daemon]\nallow-cidr = 10.244.0.0/16\n" + BASE)
    wait_answer(FIRST, [A])
    server.set_service("first-svc.default", [A])
    before = len(running.log())
    daemon.configure("[daemon]\nlog-level = error\n" + BASE)
    time.sleep(SOON)
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    assert "<6>" not in running.log()[before:], running.log()[before:]


# ---- the static source ----

@suite.test("static addresses that change in the file are published at once; none; other ones; and dns instead")
def static():
    fresh()
    section = "[service second-svc.default]\nanswers = all\nsource = static\nendpoints ="
    in_place(f"{ETC_D}/10.conf", f"{section} 10.244.7.1 10.244.7.2\n")
    wait_answer(SECOND, ["10.244.7.1", "10.244.7.2"])
    in_place(f"{ETC_D}/10.conf", f"{section} 10.244.7.2 fd00:10:244::7\n")
    wait_answer(SECOND, ["10.244.7.2", "fd00:10:244::7"])
    in_place(f"{ETC_D}/10.conf", f"{section}\n")
    wait_gone(SECOND)
    in_place(f"{ETC_D}/10.conf", f"{section} 10.244.7.3\n")
    wait_answer(SECOND, ["10.244.7.3"])
    in_place(f"{ETC_D}/10.conf", f"{section} 10.244.7.4 0.0.0.0\n")
    running.wait_log(r"10\.conf:4: \[service second-svc\.default\] endpoints: found '0\.0\.0\.0', expected")
    assert lookup.addresses(SECOND) == {"10.244.7.3"}
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    wait_answer(SECOND, [B])
    in_place(f"{ETC_D}/10.conf", f"{section} 10.244.7.5\n")
    wait_answer(SECOND, ["10.244.7.5"])


# ---- what is wrong ----

@suite.test("a new file with an error is left out as a whole, with FILE:LINE, until it is mended")
def bad_new_file():
    fresh()
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION + "ansers = all\n")
    running.wait_log(rf"{ETC_D}/10\.conf:2: \[service second-svc\.default\] ansers: found an unknown key, expected ")
    running.wait_log(rf"{ETC_D}/10\.conf: left out as a whole until it is mended")
    assert lookup.resolve(SECOND).error
    in_place(f"{ETC_D}/20.conf", THIRD_SECTION)
    wait_answer(THIRD, [C])
    in_place(f"{ETC_D}/10.conf", SECOND_SECTION + "answers = all\n")
    wait_answer(SECOND, [B])


@suite.test("an error is said when it is new, not at each change of other files, and again on SIGHUP")
def said_once():
    fresh()
    in_place(f"{ETC_D}/10.conf", "[service second-svc.default]\nsaid = once\n")
    running.wait_log("said: found an unknown key")
    for i in range(5):
        in_place(f"{ETC_D}/20.conf", THIRD_SECTION if i % 2 == 0 else "")
        (wait_answer if i % 2 == 0 else lambda name, _: wait_gone(name))(THIRD, [C])
    assert running.log().count("said: found an unknown key") == 1, running.log()
    running.reload()
    sandbox.wait_until(lambda: running.log().count("said: found an unknown key") == 2, NEVER, "it is said again")


def repeated(line, n):
    return (line + "\n") * n


# (title, content, the line that is named, what is said of it); None: there is nothing wrong.
FAULTS = [
    ("a NUL byte", BASE + "# a\0b\n" + SECOND_SECTION, 3, "found a NUL byte, expected text"),
    ("a byte order mark", "\ufeff" + SECOND_SECTION, None, None),
    ("UTF-16", SECOND_SECTION.encode("utf-16"), 1, "found text in UTF-16, expected text in UTF-8"),
    ("CRLF", SECOND_SECTION.replace("\n", "\r\n") + "answers = all\r\n", None, None),
    ("bytes that are no UTF-8", SECOND_SECTION.encode() + b"# caf\xe9\n", 2, "expected text in UTF-8"),
    ("a million comments", SECOND_SECTION + repeated("# comment", 10**6), None, None),
    ("a million lines without sense", SECOND_SECTION + repeated("nonsense", 10**6), 2,
     "found 'nonsense', expected KEY = VALUE"),
    ("a line of 15 million bytes", SECOND_SECTION + "answers = " + "a" * (15 << 20), 2, "aaa...', expected a line of at most 64 KiB"),
    ("17 MiB", SECOND_SECTION + repeated("# comment", 17 << 17), 0, "found a file that is too large, expected at most 16 MiB"),
    ("a no-break space in a name", "[service second\u00a0svc.default]\n", 1, r"found 'second\xc2\xa0svc.default', expected NAME"),
    ("a no-break space before a key", SECOND_SECTION + "\u00a0answers = all\n", 2, r"\xc2\xa0answers"),
    ("a name of 254 bytes", f"[service {'a' * 127}.{'b' * 126}]\n", 1, "expected NAME, NAME.NAMESPACE or"),
    ("an alias of 254 bytes", SECOND_SECTION + "alias = " + ".".join(["a" * 63] * 3 + ["b" * 62]) + "\n", 2,
     "expected host names of at most 253 bytes"),
    ("a service outside the cluster domain", "[service www.example.svc.example.com]\n", 1,
     "expected a name in the cluster domain cluster.local"),
    ("an alias inside the cluster domain", SECOND_SECTION + "alias = other.default.svc.cluster.local\n", 2,
     "expected a name outside the cluster domain"),
    ("an include of itself", "[daemon]\ninclude = /etc/k8shsvc/conf.d/50.conf\n" + SECOND_SECTION, 2,
     "include: found an unknown key"),
    ("a link to itself", None, 0, "found Too many levels of symbolic links"),
    ("a directory", "directory", 0, "found a directory, expected a regular file"),
]


@suite.each("fault 48: {0}", FAULTS)
def fault(what, content, line, message):
    remove(f"{ETC_D}/50.conf")
    if lookup.addresses(SECOND) or lookup.addresses(THIRD) != {C}:  # else it is as the test before has left it
        fresh()
        in_place(f"{ETC_D}/10.conf", THIRD_SECTION)
        wait_answer(THIRD, [C])
    loop = Hammer("long", FIRST, [A]).start() if content and len(content) > 10**6 else None
    path, before = f"{ETC_D}/50.conf", len(running.log())
    if what == "a link to itself":
        os.symlink("50.conf", path)
    elif what == "a directory":
        os.mkdir(path)
    else:
        sandbox.write(path, content)
    if message is None:
        wait_answer(SECOND, [B], 3 * NEVER)
    else:
        place = re.escape(f"{path}:{line}: " if line else f"{path}: ")
        sandbox.wait_until(lambda: re.search(place + ".*" + re.escape(message), running.log()[before:]), 3 * NEVER,
                           f"{place} {message} in the log: {running.log()[before:][:2000]}")
        assert lookup.resolve(SECOND).error, "part of a file with an error is taken"
        assert lookup.addresses(THIRD) == {C}, "another file's service is lost"
    assert lookup.addresses(FIRST) == {A}
    if loop:
        result = loop.stop()
        assert result["failures"] == result["wrong"] == 0, result


# ---- many ----

@suite.test("1,000 registrations added in one file are served within 2 s, and taken out again")
def thousand():
    fresh()
    start = time.monotonic()
    sandbox.write(f"{RUN_D}/many.conf", "".join(f"[service {name}]\n" for name in MANY))
    sandbox.wait_until(lambda: lab.answers(*MANY), 3 * NEVER, "all are answered")
    tap.comment(f"MEASURED: 1,000 registrations served after {time.monotonic() - start:.2f} s (bar: 2 s)")
    os.unlink(f"{RUN_D}/many.conf")
    sandbox.wait_until(lambda: all(a.error for a in lookup.resolve_many(MANY)), 3 * NEVER, "none is answered")
    assert lookup.addresses(FIRST) == {A}


@suite.test("a script writes 1,000 files: they are read together, and the table's heart goes on")
def flood():
    fresh()
    loop = Hammer("long", FIRST, [A]).start()
    before = len(running.log())
    script = "for i in $(seq 0 999); do echo \"[service many-$i.batch]\" > \"$0/$i.conf\"; done"
    os.makedirs(RUN_D)
    start = time.monotonic()
    subprocess.run(["sh", "-c", script, RUN_D], check=True)
    written = time.monotonic() - start
    sandbox.wait_until(lambda: lab.answers(*MANY), 3 * NEVER, "all are answered")
    n = n_taken(running.log()[before:])
    tap.comment(f"MEASURED: written in {written:.2f} s, served {time.monotonic() - start - written:.2f} s later, read {n} times")
    assert n <= 20 * written + 20, f"{n} times: events are not joined"
    remove(RUN_D)
    sandbox.wait_until(lambda: all(a.error for a in lookup.resolve_many(MANY)), 3 * NEVER, "none is answered")
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result


@suite.test("a change every 20 ms without end does not put the reading off")
def endless():
    fresh()
    os.makedirs(ETC_D)
    writer = subprocess.Popen(["sh", "-c", "while :; do echo > $0/.swap; sleep 0.02; done", ETC_D])
    try:
        time.sleep(0.3)
        in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
        wait_answer(SECOND, [B])
    finally:
        writer.kill()
        writer.wait()


@suite.test("more events than the kernel keeps: all is read again")
def overflow():
    fresh()
    os.makedirs(ETC_D)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGSTOP)
    try:
        most = int(open("/proc/sys/fs/inotify/max_queued_events").read())
        for i in range(most // 2 + 10):  # a creation and a deletion each; equal ones in a row count once
            path = f"{sandbox.CONFIG_DIR}/other-{i % 7}"  # a name that nobody looks up
            os.mkdir(path)
            os.rmdir(path)
        in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
    finally:
        running.process.send_signal(signal.SIGCONT)
    wait_answer(SECOND, [B])


# ---- without inotify ----

@suite.each("no inotify ({0} = 0): changes are noticed all the same, and on SIGHUP", [
    ("max_inotify_instances",), ("max_inotify_watches",)])
def no_inotify(limit):
    fresh()
    running.kill()
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$0"'
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "true"])
    if probe.returncode != 0:
        restart()
        raise tap.Skip("no user name spaces here")
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script]
    try:
        with Wrapped(command) as other:
            sandbox.wait_until(lambda: lookup.addresses(FIRST) == {A}, NEVER, f"a start: {other.log()}")
            in_place(f"{ETC_D}/10.conf", SECOND_SECTION)
            wait_answer(SECOND, [B])
            in_place(sandbox.CONFIG, THIRD_SECTION, "a")
            wait_answer(THIRD, [C])
            os.unlink(f"{ETC_D}/10.conf")
            other.reload()
            wait_gone(SECOND)
    finally:
        restart()


class Wrapped(daemon.Daemon):
    """A daemon that is started by another program, which it replaces."""

    def __init__(self, command):
        before, sandbox_daemon = sandbox.DAEMON, command + [sandbox.DAEMON]
        sandbox.DAEMON = sandbox_daemon[0]
        try:
            super().__init__(*sandbox_daemon[1:])
        finally:
            sandbox.DAEMON = before


def restart():
    global running
    running = daemon.Daemon()
    running.wait_log("ready: ")


def set_up():
    sandbox.nsswitch("k8shsvc")
    services = {"first-svc.default": ([A], 1), "second-svc.default": ([B], 1), "third-svc.default": ([C], 1)}
    services.update({name: ([address], 1) for name, address in zip(MANY, lab.pods(1000, len(MANY)))})
    dns_server = lab.start_dns(services)
    dns_server.set("first-svc.default.svc.example.test.", [B], zone="example.test")
    daemon.configure(BASE)
    return dns_server, lab.start_daemon(FIRST)


if __name__ == "__main__":
    sandbox.enter()
    server, running = lab.set_up(set_up)
    try:
        sys.exit(suite.run())
    finally:
        running.kill()
