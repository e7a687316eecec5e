"""k8shsvcctl with 10,000 services of 50 addresses: how long its commands take.

    meson test -C build --benchmark ctl       the figures
    meson test -C build --suite slow ctl-load the bars, K8SHSVC_BENCH_SLACK times (default 5) as long

A real daemon serves the services from its configuration. Each figure is the median of some runs, beside what a start
of the tool costs.
"""

import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import ctl, daemon, sandbox, tap  # noqa: the path is known only now

NAMES, PODS, RUNS = 10000, 50, 15
SLACK = float(os.environ.get("K8SHSVC_BENCH_SLACK", "5"))

# what, arguments, on a terminal, bar in ms
FIGURES = [
    ("version: a start of the tool", ("version",), False, None),
    ("list, in a pipe", ("list",), False, 100),
    ("list, on a terminal", ("list",), True, 250),
    ("status", ("status",), False, None),
    ("show of one service", ("show", "svc-5000.default"), False, None),
    ("list --json, 500,000 endpoints", ("list", "--json"), False, None),
]


def section(number):
    pods = " ".join(f"10.{number >> 8}.{number & 255}.{pod}" for pod in range(1, PODS + 1))
    return f"[service svc-{number}.default]\nsource = static\nendpoints = {pods}\n"


def milliseconds(arguments, terminal):
    times = []
    for _ in range(RUNS):
        begin = time.monotonic()
        if terminal:
            _, status = ctl.on_terminal(*arguments)
        else:
            status = subprocess.run([sandbox.CTL, *arguments], stdout=subprocess.DEVNULL).returncode
        times.append((time.monotonic() - begin) * 1000)
        assert status == 0, arguments
    return statistics.median(times)


def measure():
    daemon.configure("".join(section(number) for number in range(NAMES)))
    with daemon.Daemon():
        sandbox.wait_until(lambda: os.path.exists(sandbox.TABLE) and ctl.value("status")["services"] == NAMES, 120,
                           f"{NAMES} services")
        return [(title, milliseconds(arguments, terminal), bar) for title, arguments, terminal, bar in FIGURES]


def main():
    sandbox.enter()
    suite = tap.Suite()
    figures = measure()
    if "--test" not in sys.argv:
        for title, median, bar in figures:
            print(f"{title:32} {median:8.1f} ms{f'   bar {bar} ms' if bar else ''}")
        return 0
    del sys.argv[1:]
    for title, median, bar in figures:
        if bar:
            def held(median=median, bar=bar):
                tap.comment(f"{median:.1f} ms, bar {bar} ms")
                assert median <= bar * SLACK, f"{median:.1f} ms"
            suite.test(title)(held)
    return suite.run()


if __name__ == "__main__":
    sys.exit(main())
