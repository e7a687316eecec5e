"""The measure of evenness itself: it must find what is uneven, and nothing else."""

import random
import sys

from harness import stats, tap

suite = tap.Suite()


# Textbook values: the statistic, the degrees of freedom, the tail.
@suite.each("chi-squared tail of {0} with {1} degrees of freedom is {2}", [
    (3.841, 1, 0.05), (16.919, 9, 0.05), (6.635, 1, 0.01), (14.067, 7, 0.05), (2.167, 7, 0.95),
    (124.342, 100, 0.05), (40.52, 7, 1e-6), (0, 7, 1.0),
])
def tail(x, degrees, expected):
    assert abs(stats.chi_squared_tail(x, degrees) - expected) < expected * 0.01


@suite.test("even draws pass, a thousand times of a thousand")
def even_draws():
    source = random.Random(1)
    for _ in range(1000):
        assert stats.evenness([source.randrange(8) for _ in range(500)], range(8)) > stats.EVEN


@suite.test("a strict rotation passes")
def rotation():
    assert stats.evenness([i % 8 for i in range(1000)], range(8)) > stats.EVEN


@suite.each("{0} fails", [
    ("one value for all draws", [0] * 1000),
    ("a value that never comes", [i % 7 for i in range(1000)]),
    ("a value that comes twice as often", [min(i % 9, 7) for i in range(1000)]),
    ("a value from outside", [i % 8 for i in range(1000)] + [8]),
])
def uneven(_, draws):
    assert stats.evenness(draws, range(8)) <= stats.EVEN
    try:
        stats.assert_even(draws, list(range(8)))
    except AssertionError:
        return
    raise AssertionError("assert_even() lets it pass")


@suite.each("{0} of 8,000 draws for one of 8 values are {1} times its share", [(1000, 1.0), (1051, 1.051), (8000, 8.0)])
def most_over_mean(n, expected):
    counts = {0: n} | ({i: (8000 - n) / 7 for i in range(1, 8)} if n < 8000 else {})
    assert abs(stats.most_over_mean(counts, range(8)) - expected) < 1e-9


@suite.test("more than the limit over the mean fails, even where chi-squared lets it pass")
def limit():
    counts = {0: 1050} | {i: 993 for i in range(1, 8)}
    stats.assert_evenly_counted(counts, range(8), most=1.06)
    try:
        stats.assert_evenly_counted(counts, range(8), most=1.04)
    except AssertionError:
        return
    raise AssertionError("assert_evenly_counted() lets it pass")


sys.exit(suite.run())
