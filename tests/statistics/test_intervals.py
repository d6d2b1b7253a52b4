"""Intervals of a mean against SciPy and numbers computed apart from the package."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_engine.errors import InputError
from cl_engine.statistics.intervals import bootstrap_interval, sampling_error, t_interval
from tests.statistics.sweep import column


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (3, (0.511667, 0.013503, 0.007796, 0.478123, 0.545210)),
        (5, (0.512200, 0.010474, 0.004684, 0.499195, 0.525205)),
    ],
)
def test_the_t_interval_of_a_reference_column(seeds, expected):
    found = t_interval(list(column("icarl", 0.125, seeds).values()))
    assert found[1:] == pytest.approx(expected, abs=5e-7)
    assert found.n == seeds


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6))
def test_the_t_interval_is_scipys(x):
    ours, theirs = t_interval(x), stats.ttest_1samp(x, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(("seeds", "expected"), [(3, (0.498, 0.525)), (5, (0.504, 0.5202))])
def test_the_exact_bootstrap_is_scipys_of_99999_draws(seeds, expected):
    x = list(column("icarl", 0.125, seeds).values())
    assert bootstrap_interval(x) == pytest.approx(expected, abs=1e-9)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=99_999, method="percentile", rng=0).confidence_interval
    assert bootstrap_interval(x) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_with_eight_seeds_draws_come_within_their_error_of_scipys_and_repeat():
    x = np.random.RandomState(0).normal(0.7, 0.02, 8).tolist()
    theirs = stats.bootstrap((x,), np.mean, n_resamples=99_999, method="percentile", rng=0).confidence_interval
    state = np.random.get_state()[1].tolist()
    found = bootstrap_interval(x)
    assert found == pytest.approx((theirs.low, theirs.high), abs=5e-4)
    assert found == bootstrap_interval(x[::-1])
    assert np.random.get_state()[1].tolist() == state


def test_one_seed_has_a_value_and_no_interval():
    found = t_interval([0.5])
    assert (found.n, found.mean) == (1, 0.5)
    assert all(math.isnan(v) for v in (*found[2:], *bootstrap_interval([0.5])))


def test_two_seeds_span_12_7_standard_errors():
    found = t_interval([0.5, 0.6])
    assert (found.high - found.mean) / found.se == pytest.approx(12.706205, abs=1e-6)


def test_without_spread_the_interval_is_the_value():
    assert t_interval([0.6] * 5)[1:] == (0.6, 0.0, 0.0, 0.6, 0.6)
    assert t_interval([0.1] * 3).sd == 0  # the mean of three floats 0.1 is not exactly 0.1
    assert bootstrap_interval([0.6] * 5) == pytest.approx((0.6, 0.6))


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
@pytest.mark.parametrize("function", [t_interval, bootstrap_interval])
def test_a_missing_value_is_refused_not_dropped(function, bad):
    with pytest.raises(InputError, match="not a finite number"):
        function([0.5, bad, 0.6])
    with pytest.raises(InputError, match="no values"):
        function([])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(-1, 1))
def test_moving_every_value_moves_the_intervals_along(x, shift):
    moved, here = t_interval([v + shift for v in x]), t_interval(x)
    assert (moved.low, moved.high) == pytest.approx((here.low + shift, here.high + shift), abs=1e-9)
    low, high = bootstrap_interval(x)
    assert bootstrap_interval([v + shift for v in x]) == pytest.approx((low + shift, high + shift), abs=1e-9)


def test_the_error_of_a_test_set_is_the_binomials():
    found = [sampling_error(0.9, n) for n in (360, 1797, 10_000)]
    assert found == pytest.approx([0.015811, 0.007077, 0.003000], abs=5e-7)
    for accuracy, tested in ((1.1, 10), (0.5, 0)):
        with pytest.raises(InputError, match="test set error"):
            sampling_error(accuracy, tested)
