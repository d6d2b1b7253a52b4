"""The Pareto front of the reference sweep, and its ties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.errors import InputError
from cl_engine.statistics.pareto import Point, pareto
from tests.statistics.sweep import BUDGETS, column, strategies


def test_the_front_of_the_reference_sweep():
    found = pareto({(name, b): Point(b, column(name, b)) for name in strategies() for b in BUDGETS})
    marks = {mark: {key for key in found if found[key] == mark} for mark in ("front", "may be")}
    assert marks == {
        "front": {("g-acil", 0.125), ("icarl", 0.25), ("memo", 0.5), ("der", 1.0)},
        "may be": {("g-acil", 0.25), ("der", 0.5), ("memo", 1.0)},
    }


def test_equal_accuracy_with_fewer_bytes_dominates_and_equal_points_stand_together():
    values = {0: 0.5, 1: 0.6, 2: 0.5}
    found = pareto({"a": Point(1, values), "b": Point(1, values), "c": Point(2, values)})
    assert found == {"a": "front", "b": "front", "c": "may be"}


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_the_front_is_the_undominated_points(rows):
    found = pareto({k: Point(held, {0: a / 10, 1: a / 10}) for k, (held, a) in enumerate(rows)})
    for k, (held, a) in enumerate(rows):
        dominated = any(h <= held and b >= a and (h, b) != (held, a) for h, b in rows)
        assert (found[k] == "front") == (not dominated)


def test_a_point_without_values_is_refused():
    with pytest.raises(InputError, match="x has no values"):
        pareto({"x": Point(1, {})})
    with pytest.raises(InputError, match="not a finite number"):
        pareto({"x": Point(math.nan, {0: 0.5})})
