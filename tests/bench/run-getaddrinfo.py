"""getaddrinfo() through k8shsvc beside the floor, a module that answers constants, and beside what people use.

    ninja -C build-release bench-getaddrinfo-report        or        meson test -C build-release --benchmark -v

All contenders answer for the same service, from memory, on this machine; each has an nsswitch.conf of its
own. They take turns in many short slices of one run, and are compared within each round. The first time
it downloads the caches (tests/fetch-peers) and builds CoreDNS (tests/build-coredns); what else it needs is
in tests/install-packages.

Prints a table, and for each bar its figure and whether it holds; 1 is the exit status if one does not, 77 if
one could not be measured. K8SHSVC_BENCH_JSON names the file for all figures; K8SHSVC_BENCH_LENGTH=short is a
run that shows whether the benchmark works, and nothing about speed.
"""

import json
import os
import sys

from getaddrinfo_contest import HEATS, Contest
import getaddrinfo_measure
import getaddrinfo_report
from harness import caches, sandbox

LENGTH = os.environ.get("K8SHSVC_BENCH_LENGTH", "full")


def main():
    # The namespaces' own /run hides what is there, and their network reaches nobody.
    caches.prepare(download=LENGTH == "full")
    sandbox.enter()
    contest = Contest(HEATS)
    with contest.set_up():
        result = getaddrinfo_measure.run(contest, LENGTH)
    print("\n".join(getaddrinfo_report.text(result)))
    path = os.environ.get("K8SHSVC_BENCH_JSON")
    if path:
        result["bars"] = [dict(bar._asdict(), holds=getaddrinfo_report.holds(bar))
                          for bar in getaddrinfo_report.bars(result)]
        with open(path, "w") as file:
            json.dump(result, file, indent=1)
        print(f"\nAll figures: {path}")
    return 0 if LENGTH == "short" else getaddrinfo_report.status(result)


sys.exit(main())
