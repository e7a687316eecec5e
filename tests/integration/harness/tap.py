"""The Test Anything Protocol: a line for each test, which is what meson counts.

A test is a function that returns (passed), raises Skip, or raises anything else (failed).
"""

import re
import sys
import time
import traceback


class Skip(Exception):
    """Raised by a test that can't be done on this machine; the text says why."""


class Suite:
    def __init__(self):
        self._tests = []

    def test(self, title):
        """Decorator: registers a function without parameters as one test."""
        def register(function):
            self._tests.append((title, function, ()))
            return function
        return register

    def each(self, title, rows):
        """Decorator: one test for each row of a table; the title is formatted with the row."""
        def register(function):
            for row in rows:
                self._tests.append((title.format(*row), function, row))
            return function
        return register

    def run(self):
        """Runs the tests in order and returns the exit status of the program.

        With an argument, a regular expression, only those whose titles match: for work on one of them.
        """
        pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
        tests = [test for test in self._tests if pattern.search(test[0])]
        if not tests:
            bail_out(f"no test's title matches {pattern.pattern}")
        failed = 0
        print(f"1..{len(tests)}", flush=True)
        for number, (title, function, row) in enumerate(tests, 1):
            failed += not self._run_one(number, title.replace("#", "number "), function, row)
        return 1 if failed else 0

    @staticmethod
    def _run_one(number, title, function, row):
        start = time.monotonic()
        try:
            function(*row)
        except Skip as reason:
            print(f"ok {number} - {title} # SKIP {reason}", flush=True)
            return True
        except Exception:  # noqa: a test may fail in any way, the others still run
            print(f"not ok {number} - {title}")
            comment(traceback.format_exc())
            return False
        print(f"ok {number} - {title}")
        comment(f"{time.monotonic() - start:.2f} s")
        return True


def comment(text):
    for line in str(text).rstrip().splitlines():
        print(f"# {line}")
    sys.stdout.flush()


def skip_all(reason):
    """Ends the program: none of its tests can be done here."""
    print(f"1..0 # SKIP {reason}", flush=True)
    sys.exit(0)


def bail_out(reason):
    """Ends the program: the ground of its tests is missing."""
    comment(reason)
    print(f"Bail out! {str(reason).strip().splitlines()[-1]}", flush=True)
    sys.exit(1)
