"""Areas and crossings against numbers computed apart from the package."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_engine.errors import InputError
from cl_engine.statistics.curves import areas, crossing
from cl_engine.statistics.intervals import t_interval
from cl_engine.statistics.paired import paired_difference
from tests.statistics.sweep import curves, strategies

AREAS = areas({name: curves(name) for name in strategies()})


@pytest.mark.parametrize(
    ("name", "auc", "norm", "log"),
    [
        ("icarl", (0.562513, 0.557903, 0.567122), 0.642871, 0.618967),
        ("memo", (0.571037, 0.567441, 0.574634), 0.652614, 0.613600),
        ("der", (0.569538, 0.567502, 0.571573), 0.650900, 0.610067),
        ("g-acil", (0.525, 0.525, 0.525), 0.6, 0.6),
    ],
)
def test_reference_areas(name, auc, norm, log):
    found = AREAS[name]
    interval = t_interval(list(found.auc.values()))
    assert (interval.mean, interval.low, interval.high) == pytest.approx(auc, abs=1e-6)
    assert np.mean(list(found.auc_norm.values())) == pytest.approx(norm, abs=1e-6)
    assert np.mean(list(found.auc_log_norm.values())) == pytest.approx(log, abs=1e-6)
    assert (found.low, found.high, found.complete) == (0.125, 1.0, True)


def test_linear_and_log_areas_can_name_different_winners():
    linear = paired_difference(AREAS["memo"].auc, AREAS["icarl"].auc)
    assert (linear.mean, linear.low, linear.high, linear.p) == pytest.approx(
        (0.008525, 0.000828, 0.016222, 0.037113), abs=1e-6
    )
    log = paired_difference(AREAS["memo"].auc_log_norm, AREAS["icarl"].auc_log_norm)
    assert (log.mean, log.low, log.high, log.p) == pytest.approx(
        (-0.005367, -0.010500, -0.000234, 0.043990), abs=1e-6
    )


def test_nothing_is_extrapolated():
    short = {seed: {b: v for b, v in curve.items() if b > 0.2} for seed, curve in curves("memo").items()}
    gap = {seed: {b: v for b, v in curve.items() if b != 0.5} for seed, curve in curves("memo").items()}
    one = {seed: {1.0: curve[1.0]} for seed, curve in curves("memo").items()}
    found = areas({"whole": curves("icarl"), "short": short, "gap": gap, "one": one, "none": {}})
    assert [found[name].complete for name in found] == [True, False, False, False, False]
    assert (found["short"].low, found["short"].high, len(found["short"].auc)) == (0.25, 1.0, 5)
    assert found["one"].auc == found["none"].auc == {}
    assert not areas({"a": curves("memo")}, budgets=[0.125, 2.0])["a"].complete


def test_a_seed_without_one_budget_is_left_out_and_n_shows_it():
    holed = curves("memo")
    del holed[3][0.5]
    found = areas({"holed": holed})["holed"]
    assert sorted(found.auc) == [0, 1, 2, 4]
    assert found.auc[0] == AREAS["memo"].auc[0]


def test_a_value_that_is_missing_is_refused():
    with pytest.raises(InputError, match="not a finite number"):
        areas({"a": {0: {1: 0.5, 2: math.nan}}})
    with pytest.raises(InputError, match="budgets above 0"):
        areas({"a": {0: {0: 0.5, 2: 0.6}}})


@pytest.mark.parametrize(
    ("other", "seeds", "log", "zero", "pieces"),
    [
        ("icarl", 5, True, 0.375443, [(0.324047, 0.447960)]),
        ("icarl", 5, False, 0.396667, [(0.343569, 0.460360)]),
        ("icarl", 3, True, 0.365418, [(0.125, 0.149775), (0.269615, 0.665422)]),
        ("icarl", 3, False, 0.386905, [(0.125, 0.157608), (0.277243, 0.706170)]),
        ("g-acil", 5, True, 0.297615, [(0.282046, 0.312092)]),
        ("der", 5, True, 0.659754, [(0.210083, 0.273391), (0.342965, 1.0)]),
    ],
)
def test_reference_crossings(other, seeds, log, zero, pieces):
    found = crossing(curves("memo", seeds), curves(other, seeds), log=log)
    assert found.zeros == pytest.approx([zero], abs=1e-6)
    assert [v for p in found.pieces for v in (p.low, p.high)] == pytest.approx(
        [v for p in pieces for v in p], abs=1e-6
    )
    assert [p.open_low for p in found.pieces] == [low == 0.125 for low, _ in pieces]
    assert [p.open_high for p in found.pieces] == [high == 1.0 for _, high in pieces]
    assert [p.zeros for p in found.pieces] == [found.zeros if p.low < zero < p.high else () for p in found.pieces]
    assert (found.n, found.budgets) == (seeds, (0.125, 0.25, 0.5, 1.0))


def test_curves_are_read_over_log2_from_a_ratio_of_eight_on():
    assert crossing(curves("memo"), curves("icarl")).log
    narrow = {s: {b: v for b, v in curve.items() if b > 0.2} for s, curve in curves("memo").items()}
    assert not crossing(narrow, curves("icarl")).log


@given(st.lists(st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4), min_size=3, max_size=6))
def test_the_set_is_where_the_t_test_does_not_reject(rows):
    """The oracle is SciPy's one-sample t test, at many budgets between the measured ones."""
    rows = np.round(rows, 3)
    first = {s: dict(zip((1, 2, 4, 8), row, strict=True)) for s, row in enumerate(rows.tolist())}
    second = {s: dict.fromkeys((1, 2, 4, 8), 0.0) for s in first}
    found = crossing(first, second)
    for u in np.linspace(0, 3, 61):
        d = np.array([np.interp(u, [0, 1, 2, 3], row) for row in rows])
        if d.std() < 1e-9:
            continue
        p = stats.ttest_1samp(d, 0).pvalue
        inside = any(piece.low <= 2**u * (1 + 1e-9) and 2**u <= piece.high * (1 + 1e-9) for piece in found.pieces)
        if abs(p - 0.05) > 1e-6:
            assert inside == (p > 0.05)
    assert all(any(piece.low <= z <= piece.high or z in piece.zeros for piece in found.pieces) for z in found.zeros)


