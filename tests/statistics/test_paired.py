"""Paired differences against SciPy's paired test and numbers computed apart from the package."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_engine.errors import InputError
from cl_engine.statistics.paired import paired_difference, sign_flip
from tests.statistics.sweep import column

accuracies = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8)


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("first", "second", "budget", "seeds", "expected", "flip", "wins"),
    [
        ("memo", "icarl", 0.125, 5, (-0.056800, -0.083739, -0.029861, -5.854115, 0.004248), 0.0625, 0),
        ("memo", "icarl", 0.25, 5, (-0.026400, -0.035337, -0.017463, -8.202081, 0.001204), 0.0625, 0),
        ("memo", "icarl", 0.5, 5, (0.018600, 0.006289, 0.030911, 4.194896, 0.013752), 0.0625, 5),
        ("memo", "icarl", 1.0, 5, (0.040200, 0.026844, 0.053556, 8.356884, 0.001121), 0.0625, 5),
        ("memo", "icarl", 0.5, 3, (0.019000, -0.011119, 0.049119, 2.714286, 0.113156), 0.25, 3),
        ("memo", "der", 1.0, 5, (-0.001800, -0.006720, 0.003120, -1.015799, 0.367172), 0.4375, 1),
        ("memo", "der", 0.25, 5, (0.003400, -0.001377, 0.008177, 1.976210, 0.119318), 0.1875, 4),
        ("g-acil", "icarl", 0.25, 5, (-0.001600, -0.012085, 0.008885, -0.423702, 0.693574), 0.75, 2),
    ],
)
def test_reference_differences(first, second, budget, seeds, expected, flip, wins):
    a, b = column(first, budget, seeds), column(second, budget, seeds)
    found = paired_difference(a, b)
    assert (found.mean, found.low, found.high, found.t, found.p) == pytest.approx(expected, abs=1e-6)
    assert (found.n, found.wins, found.ties, found.higher) == (seeds, wins, 0, wins)
    assert math.isnan(found.sign_flip)  # below six seeds it cannot reach 5 %
    assert sign_flip([a[s] - b[s] for s in a]) == pytest.approx(flip)


@given(accuracies.filter(lambda rows: len(rows) > 1 and np.std([a - b for a, b in rows]) > 1e-6))
def test_the_test_is_scipys_paired_t_test(rows):
    first, second = zip(*rows, strict=True)
    theirs = stats.ttest_rel(first, second)
    found = paired_difference(by_seed(first), by_seed(second))
    assert (found.t, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-6, abs=1e-9)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_the_sign_flip_counts_every_arrangement(d):
    sums = [
        abs(sum(s * v for s, v in zip(signs, d, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(d))
    ]
    assert sign_flip([v / 1000 for v in d]) == pytest.approx(np.mean([s >= abs(sum(d)) for s in sums]))


def test_the_sign_flip_shows_from_six_seeds_on_and_has_its_least_value():
    for n, least in ((6, 0.03125), (7, 0.015625)):
        assert paired_difference(by_seed([0.6] * n), by_seed([0.5] * n)).sign_flip == least
    for n, least in ((3, 0.25), (4, 0.125), (5, 0.0625), (30, 2.0**-29)):
        assert sign_flip([0.1] * n) == pytest.approx(least)


def test_identical_runs_are_identical_and_not_significant():
    found = paired_difference(column("g-acil", 0.25), column("g-acil", 0.25))
    assert (found.mean, found.sd, found.low, found.high, found.p) == (0, 0, 0, 0, 1)
    assert (found.wins, found.ties, found.higher) == (0, 5, 2.5)
    assert found.note == "identical on every seed"
    assert math.isnan(found.t)


def test_a_difference_without_spread_is_significant_and_says_why():
    found = paired_difference(by_seed([0.6] * 2), by_seed([0.5] * 2))
    assert (found.p, found.tested, found.note) == (0, 0, "neither varies over seeds")
    moved = paired_difference(by_seed([0.6, 0.7, 0.8]), by_seed([0.5, 0.6, 0.7]))
    assert (moved.p, moved.sd, moved.note) == (0, 0, "the difference is the same on every seed")


def test_one_seed_allows_no_statement_and_two_are_never_significant():
    one = paired_difference({0: 0.9}, {0: 0.1})
    assert (one.n, one.wins, one.tested, one.note) == (1, 1, 1, "one seed: no statement about noise")
    assert math.isnan(one.p)
    two = paired_difference(by_seed([0.9, 0.901]), by_seed([0.1, 0.1]))
    assert two.p < 0.05
    assert two.tested == 1
    assert two.note == "two seeds: too few to call a difference significant"


def test_only_shared_seeds_count():
    found = paired_difference({0: 0.5, 1: 0.6, 7: 1.0}, {7: 0.5, 1: 0.6, 3: 0.0})
    assert (found.n, found.mean, found.wins, found.ties) == (2, 0.25, 1, 1)
    none = paired_difference({0: 0.5}, {1: 0.5})
    assert (none.n, none.note) == (0, "no seed in common")
    assert none.tested == 1


def test_a_missing_value_is_refused_not_dropped():
    with pytest.raises(InputError, match="not a finite number"):
        paired_difference({0: 0.5, 1: math.nan}, {0: 0.5})


@given(accuracies, st.floats(-1, 1))
def test_moving_both_changes_no_difference(rows, shift):
    rows = [(round(a, 4), round(b, 4)) for a, b in rows]
    first, second = zip(*rows, strict=True)
    here = paired_difference(by_seed(first), by_seed(second))
    moved = paired_difference(by_seed([v + shift for v in first]), by_seed([v + shift for v in second]))
    assert moved.note == here.note
    assert (moved.wins, moved.ties) == (here.wins, here.ties)
    assert moved[1:8] == pytest.approx(here[1:8], rel=1e-6, abs=1e-9, nan_ok=True)


@given(accuracies)
def test_the_reverse_is_what_the_other_order_gives(rows):
    first, second = (by_seed(column) for column in zip(*rows, strict=True))
    assert paired_difference(first, second).reversed() == pytest.approx(
        paired_difference(second, first), nan_ok=True
    )
