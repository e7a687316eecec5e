"""Whether the getaddrinfo() benchmark works: every contender answers rightly, every phase yields figures,
and the bars judge. Nothing here depends on how fast anything is.

Contenders that are not there are skipped: nothing is downloaded (tests/fetch-peers does that).
"""

import sys

import getaddrinfo_contest as contest
import getaddrinfo_measure as measure
import getaddrinfo_report as report
from harness import caches, lab, sandbox, tap

suite = tap.Suite()

HEATS = [contest.Heat(1, "AF_UNSPEC"), contest.MAIN_HEAT, contest.Heat(3, "AF_INET"), contest.Heat(50, "AF_UNSPEC")]
PEERS = ("files", "nscd", "nsncd", "systemd-resolved", "dnsmasq", "unbound", "CoreDNS")
MODULES = ("no-op", "single", contest.AFTER_FILES, "two", "auto", "all", "no-op like two", "no-op like auto",
           "no-op like all")

the = contest.Contest(HEATS)


def contender(name, heat=contest.MAIN_HEAT):
    if name in the.missing:
        raise tap.Skip(the.missing[name])
    return next(c for c in the.contenders(heat) if c.name == name)


@suite.each("{0} answers rightly", [(name,) for name in (*MODULES, *PEERS)])
def answers(name):
    if name in the.missing:
        raise tap.Skip(the.missing[name])
    found = [c for heat in HEATS for c in the.contenders(heat) if c.name == name]
    assert found
    for each in found:
        the.worker(each)  # checks its answer


@suite.each("the no-op module answers as often with as many addresses as the module does with {0}", [
    ("two",), ("auto",), ("all",)])
def as_many(mode):
    for heat in HEATS:
        if heat.addresses == 1:
            continue
        ours, floor = contender(mode, heat), contender(report.floor_of(mode), heat)
        counts = [sorted(len(a.split(",")) for a in the.worker(c).ask(f"record {c.module} 32")) for c in (ours, floor)]
        assert counts[0] == counts[1], f"{heat}: {counts}"


@suite.test("the module makes no system call that the no-op module does not make")
def no_call_more():
    if not sandbox.have("strace"):
        raise tap.Skip("strace is not installed")
    assert contest.trace(contender("single"), 100) == contest.trace(contender("no-op"), 100)


@suite.test("nscd's answer for one address comes out of its memory, not from its socket")
def mapped_hit():
    calls = contest.trace(contender("nscd", contest.Heat(1, "AF_UNSPEC")), 100)
    assert not calls, calls


@suite.each("{0}: {1} is called, so that it is really asked", [
    ("nsncd", "connect"), ("systemd-resolved", "connect"), ("dnsmasq", "poll"), ("unbound", "poll"),
    ("CoreDNS", "poll"), ("files", "openat")])
def really_asked(name, call):
    calls = contest.trace(contender(name), 20)
    assert calls.get(call, 0) >= 20, calls


@suite.test("a run of one round has figures of every contender in every phase")
def one_round():
    result = measure.run(the, "short")
    for heat, contenders in result["heats"].items():
        for name, row in contenders.items():
            assert min(row["p50_ns"]) > 0 and len(row["p50_ns"]) == 1, (heat, name, row)
    names = [c.name for c in the.contenders(contest.MAIN_HEAT)]
    assert all(min(result["cold"][name]) > 0 for name in names)
    assert all(min(of_n) > 0 for name in names for of_n in result["threads"][name].values())
    assert all(min(of_name) > 0 for of in result["own"].values() for of_name in of.values())
    tap.comment("\n".join(report.text(result)))


@suite.test("who gives another service's addresses, too few or none is found out")
def found_out():
    wrong = {"too few": contender("single")._replace(most=None),
             "another's": contender("files")._replace(heat=contest.Heat(2, "AF_UNSPEC")),
             "none": contender("single")._replace(service="nobody.bench.svc.cluster.local")}
    for what, each in wrong.items():
        worker = contest.Worker(each)
        try:
            worker.check()
        except RuntimeError as error:
            tap.comment(f"{what}: {error}")
        else:
            raise AssertionError(what)
        finally:
            worker.end()


