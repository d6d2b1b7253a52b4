"""Several scenarios against SciPy's trimmed mean and a published implementation's number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_engine.errors import InputError
from cl_engine.statistics.across import between_references, interquartile_mean, scenario_means
from cl_engine.statistics.intervals import t_interval

ROWS = [[0.61, 0.72, 0.55, 0.90], [0.63, 0.70, 0.58, 0.91], [0.60, 0.74, 0.52, 0.89]]


def table(rows):
    return {seed: dict(zip("abcdefgh", row, strict=False)) for seed, row in enumerate(rows)}


def test_the_reference_table():
    assert interquartile_mean(table(ROWS)) == pytest.approx(0.666667, abs=5e-7)
    interval = t_interval(list(scenario_means(table(ROWS)).values()))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.695833, 0.674023, 0.717643), abs=5e-7)


@given(
    st.integers(4, 8).flatmap(
        lambda k: st.lists(st.lists(st.floats(0, 1), min_size=k, max_size=k), min_size=1, max_size=4)
    )
)
def test_the_interquartile_mean_is_scipys_trimmed_mean(rows):
    assert interquartile_mean(table(rows)) == pytest.approx(stats.trim_mean(np.ravel(rows), 0.25))


def test_a_seed_that_lacks_a_scenario_is_left_out_of_both():
    holed = table(ROWS)
    del holed[1]["a"]
    assert sorted(scenario_means(holed)) == [0, 2]
    assert interquartile_mean(holed) == pytest.approx(stats.trim_mean(np.ravel([ROWS[0], ROWS[2]]), 0.25))


def test_three_scenarios_have_no_interquartile_mean():
    with pytest.raises(InputError, match="at least 4 scenarios"):
        interquartile_mean(table([row[:3] for row in ROWS]))


def test_the_references_are_0_and_1_and_equal_ones_are_no_scale():
    assert [between_references(v, 0.2, 0.6) for v in (0.2, 0.4, 0.6)] == pytest.approx([0, 0.5, 1])
    with pytest.raises(InputError, match="no scale"):
        between_references(0.5, 0.4, 0.4)
    with pytest.raises(InputError, match="not a finite number"):
        between_references(math.nan, 0.2, 0.6)
