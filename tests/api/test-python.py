"""The Python package, lib/python, through the shared library."""

import asyncio
import contextlib
import errno
import io
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from table import Table, enter, sandbox, tap

suite = tap.Suite()

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "python")
sys.path.insert(0, PACKAGE)

# Imported in the sandbox, when the library is there.
k8shsvc = None


def raises(number, function, *arguments):
    try:
        result = function(*arguments)
    except k8shsvc.Error as error:
        assert error.errno == number, error
        return error
    raise AssertionError(f"no error: {result}")


@suite.test("endpoints(): all attributes")
def endpoints():
    found = k8shsvc.endpoints("set:http")
    assert [(e.address, e.port, e.host, e.ordinal) for e in found] == [
        ("10.244.0.21", 8080, "set-2", 2), ("10.244.0.22", 8080, "set-0", 0), ("10.244.0.23", 0, None, None),
        ("fd00:10:244::21", 8080, "set-2", 2)]
    assert (found[0].node, found[0].zone) == ("node-1", "east")
    assert (found[0].ready, found[0].serving, found[0].terminating, found[0].near) == (True, True, False, False)
    assert found[0].ports == (k8shsvc.Port("http", 8080, "TCP"), k8shsvc.Port("dns", 53, "UDP"))
    assert found[2].ports == ()
    assert [e.address for e in k8shsvc.endpoints("set", socket.AF_INET6)] == ["fd00:10:244::21"]


@suite.test("endpoints(): more than the first buffer has room for")
def endpoints_large():
    long = "-".join(["x" * 60] * 4)
    table.set("large.default", *(f"10.1.0.{i}/{long}-{i}" for i in range(60)))
    assert [e.ordinal for e in k8shsvc.endpoints("large.default")] == list(range(60))
    assert len(k8shsvc.lookup("large.default")) == 60


@suite.test("lookup(): every address and port, and a turn for each")
def lookup():
    first = [k8shsvc.lookup("web.default:81")[0] for _ in range(100)]
    assert set(first) == {("10.244.0.11", 81), ("10.244.0.12", 81)}
    assert 45 < first.count(("10.244.0.11", 81)) < 55


@suite.test("pick() and report()")
def pick():
    dead = ("10.244.0.12", 8080)
    assert k8shsvc.pick("set-2.set.default:8080") == (socket.AF_INET6, ("fd00:10:244::21", 8080))
    assert (socket.AF_INET, dead) in [k8shsvc.pick("web.default") for _ in range(50)]
    k8shsvc.report(dead)
    assert {k8shsvc.pick("web.default")[1] for _ in range(50)} == {("10.244.0.11", 8080)}
    k8shsvc.report(dead, failed=False)
    assert (socket.AF_INET, dead) in [k8shsvc.pick("web.default") for _ in range(50)]
    k8shsvc.report(("fd00:10:244::21", 8080))
    assert k8shsvc.pick("set:http")[1][0] == "10.244.0.21" or k8shsvc.pick("set:http")[0] == socket.AF_INET


@suite.test("get_endpoints(): a port by the ordinal")
def get_endpoints():
    wanted = ["10.244.0.21:3002", "10.244.0.22:3000", "[fd00:10:244::21]:3002"]
    assert k8shsvc.get_endpoints("default", "set", 3000) == wanted
    assert k8shsvc.get_endpoints(None, "set", 3000) == wanted
    raises(errno.EINVAL, k8shsvc.get_endpoints, "default", "set", 65536 + 3000)


@suite.test("info() and services()")
def services():
    service = k8shsvc.info("set")
    assert (service.name, service.state, service.source, service.reason) == ("set.default", "fresh", "kubernetes", None)
    assert service.n_endpoints == 4 and 0 <= service.age < 60
    assert {"set.default", "web.default"} <= {s.name for s in k8shsvc.services()}


@suite.test("reverse()")
def reverse():
    assert k8shsvc.reverse("10.244.0.21") == "set-2.set.default.svc.cluster.local"
    assert k8shsvc.reverse("fd00:10:244::21") == "set-2.set.default.svc.cluster.local"
    raises(errno.ENOENT, k8shsvc.reverse, "10.9.9.9")


@suite.test("the program in README.md")
def readme():
    with open(f"{PACKAGE}/../../README.md") as file:
        program = re.search(r"^```python\n(import k8shsvc\n.*?)^```$", file.read(), re.MULTILINE | re.DOTALL).group(1)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(program, {})  # noqa: what a reader would do with it
    assert said.getvalue() == ("10.244.0.31 8080 user-0 east True\n10.244.0.32 8080 user-1 east True\n2 endpoints\n")