def flat(*values, seeds=3):
    return {s: dict(zip((1, 2, 4), values, strict=True)) for s in range(seeds)}


def test_no_crossing_one_at_a_budget_and_many_are_all_told():
    none = crossing(flat(0.9, 0.9, 0.9), flat(0.5, 0.5, 0.5))
    assert (none.zeros, none.pieces, none.above) == ((), (), 1)
    on = crossing(flat(0.4, 0.5, 0.6), flat(0.5, 0.5, 0.5), log=False)
    assert on.zeros == (2.0,)
    many = crossing(flat(0.4, 0.6, 0.4), flat(0.5, 0.5, 0.5), log=False)
    assert many.zeros == pytest.approx((1.5, 3.0))
    assert many.above == -1


def test_without_spread_the_set_is_the_crossing_itself():
    found = crossing(flat(0.4, 0.4, 0.6), flat(0.5, 0.5, 0.5), log=False)
    (piece,) = found.pieces
    assert (piece.low, piece.high) == pytest.approx((3.0, 3.0))


def test_identical_curves_are_inseparable_everywhere_and_cross_nowhere():
    found = crossing(curves("memo"), curves("memo"))
    (piece,) = found.pieces
    assert (piece.low, piece.high, piece.open_low, piece.open_high) == (0.125, 1.0, True, True)
    assert (found.zeros, found.above) == ((), 0)


def test_one_seed_has_a_crossing_and_no_set():
    found = crossing(curves("memo", 1), curves("icarl", 1))
    assert len(found.zeros) == 1
    assert found.pieces == ()


def test_two_seeds_leave_nearly_everything_open():
    found = crossing(curves("memo", 2), curves("icarl", 2))
    assert found.pieces[0].open_low or found.pieces[-1].open_high


def test_a_crossing_needs_two_budgets_and_a_seed_in_common():
    with pytest.raises(InputError, match="1 budgets and 1 seeds in common"):
        crossing({0: {1: 0.5, 2: 0.6}}, {0: {1: 0.5, 4: 0.6}})
    with pytest.raises(InputError, match="2 budgets and 0 seeds in common"):
        crossing({0: {1: 0.5, 2: 0.6}}, {1: {1: 0.5, 2: 0.6}})
