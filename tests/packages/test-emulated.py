"""The unit tests of an arm64 build, run by qemu-user in a root that has libraries of both architectures."""

import json
import os
import re
import subprocess

import machine
from harness import tap

PACKAGES = ["crossbuild-essential-arm64", "meson", "ninja-build", "qemu-user", "iproute2"]
LIBRARIES = ["pkgconf", "libsystemd-dev", "libc-ares-dev", "libcurl4-openssl-dev", "libjansson-dev", "libmicrohttpd-dev",
             "libyaml-dev", "systemtap-sdt-dev", "libcriterion-dev"]
BUILD = "/src/build-arm64"

suite = tap.Suite()
machine.enter()
if machine.ARCHITECTURE != "amd64":
    tap.skip_all("an amd64 machine is needed")
root = machine.Root("bookworm", *PACKAGES, *[f"{library}:arm64" for library in LIBRARIES], cache="packages/emulated")


def unpack():
    os.mkdir(f"{root.path}/src")
    git = subprocess.Popen(["git", "-C", machine.SOURCE, "archive", "HEAD"], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", f"{root.path}/src"], stdin=git.stdout, check=True)
    assert git.wait() == 0


def results():
    with open(f"{root.path}{BUILD}/meson-logs/testlog.json") as log:
        return [json.loads(line) for line in log]


def left_out():
    """The tests of this machine's build that the other one lacks."""
    here = json.loads(machine.call("meson", "introspect", "--tests", os.path.dirname(machine.BUILT)).stdout)
    there = {each["name"].split(" / ")[-1] for each in results()}
    return sorted(each["name"] for each in here if "k8shsvc:unit" in each["suite"] and each["name"] not in there)


@suite.test("it is configured and built, without a warning")
def builds():
    unpack()
    root.mount()
    root.run("sh", "-c", f"cd /src && meson setup -Dwerror=true --cross-file tests/packages/arm64.ini --libdir lib {BUILD}")
    root.run("ninja", "-C", BUILD)


@suite.test("the module and the library are what tests/lint/elf.sh demands")
def keeps_rules():
    # The tools of this machine know its own files only.
    root.run("env", "PATH=/usr/aarch64-linux-gnu/bin:/usr/bin:/bin", "bash", "/src/tests/lint/elf.sh",
             f"{BUILD}/nss/libnss_k8shsvc.so.2", "/src/nss/nss-k8shsvc.sym", f"{BUILD}/lib/libk8shsvc.so.0",
             "/src/lib/libk8shsvc.sym")


@suite.test("the unit tests pass")
def unit_tests():
    done = root.run("meson", "test", "-C", BUILD, "--no-rebuild", "--suite", "unit", "--timeout-multiplier", "10",
                    "--print-errorlogs", check=False)
    said = [line for each in results() for line in each["stdout"].splitlines()]
    passed = [line for line in said if re.match(r"ok \d+(?!.*# SKIP)", line)]
    tap.comment(f"{len(results())} programs, {len(passed)} tests have passed")
    for line in said:
        if "# SKIP" in line:
            tap.comment(f"skipped: {line}")
    tap.comment(f"left out, since they start what is built or trace it: {' '.join(left_out())}")
    assert done.returncode == 0, done.stdout
    assert len(passed) > 600, len(passed)


raise SystemExit(suite.run())
