"""What the figures of the getaddrinfo() benchmark mean: ratios, bars, tables. Pure; knows no machine.

A result, which is also what the JSON file holds:

    addresses.FAMILY, as "3 AF_UNSPEC"     "heats": {HEAT: {CONTENDER: {"returned": n, "p50_ns": [a round each],
                                            "p99_ns": [...], "system_calls": a lookup, "by_name": {...}}}}
    lookups a second of so many threads    "threads": {CONTENDER: {N: [a round each]}}
    fork, exec and one lookup              "cold": {CONTENDER: [nanoseconds, a round each]}
    the module's own function              "own": {HEAT: {CONTENDER: [nanoseconds, a round each]}}
    the module's size, stripped            "module_bytes": n
    who could not be had, and why          "missing": {CONTENDER: text}

Two contenders are compared round by round: the ratio of their figures in each, and the median of these.
"""

from collections import namedtuple
from statistics import median

MAIN = "3 AF_UNSPEC"
DNS_CACHES = ("dnsmasq", "unbound", "CoreDNS")
MODES = ("two", "auto", "all")

# value is None where it could not be measured, and why says so; goal: what we should like, and do not insist on
Bar = namedtuple("Bar", "what value relation limit unit goal why", defaults=(None, None))


def holds(bar):
    if bar.value is None:
        return None
    return bar.value <= bar.limit if bar.relation == "<=" else bar.value >= bar.limit


def floor_of(name):
    """The no-op module that returns as many addresses as this contender of the module's."""
    return f"no-op like {name}" if name in MODES else "no-op"


# ---- comparing ----

def compare(ours, theirs, how):
    """Median over the rounds; None where one of the two took no part."""
    if not ours or not theirs:
        return None
    return median(how(a, b) for a, b in zip(ours, theirs))


def times(ours, theirs):
    """How many times theirs ours is."""
    return compare(ours, theirs, lambda a, b: a / b)


def figures(result, heat, name, key="p50_ns"):
    return result["heats"].get(heat, {}).get(name, {}).get(key)


def best(result, heat, names):
    """Which of these is fastest."""
    there = [name for name in names if figures(result, heat, name)]
    return min(there, key=lambda name: median(figures(result, heat, name)), default=None)


# ---- the bars ----

def bars(result):
    """Every bar, in the order in which they are told."""
    return [*_floor_bars(result), *_mode_bars(result), *_peer_bars(result), *_thread_bars(result),
            _cold_bar(result), _size_bar(result)]


def _floor_bars(result):
    for heat in (MAIN, "3 AF_INET"):
        yield Bar(f"single, {heat.split()[1]}: p50 of the no-op module's with one address",
                  times(figures(result, heat, "single"), figures(result, heat, "no-op")), "<=", 1.10, "x", goal=1.05)


def _mode_bars(result):
    for heat, contenders in result["heats"].items():
        for mode in MODES:
            if mode not in contenders:
                continue
            n = contenders[mode]["returned"]
            # What is nothing but glibc's own two system calls has less room than its sort.
            yield Bar(f"{mode}, {heat}, {n:.3g} returned: p50 of the no-op module's with as many",
                      times(figures(result, heat, mode), figures(result, heat, floor_of(mode))), "<=",
                      1.05 if n > 1 else 1.10, "x")


def _peer_bars(result):
    missing = result["missing"]
    for name, limit, what in (("nscd", 5, "nscd's mapped hit"), (None, 25, "the best DNS cache on loopback"),
                              ("systemd-resolved", 40, "systemd-resolved")):
        peer = name or best(result, MAIN, DNS_CACHES)
        lacking = [n for n in ([name] if name else DNS_CACHES) if n in missing]
        value = None if lacking or not peer else times(figures(result, MAIN, peer), figures(result, MAIN, "single"))
        why = "; ".join(f"no {n}: {missing[n]}" for n in lacking) or None
        yield Bar(f"single, 3 addresses: faster than {what}" + ("" if name or not peer else f" ({peer})"),
                  value, ">=", limit, "x", why=why)


def _thread_bars(result):
    ours, floor = result["threads"].get("single", {}), result["threads"].get("no-op", {})
    for n in ours:
        if n == "1":
            continue
        # Both ratios are of slices next to each other.
        with_n, with_one = times(ours[n], floor.get(n)), times(ours["1"], floor.get("1"))
        yield Bar(f"single, {n} threads: growth of lookups a second, of the no-op module's",
                  with_n / with_one if with_n and with_one else None, ">=", 0.95, "x")


