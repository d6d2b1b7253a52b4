"""Holm's correction against its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.errors import InputError
from cl_engine.statistics.holm import holm
from cl_engine.statistics.paired import paired_difference
from tests.statistics.sweep import column


def test_a_textbook_family():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_memo_against_three_within_one_budget():
    p = [paired_difference(column("memo", 0.5), column(other, 0.5)).p for other in ("icarl", "der", "g-acil")]
    assert holm(p) == pytest.approx([0.027504, 0.745884, 0.000010], abs=5e-7)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_what_is_rejected_is_what_stepping_down_rejects(p, level):
    order = sorted(range(len(p)), key=lambda k: p[k])
    rejected = set()
    for place, k in enumerate(order):
        if (len(p) - place) * p[k] > level:
            break
        rejected.add(k)
    assert {k for k, value in enumerate(holm(p)) if value <= level} == rejected


def test_nothing_to_correct_is_nothing_and_a_missing_p_is_refused():
    assert holm([]) == []
    with pytest.raises(InputError, match="not a finite number"):
        holm([0.1, float("nan")])