@suite.test("errors are exceptions with the library's text and the name")
def errors():
    error = raises(errno.ENOENT, k8shsvc.endpoints, "nobody.default")
    assert str(error) == f"[Errno {errno.ENOENT}] not registered: 'nobody.default'"
    assert isinstance(error, OSError)
    raises(errno.EINVAL, k8shsvc.endpoints, "web.default:99999")
    raises(errno.EINVAL, k8shsvc.endpoints, "web.default\0x")
    raises(errno.ENODATA, k8shsvc.lookup, "web.default", socket.AF_INET6)


@suite.test("watch(): now, and after each change")
def watch():
    table.set("changing.default", "10.244.0.1")
    changes = k8shsvc.watch("changing")
    assert [e.address for e in next(changes)] == ["10.244.0.1"]
    threading.Timer(0.3, table.set, ("changing.default", "10.244.0.2")).start()
    assert [e.address for e in next(changes)] == ["10.244.0.2"]
    table.remove("changing.default")
    for found in changes:
        assert found == []
        break


@suite.test("watch(): a handler's exception ends it")
def watch_interrupted():
    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, interrupt)
    changes = k8shsvc.watch("web.default")
    next(changes)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    start = time.monotonic()
    try:
        next(changes)
    except KeyboardInterrupt:
        assert time.monotonic() - start < 5
        return
    raise AssertionError("it went on")


@suite.test("watch(): asynchronous, beside other work, and cancelled without losing a change")
def watch_async():
    async def follow():
        table.set("changing.default", "10.244.0.1")
        changes = k8shsvc.watch("changing.default")
        seen = [[e.address for e in await changes.__anext__()]]
        try:
            await asyncio.wait_for(changes.__anext__(), 0.2)
        except asyncio.TimeoutError:
            seen.append("nothing")
        table.set("changing.default", "10.244.0.2")
        await asyncio.sleep(1)
        async for found in changes:
            seen.append([e.address for e in found])
            if len(seen) == 4:
                return seen
            asyncio.get_running_loop().call_later(0.2, table.set, "changing.default", "10.244.0.3")

    assert asyncio.run(asyncio.wait_for(follow(), 20)) == [["10.244.0.1"], "nothing", ["10.244.0.2"], ["10.244.0.3"]]


@suite.test("watch(): asynchronous, in a forked child")
def watch_forked():
    async def follow(changes):
        return await asyncio.wait_for(changes.__anext__(), 10)

    changes = k8shsvc.watch("web.default")
    asyncio.run(follow(changes))
    changes._token = 0
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if asyncio.run(follow(changes)) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@suite.test("its version is that of the library")
def version():
    with open(f"{PACKAGE}/pyproject.toml") as file:
        assert f'\nversion = "{os.environ["K8SHSVC_TEST_VERSION"]}"\n' in file.read()


def python_with_pip():
    for python in sys.executable, "/usr/bin/python3":
        have = sandbox.run(python, "-c", "import setuptools, wheel, pip", check=False)
        if have.returncode == 0:
            return python
    raise tap.Skip("needs pip, setuptools and wheel")


@suite.test("pip installs it, types and all")
def pip():
    python = python_with_pip()
    # In the tree, setuptools would leave its files.
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(PACKAGE, f"{work}/source", ignore=shutil.ignore_patterns("__pycache__"))
        sandbox.run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
                    "--disable-pip-version-check", "--target", f"{work}/installed", f"{work}/source")
        assert os.path.exists(f"{work}/installed/k8shsvc/py.typed")
        run = sandbox.run(python, "-c", "import k8shsvc; print(k8shsvc.endpoints('web.default')[0].address)",
                          cwd=f"{work}/installed")
        assert run.stdout == "10.244.0.11\n"


@suite.test("mypy --strict finds nothing")
def mypy():
    if not sandbox.have("mypy"):
        raise tap.Skip("needs mypy")
    with tempfile.TemporaryDirectory() as work:
        result = sandbox.run("mypy", "--strict", f"--cache-dir={work}", "-p", "k8shsvc", cwd=PACKAGE, check=False)
        assert result.returncode == 0, result.stdout


if __name__ == "__main__":
    enter()
    import k8shsvc  # noqa: it is only there now
    table = Table()
    table.set("web.default", "10.244.0.11", "10.244.0.12")
    table.set("user-svc.default", "10.244.0.31/user-0", "10.244.0.32/user-1")
    table.set("set.default", "10.244.0.21/set-2", "10.244.0.22/set-0", "10.244.0.23", "fd00:10:244::21/set-2", port=0)
    sys.exit(suite.run())
