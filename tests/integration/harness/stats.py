"""Is this spread even? Pearson's chi-squared test, without scipy."""

import collections
import math

# Draws that are really even fail such a test once in a million runs.
EVEN = 1e-6


def _gamma_series(a, x):
    """Lower regularised incomplete gamma function by its series; converges fast for x < a + 1."""
    term = total = 1.0 / a
    n = a
    while abs(term) > abs(total) * 1e-15:
        n += 1
        term *= x / n
        total += term
    return total * math.exp(-x + a * math.log(x) - math.lgamma(a))


def _gamma_fraction(a, x):
    """Upper regularised incomplete gamma function by Lentz's continued fraction, for x >= a + 1."""
    tiny = 1e-300
    b = x + 1 - a
    c = 1 / tiny
    d = 1 / b
    h = d
    for i in range(1, 10000):
        an = -i * (i - a)
        b += 2
        d = an * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + an / c
        c = c if abs(c) > tiny else tiny
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return h * math.exp(-x + a * math.log(x) - math.lgamma(a))


def chi_squared_tail(x, degrees):
    """Probability that a chi-squared variable of so many degrees of freedom is x or more."""
    if x <= 0:
        return 1.0
    a, x = degrees / 2, x / 2
    return 1 - _gamma_series(a, x) if x < a + 1 else _gamma_fraction(a, x)


def evenness(draws, values):
    """p-value of the draws being even over the values; 0 where a draw is none of them."""
    return counted_evenness(collections.Counter(draws), values)


def counted_evenness(counts, values):
    """The same of {value: how often it was drawn}."""
    values = set(values)
    if not values.issuperset(counts):
        return 0.0
    expected = sum(counts.values()) / len(values)
    statistic = sum((counts.get(value, 0) - expected) ** 2 / expected for value in values)
    return chi_squared_tail(statistic, len(values) - 1)


def most_over_mean(counts, values):
    """How many times its share the most drawn value has had: 1 is perfect."""
    return max(counts.values()) * len(set(values)) / sum(counts.values())


def assert_even(draws, values):
    """Each value is drawn about as often as the others, and nothing else is drawn."""
    assert_evenly_counted(collections.Counter(draws), values)


def assert_evenly_counted(counts, values, most=math.inf):
    """The same of {value: how often it was drawn}; none has had more than so many times its share."""
    foreign = set(counts) - set(values)
    assert not foreign, f"answers that are no pod's: {sorted(map(str, foreign))}"
    p, ratio = counted_evenness(counts, values), most_over_mean(counts, values)
    shown = {value: counts.get(value, 0) for value in values}
    assert p > EVEN, f"not even: p = {p:.3g}, {shown}"
    assert ratio <= most, f"not even: {ratio:.3f} times the mean, at most {most}: {shown}"
