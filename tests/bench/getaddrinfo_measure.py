"""Lets the contenders of the getaddrinfo() benchmark take turns and writes down what they say.

Every phase is many rounds of short slices, so that what else the machine does falls on all alike. A round
keeps those next to each other that are compared most finely.
"""

import os
import platform
import shutil
import sys
import tempfile
import time

import getaddrinfo_contest as contest
from harness import sandbox

RENEW_EVERY = 10  # rounds
THREADS = (1, 2, 4, 8)

# How long a run is: rounds of each phase, and how much is done in a slice. `full` takes some five minutes,
# `short` finds faults of the benchmark itself. 100 traced lookups: glibc looks for nscd's socket that often.
LENGTHS = {
    "full": {"calls": 120, "threads": 24, "cold": 60, "own": 40, "thread_msec": 40, "cold_count": 15,
             "own_count": 20000, "traced": 100},
    "short": {"calls": 1, "threads": 1, "cold": 1, "own": 1, "thread_msec": 5, "cold_count": 2, "own_count": 1000,
              "traced": 5},
}


class Progress:
    """Where a long run is, on stderr: one line that is written over, or a line now and then."""

    def __init__(self, what, total):
        self._what, self._total, self._start, self._told = what, total, time.monotonic(), 0
        self._terminal = sys.stderr.isatty()

    def tell(self, done):
        now = time.monotonic()
        if now - self._told < (0.5 if self._terminal else 15) and done < self._total:
            return
        self._told = now
        left = (now - self._start) / done * (self._total - done) if done else 0
        text = f"{self._what}: {done} of {self._total}" + (f", about {left:.0f} s left" if left else "")
        print(f"\r{text:70}" if self._terminal else text, end="" if self._terminal and done < self._total else "\n",
              file=sys.stderr, flush=True)


def rounds(what, count):
    progress = Progress(what, count)
    for i in range(count):
        yield i
        progress.tell(i + 1)


def key(heat):
    return f"{heat.addresses} {heat.family}"


def _calls(the, length, result):
    for heat in the.heats:
        result["heats"][key(heat)] = {
            c.name: {"returned": the.returned[heat, c.name], "p50_ns": [], "p90_ns": [], "p99_ns": []}
            for c in the.contenders(heat)}
    for i in rounds("lookups, rounds", length["calls"]):
        if i % RENEW_EVERY == 0:
            the.renew()
        for heat in the.heats:
            for contender in the.in_turn(heat, i):
                row = result["heats"][key(heat)][contender.name]
                _, *quantiles = map(float, the.worker(contender).ask(f"calls {contender.msec}"))
                for name, value in zip(("p50_ns", "p90_ns", "p99_ns"), quantiles):
                    row[name].append(value)


def _system_calls(the, length, result):
    if not sandbox.have("strace"):
        return
    contenders = [contender for heat in the.heats for contender in the.contenders(heat)]
    for i in rounds("system calls, contenders", len(contenders)):
        contender = contenders[i]
        calls = contest.trace(contender, length["traced"])
        row = result["heats"][key(contender.heat)][contender.name]
        row["system_calls"] = sum(calls.values()) / length["traced"]
        row["by_name"] = {name: n / length["traced"] for name, n in calls.items()}


def _threads(the, length, result):
    heat = contest.MAIN_HEAT
    result["threads"] = {c.name: {str(n): [] for n in THREADS} for c in the.contenders(heat)}
    for i in rounds("threads, rounds", length["threads"]):
        if i % RENEW_EVERY == 0:
            the.renew()
        for n in THREADS:
            for contender in the.in_turn(heat, i):
                answer = the.worker(contender).ask(f"threads {n} {length['thread_msec']}")
                result["threads"][contender.name][str(n)].append(float(answer[0]))


def _cold(the, length, result):
    heat = contest.MAIN_HEAT
    result["cold"] = {c.name: [] for c in the.contenders(heat)}
    for i in rounds("cold starts, rounds", length["cold"]):
        for contender in the.in_turn(heat, i):
            answer = the.worker(contender).ask(f"cold {length['cold_count']}")
            result["cold"][contender.name].append(int(answer[0]))


def _own(the, length, result):
    for heat in the.heats:
        result["own"][key(heat)] = {c.name: [] for c in the.contenders(heat) if c.module}
    for i in rounds("the module's own call, rounds", length["own"]):
        if i % RENEW_EVERY == 0:
            the.renew()
        for heat in the.heats:
            for contender in the.in_turn(heat, i):
                if contender.module:
                    answer = the.worker(contender).ask(f"own {contender.module} {length['own_count']}")
                    result["own"][key(heat)][contender.name].append(float(answer[0]))


def _module_bytes():
    """Size of the module as a package has it, without symbols."""
    with tempfile.NamedTemporaryFile(dir=sandbox.HOME) as stripped:
        shutil.copy(os.environ["K8SHSVC_TEST_MODULE"], stripped.name)
        sandbox.run("strip", "--strip-unneeded", stripped.name)
        return os.path.getsize(stripped.name)


def run(the, length):
    """All phases, of a contest that is set up; returns the result, see getaddrinfo_report.py."""
    length = LENGTHS[length]
    result = {"glibc": platform.libc_ver()[1], "kernel": platform.release(), "machine": platform.machine(),
              "processors": os.cpu_count(), "buildtype": os.environ.get("K8SHSVC_BENCH_BUILDTYPE", "unknown"),
              "rounds": length["calls"], "thread_counts": THREADS, "missing": the.missing,
              "module_bytes": _module_bytes(), "heats": {}, "threads": {}, "cold": {}, "own": {}}
    start = time.monotonic()
    _calls(the, length, result)
    _system_calls(the, length, result)
    _threads(the, length, result)
    _cold(the, length, result)
    _own(the, length, result)
    result["seconds"] = round(time.monotonic() - start)
    return result