def _cold_bar(result):
    value = compare(result["cold"].get("single"), result["cold"].get("no-op"), lambda a, b: (a - b) / 1000)
    return Bar("single: cold start (fork, exec, one lookup) beyond the no-op module's", value, "<=", 40, "us")


def _size_bar(result):
    return Bar("libnss_k8shsvc.so.2, stripped", result["module_bytes"] / 1024, "<=", 48, "KiB")


# ---- for people ----

def _us(ns):
    return f"{ns / 1000:.2f}"


def _table(head, rows):
    """Columns as wide as they need to be; the first one to the left."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        yield "  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths)))


def _heat_rows(result, heat):
    contenders = result["heats"][heat]
    for name, row in contenders.items():
        p50 = row["p50_ns"]
        ratio = times(p50, figures(result, heat, floor_of(name)))
        yield [name, f"{row['returned']:.3g}", _us(median(p50)), _us(median(row["p99_ns"])), f"{ratio:.3f}",
               f"{times(p50, figures(result, heat, 'single')):.2f}",
               f"{row['system_calls']:.2f}" if row.get("system_calls") is not None else "-"]


def _heats(result):
    for heat in result["heats"]:
        n, family = heat.split()
        yield ""
        yield f"A service of {n} address{'es' if n != '1' else ''}, getaddrinfo({family})"
        yield from _table(["", "returned", "p50 us", "p99 us", "x no-op", "x single", "syscalls"],
                          list(_heat_rows(result, heat)))
    yield ""
    yield "  x no-op: times the no-op module that returns as many addresses; of the others, one address."
    yield "  With one address nothing beats nscd: glibc reads its memory before it asks any module."


def _threads(result):
    counts = [str(n) for n in result["thread_counts"]]
    yield ""
    yield f"Thousands of lookups a second by threads ({MAIN.replace(' ', ' addresses, ')})"
    yield from _table(["", *counts, *(f"{n} / 1" for n in counts[1:])], [
        [name, *(f"{median(of[n]) / 1000:.1f}" for n in counts),
         *(f"{times(of[n], of['1']):.2f}" for n in counts[1:])] for name, of in result["threads"].items()])


def _cold(result):
    floor = result["cold"]["no-op"]
    yield ""
    yield "Cold start: fork, exec, one lookup, exit"
    yield from _table(["", "us", "beyond no-op"], [
        [name, _us(median(of)), _us(compare(of, floor, lambda a, b: a - b))] for name, of in result["cold"].items()])


def _own(result):
    yield ""
    yield "The module's own function, without glibc"
    yield from _table(["", *result["own"]], [
        [name, *(f"{median(of[name]):.1f} ns" if name in of else "-" for of in result["own"].values())]
        for name in dict.fromkeys(name for of in result["own"].values() for name in of)])


def _verdict(bar):
    if bar.value is None:
        return f"NOT MEASURED  {bar.what}{': ' + bar.why if bar.why else ''}"
    word = "holds" if holds(bar) else "MISSES"
    goal = ""
    if bar.goal is not None:
        reached = bar.value <= bar.goal if bar.relation == "<=" else bar.value >= bar.goal
        goal = f", goal {bar.goal:g} {bar.unit}: {'reached' if reached else 'not reached'}"
    return f"{word:12}  {bar.what}: {bar.value:.3f} {bar.unit} {bar.relation} {bar.limit:g} {bar.unit}{goal}"


def text(result):
    """The whole report, a line each."""
    yield f"glibc {result['glibc']}, Linux {result['kernel']}, {result['processors']} processors; " \
          f"{result['rounds']} rounds; build type {result['buildtype']}"
    if result["buildtype"] != "release":
        yield "NOT A RELEASE BUILD: these figures find faults of the benchmark, they are no figures of the product."
    yield from _heats(result)
    yield from _threads(result)
    yield from _cold(result)
    yield from _own(result)
    for name, reason in result["missing"].items():
        yield f"\nWithout {name}: {reason}"
    yield "\nBars: medians of the ratios of each round"
    for bar in bars(result):
        yield "  " + _verdict(bar)


def status(result):
    """Exit status: 1 a bar is missed; 77 (meson: skipped) one could not be measured; 0 all hold."""
    verdicts = [holds(bar) for bar in bars(result)]
    return 1 if False in verdicts else 77 if None in verdicts else 0
