"""Metrics against the unit checks that define them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.metrics import (
    all_metrics,
    area_under_curve,
    average_accuracy,
    average_group_accuracy,
    forgetting,
    learning_accuracy,
)


def lower(matrix):
    return [[a if j <= k else None for j, a in enumerate(row)] for k, row in enumerate(matrix)]


def metrics(matrix):
    seen = [sum(row[: k + 1]) / (k + 1) for k, row in enumerate(matrix)]
    return all_metrics(seen, lower(matrix), [(10 * (k + 1), a) for k, a in enumerate(seen)])


@given(st.floats(0, 1), st.integers(2, 6))
def test_constant_accuracy_forgets_nothing(a, n):
    found = metrics([[a] * n] * n)
    assert found["forgetting"] == found["backward_transfer"] == 0
    assert found["average_accuracy"] == pytest.approx(a)


def test_diagonal_knowledge_forgets_everything():
    n = 4
    found = metrics([[float(k == j) for j in range(n)] for k in range(n)])
    assert found["forgetting"] == 1
    assert found["backward_transfer"] == -1
    assert found["learning_accuracy"] == 1
    assert found["last_accuracy"] == 0.25


def test_perfect_is_one():
    found = metrics([[1.0] * 3] * 3)
    ones = ("average_accuracy", "average_group_accuracy", "last_accuracy", "learning_accuracy", "anytime_accuracy")
    assert all(found[key] == 1 for key in ones)


def test_one_experience_leaves_forgetting_undefined():
    found = metrics([[0.7]])
    assert found["forgetting"] is None
    assert found["backward_transfer"] is None
    assert found["anytime_accuracy"] == 0.7


def test_best_earlier_accuracy_counts_even_if_not_the_first():
    matrix = [[0.5, None, None], [0.9, 1.0, None], [0.4, 0.7, 1.0]]
    assert forgetting(matrix) == pytest.approx(((0.9 - 0.4) + (1.0 - 0.7)) / 2)


def test_a_group_without_classes_is_left_out():
    matrix = [[0.8, None, None], [0.6, None, None], [0.4, None, 1.0]]
    assert forgetting(matrix) == pytest.approx(0.4)
    assert learning_accuracy(matrix) == pytest.approx(0.9)
    assert average_group_accuracy(matrix) == pytest.approx((0.8 + 0.6 + 0.7) / 3)


def test_published_cross_test_matrix():
    """The backward transfer of a published 7 x 7 matrix (the ER run of the IAM-CL2R release)."""
    rows = [
        [0.6342],
        [0.61556, 0.63092],
        [0.11708, 0.1123, 0.72734],
        [0.1143, 0.1053, 0.69232, 0.703],
        [0.0908, 0.07756, 0.09296, 0.08552, 0.74464],
        [0.08512, 0.07364, 0.10338, 0.09524, 0.7226, 0.72312],
        [0.09718, 0.08578, 0.0975, 0.09748, 0.70352, 0.7063, 0.71544],
    ]
    matrix = [row + [None] * (7 - len(row)) for row in rows]
    found = all_metrics([None] * 7, matrix, [])
    assert found["backward_transfer"] == pytest.approx(-0.395910, abs=1e-6)
    assert found["learning_accuracy"] == pytest.approx(sum(row[-1] for row in rows) / 7)
    assert found["average_accuracy"] is None


def test_average_of_nothing_is_undefined():
    assert average_accuracy([]) is None


BUDGETS = [7.6, 12.4, 16.0, 19.8, 23.5]  # MB, CIFAR-100 in ten steps (Zhou et al. 2023)


@pytest.mark.parametrize(
    ("percent", "published"), [((54.7, 69.0, 70.2, 71.6, 72.1), 10.85), ((40.8, 57.1, 59.6, 61.9, 62.2), 9.03)]
)
def test_areas_of_published_curves(percent, published):
    """MEMO's AUC-A and AUC-L; the curves are read off the published figure, within 0.3 points."""
    assert area_under_curve(BUDGETS, [a / 100 for a in percent]) == pytest.approx(published, rel=0.003)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1)), min_size=2, max_size=6))
def test_the_area_is_numpys_trapezoid(rows):
    gaps, y = zip(*rows, strict=True)
    x = np.cumsum(gaps)
    integral = float(np.sum(np.diff(x) * (np.array(y[1:]) + y[:-1]) / 2))
    assert area_under_curve(x.tolist(), y) == pytest.approx(integral)
    assert area_under_curve(x.tolist(), y, normalise=True) == pytest.approx(integral / (x[-1] - x[0]))


@given(st.floats(0, 1), st.booleans())
def test_a_constant_curve_has_its_height_as_normalised_area(a, log):
    assert area_under_curve(BUDGETS, [a] * 5, log=log, normalise=True) == pytest.approx(a)


def test_over_log_memory_doublings_count_alike_and_the_unit_does_not():
    assert area_under_curve([1, 2, 4], [0, 1, 0], log=True) == 1
    assert area_under_curve([1024, 2048, 4096], [0, 1, 0], log=True) == 1


@pytest.mark.parametrize(
    ("memory", "accuracy", "log", "message"),
    [
        ([1], [0.5], False, "at least two points"),
        ([], [], False, "at least two points"),
        ([1, 2], [0.5], False, "one accuracy for each"),
        ([2, 1], [0.5, 0.6], False, "must rise"),
        ([1, 1], [0.5, 0.6], False, "must rise"),
        ([1, 2], [0.5, math.nan], False, "not finite"),
        ([1, math.inf], [0.5, 0.6], False, "not finite"),
        ([0, 1], [0.5, 0.6], True, "no logarithm"),
    ],
)
def test_an_area_of_no_curve_is_refused(memory, accuracy, log, message):
    with pytest.raises(ValueError, match=message):
        area_under_curve(memory, accuracy, log=log)
