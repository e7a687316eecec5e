"""getaddrinfo() through k8shsvc beside a module that answers a constant: one interleaved run.

Short runs of the two take turns, so that what else the machine does falls on both alike; compared are
the quantiles of all calls. The rest of the machine's noise is in the two columns "spread": the lowest
and the highest median of a run.

    meson test --benchmark -v        or        ninja bench-getaddrinfo-report

K8SHSVC_BENCH_ROUNDS and K8SHSVC_BENCH_COUNT change how long it takes, K8SHSVC_BENCH_JSON names a file
that gets the numbers, too.
"""

import json
import os
import platform
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import daemon, lab, sandbox  # noqa: the path is known only now

NAME = "user-svc.default.svc.cluster.local"
ROUNDS = int(os.environ.get("K8SHSVC_BENCH_ROUNDS", "20"))
COUNT = int(os.environ.get("K8SHSVC_BENCH_COUNT", "20000"))
BENCH = f"{sandbox.BIN}/bench-getaddrinfo"
SOURCES = {"noop": "noop", "k8shsvc": "k8shsvc"}
FAMILIES = {"AF_UNSPEC": "0", "AF_INET": "4"}


def quantile(ordered, q):
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def one_run(hosts, family):
    """Nanoseconds of each call of one process."""
    sandbox.nsswitch(hosts)
    return [int(line) for line in sandbox.run(BENCH, NAME, FAMILIES[family], str(COUNT)).stdout.split()]


def measure(family):
    calls = {source: [] for source in SOURCES}
    medians = {source: [] for source in SOURCES}
    for i in range(ROUNDS):
        # who goes first changes, too
        order = list(SOURCES.items())[::1 if i % 2 else -1]
        for source, hosts in order:
            took = one_run(hosts, family)
            calls[source] += took
            medians[source].append(statistics.median(took))
    return {source: summary(sorted(calls[source]), medians[source]) for source in SOURCES}


def summary(ordered, medians):
    return {"calls": len(ordered), "p50_ns": quantile(ordered, 0.5), "p99_ns": quantile(ordered, 0.99),
            "p999_ns": quantile(ordered, 0.999), "median_lowest_ns": min(medians), "median_highest_ns": max(medians)}


def print_table(result):
    print(f"\n{'':10} {'module':8} {'calls':>8} {'p50':>9} {'p99':>9} {'p99.9':>9}   spread of the runs' medians")
    for family, row in result["families"].items():
        for source in SOURCES:
            s = row[source]
            print(f"{family:10} {source:8} {s['calls']:8} {s['p50_ns']:6} ns {s['p99_ns']:6} ns {s['p999_ns']:6} ns"
                  f"   {s['median_lowest_ns']:.0f} .. {s['median_highest_ns']:.0f} ns")
        print(f"{family:10} ratio of the medians {row['ratio_p50']:.3f}, difference {row['difference_p50_ns']} ns\n")


def main():
    sandbox.enter()
    sandbox.install(BENCH, os.environ["K8SHSVC_BENCH_PROGRAM"])
    sandbox.nsswitch("k8shsvc")
    lab.start_dns({"user-svc.default": (lab.pods(10, 8), 5)})
    daemon.configure("[service user-svc.default]\nanswers = single\n")
    result = {"glibc": platform.libc_ver()[1], "kernel": platform.release(), "machine": platform.machine(),
              "rounds": ROUNDS, "calls_per_round": COUNT, "families": {}}
    with lab.start_daemon(NAME):
        for family in FAMILIES:
            row = measure(family)
            row["ratio_p50"] = round(row["k8shsvc"]["p50_ns"] / row["noop"]["p50_ns"], 4)
            row["difference_p50_ns"] = row["k8shsvc"]["p50_ns"] - row["noop"]["p50_ns"]
            result["families"][family] = row
    print(json.dumps(result, indent=2))
    print_table(result)
    if "K8SHSVC_BENCH_JSON" in os.environ:
        with open(os.environ["K8SHSVC_BENCH_JSON"], "w") as file:
            json.dump(result, file, indent=2)


main()
