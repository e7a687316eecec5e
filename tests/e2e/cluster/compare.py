"""Compares what others say of services with what the API says, at every moment of what happens in between.

A view may be late: what it says must be what the API said at some moment of the last seconds, its bound. So a
view that skips a state is well, one that shows what never was is not, whoever lags behind.
"""

import threading
import time

from harness import sandbox, tap

from . import truth
from .watch import Watch

# This process learns of a change by a watch of its own, which may come later than the one that it looks at.
_AHEAD = 1


class View:
    def __init__(self, name, look, bound, rule=truth.ready, empty_bound=None, interval=0.02):
        """
        @bound: seconds; @empty_bound: for the change to no address at all
        @rule: which of the API's addresses it has; where something is away it may follow DNS, whose rule is truth.ready
        """
        self.name, self.look, self.rule, self.interval = name, look, rule, interval
        self.bound, self.empty_bound = bound, empty_bound or bound


class _Timeline:
    """What the API said of one service and family, and since when: not before the one time, at the other for sure."""

    def __init__(self):
        self.changes = []

    def add(self, since, now, value):
        if not self.changes or self.now() != value:
            self.changes.append((since, now, value))

    def now(self):
        return self.changes[-1][2]

    def lag(self, when, until, value):
        """For how long it was no longer true when it was seen, None: it never was; and whether the truth was "none"
        since. It was looked for from @when on and seen before @until."""
        found = [i for i, (since, _, said) in enumerate(self.changes) if said == value and since <= until + _AHEAD]
        if not found:
            return None, False
        later = [(begin, said) for _, begin, said in self.changes[found[-1] + 1:] if begin <= when]
        return max(0, when - later[0][0]) if later else 0, any(not said for _, said in later)


class Comparison:
    """Follows services and their views; check() after each step of a test."""

    def __init__(self, client, services, views):
        """@services: {"NAME.NAMESPACE": (families)}"""
        self._pairs = [(s, f) for s, families in services.items() for f in families]
        self.views = views
        self._rules = {truth.ready, *(view.rule for view in views)}
        self._timelines = {(rule, *pair): _Timeline() for rule in self._rules for pair in self._pairs}
        self._seen = []  # (when, until, view, service, family, value)
        self._last = {}
        self._lock = threading.Lock()
        self._watch = Watch(client, "discovery.k8s.io/v1", "EndpointSlice", self._note)
        self._stopped = False
        for view in views:
            threading.Thread(target=self._sample, args=(view,), daemon=True).start()

    def stop(self):
        self._stopped = True
        self._watch.stop()

    def _note(self, since, now, objects):
        slices = list(objects.values())
        with self._lock:
            for (rule, service, family), timeline in self._timelines.items():
                timeline.add(since, now, rule(service, slices, family))

    def _sample(self, view):
        while not self._stopped:
            for service, family in self._pairs:
                when, value = time.monotonic(), view.look(service, family)
                with self._lock:
                    self._seen.append((when, time.monotonic(), view, service, family, value))
                    self._last[view, service, family] = value
            time.sleep(view.interval)

    def now(self, service, family, rule=truth.ready):
        with self._lock:
            return self._timelines[rule, service, family].now()

    def _open(self):
        """The views that do not say what the API says now."""
        with self._lock:
            return [(view, service, family) for view in self.views for service, family in self._pairs
                    if self._last.get((view, service, family)) != self._timelines[view.rule, service, family].now()]

    def check(self, forgive=(), late=0):
        """Waits until all views agree with the API, then judges what was seen since the last check.

        @forgive: names of views that may fail to answer in this step
        @late: seconds that are added to every bound, since something was away for so long
        """
        longest = max(max(view.bound, view.empty_bound) for view in self.views) + late
        try:
            sandbox.wait_until(lambda: not self._open(), longest + 5, "all views agree with the API")
        except AssertionError:
            raise AssertionError("\n".join(self._describe(*it) for it in self._open())) from None
        time.sleep(0.1)
        self._judge(forgive, late)

    def _describe(self, view, service, family):
        with self._lock:
            said = self._timelines[view.rule, service, family].now()
            seen = self._last.get((view, service, family))
        return f"{view.name}: {service}, {family}: {_text(seen)}; the API says {_text(said)}"

    def _lag(self, rule, when, until, service, family, value):
        if isinstance(value, str):
            return None, False
        return self._timelines[rule, service, family].lag(when, until, value)

    def _judge(self, forgive, late):
        time.sleep(_AHEAD / 4)
        with self._lock:
            seen, self._seen = self._seen, []
            worst, wrong = {}, []
            for when, until, view, service, family, value in seen:
                if isinstance(value, str) and view.name in forgive:
                    continue
                lag, was_empty = self._lag(view.rule, when, until, service, family, value)
                if lag is None and late:
                    lag, was_empty = self._lag(truth.ready, when, until, service, family, value)
                if lag is None or lag > (view.empty_bound if was_empty else view.bound) + late:
                    wrong.append((when - seen[0][0], view, service, family, value, lag))
                else:
                    worst[view.name] = max(worst.get(view.name, 0), lag)
        tap.comment(f"{len(seen)} answers; latest: " + ", ".join(f"{name} {lag:.2f} s" for name, lag in worst.items()))
        assert not wrong, f"{len(wrong)} wrong answers in {seen[-1][0] - seen[0][0]:.2f} s, the first ones:\n" + "\n".join(
            f"after {when:.2f} s {view.name}: {service}, {family}: {_text(value)}: " +
            ("never true" if lag is None else f"{lag:.2f} s late") for when, view, service, family, value, lag in wrong[:5])


def _text(value):
    return value if isinstance(value, str) or value is None else " ".join(sorted(value)) or "none"