# ---- the bars, with figures that are made up ----

def made_up():
    """A result in which each bar is just held; whole thousands, so that no ratio is blurred."""
    def row(p50, returned=1):
        return {"returned": returned, "p50_ns": [p50 * 2, p50, p50], "p99_ns": [p50 * 3] * 3, "system_calls": 2}

    inet = {"no-op": row(1000), "single": row(1100)}
    heat = {"no-op": row(1000), "single": row(1100), "two": row(2100, 2), "no-op like two": row(2000, 2),
            "nscd": row(5500), "systemd-resolved": row(44000), "dnsmasq": row(27500), "unbound": row(30000),
            "CoreDNS": row(90000)}
    return {"heats": {"3 AF_UNSPEC": heat, "3 AF_INET": inet},
            "threads": {"no-op": {"1": [1000.0] * 3, "2": [2000.0] * 3},
                        "single": {"1": [1000.0] * 3, "2": [1900.0] * 3}},
            "cold": {"no-op": [500000] * 3, "single": [540000, 540000, 900000]},
            "own": {"3 AF_UNSPEC": {"no-op": [7.0], "single": [90.0]}}, "module_bytes": 49152, "missing": {},
            "glibc": "", "kernel": "", "processors": 2, "rounds": 3, "buildtype": "release", "thread_counts": [1, 2]}


def change_p50(name, by, heat="3 AF_UNSPEC"):
    def change(result):
        row = result["heats"][heat][name]
        row["p50_ns"] = [value * by for value in row["p50_ns"]]
    return change


def verdicts(change=None):
    result = made_up()
    if change:
        change(result)
    return report.status(result), [bar.what for bar in report.bars(result) if not report.holds(bar)]


@suite.test("bars that are just held hold, and the status is 0")
def all_hold():
    assert verdicts() == (0, []), verdicts()


@suite.each("a missed bar is told and makes the status 1: {0}", [
    ("no-op", change_p50("no-op", 0.99), "single, AF_UNSPEC"),
    ("no-op, AF_INET", change_p50("no-op", 0.99, "3 AF_INET"), "single, AF_INET"),
    ("no-op with two", change_p50("two", 1.01), "two, 3 AF_UNSPEC"),
    ("nscd", change_p50("nscd", 0.99), "single, 3 addresses: faster than nscd"),
    ("another DNS cache is best", change_p50("unbound", 0.9), "single, 3 addresses: faster than the best DNS cache"),
    ("systemd-resolved", change_p50("systemd-resolved", 0.99), "single, 3 addresses: faster than systemd-resolved"),
    ("threads", lambda r: r["threads"]["single"].update({"2": [1800.0] * 3}), "single, 2 threads"),
    ("cold start", lambda r: r["cold"].update(single=[541000] * 3), "single: cold start"),
    ("size", lambda r: r.update(module_bytes=49153), "libnss_k8shsvc.so.2")])
def missed(_, change, what):
    status, found = verdicts(change)
    assert status == 1 and len(found) == 1 and found[0].startswith(what), (status, found)


@suite.test("a bar whose peer is missing does not hold: the status is 77")
def not_measured():
    def change(result):
        del result["heats"]["3 AF_UNSPEC"]["unbound"]
        result["missing"]["unbound"] = "not installed"

    status, found = verdicts(change)
    assert status == 77 and len(found) == 1 and "best DNS cache" in found[0], (status, found)


@suite.test("a round that something else has disturbed changes nothing")
def robust():
    def change(result):
        result["heats"]["3 AF_UNSPEC"]["single"]["p50_ns"][0] *= 100

    assert verdicts(change) == (0, []), verdicts(change)


if __name__ == "__main__":
    caches.prepare(download=False)
    sandbox.enter()
    with lab.set_up(the.set_up):
        sys.exit(suite.run())
