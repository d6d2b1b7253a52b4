"""AC, AA, BC and FC against the released matrices and NumPy."""

import numpy as np
import pytest

from cl_engine.errors import InputError
from cl_engine.metrics import (
    average_compatibility,
    average_cross_accuracy,
    backward_compatibility,
    compatibility_metrics,
    forward_compatibility,
)
from tests.metrics.published import ER, HOC


@pytest.mark.parametrize(
    ("matrix", "ac", "aa", "bc", "fc", "so_far"),
    [
        (HOC, 20 / 21, 68.899071, 0.024673, -0.018937, [58.89, 60.05, 62.97, 64.94, 66.60, 67.86, 68.90]),
        (ER, 0, 35.178929, -0.395910, -0.218310, [63.42, 62.69, 47.29, 44.52, 36.96, 34.99, 35.18]),
    ],
    ids=["hoc", "er"],
)
def test_the_released_matrices_have_the_metrics_that_were_published(matrix, ac, aa, bc, fc, so_far):
    assert average_compatibility(matrix) == average_compatibility(matrix, "pass") == pytest.approx(ac)
    assert 100 * average_cross_accuracy(matrix) == pytest.approx(aa, abs=5e-7)
    assert backward_compatibility(matrix) == pytest.approx(bc, abs=5e-7)
    assert forward_compatibility(matrix) == pytest.approx(fc, abs=5e-7)
    found = [100 * average_cross_accuracy(matrix[:tau]) for tau in range(1, 8)]
    assert found == pytest.approx(so_far, abs=5.001e-3)


def test_the_one_failure_of_the_released_matrix_is_the_fifth_model_in_the_fourth_gallery():
    failures = [(t + 1, k + 1) for t in range(7) for k in range(t) if not HOC[t][k] > HOC[k][k]]
    assert failures == [(5, 4)]


def test_metrics_of_random_matrices_are_those_of_numpy():
    draw = np.random.default_rng(0)
    for size in (2, 3, 8):
        m = draw.integers(0, 5, (size, size)) / 4  # many ties, exact zeros and ones
        below, every = np.tril_indices(size, -1), np.tril_indices(size)
        own = m.diagonal()[below[1]]
        assert average_compatibility(m) == np.mean(m[below] > own)
        assert average_compatibility(m, "pass") == np.mean(m[below] >= own)
        assert average_cross_accuracy(m) == pytest.approx(m[every].mean())
        assert backward_compatibility(m) == pytest.approx((m[-1] - m.diagonal())[:-1].mean())
        assert forward_compatibility(m) == pytest.approx((m.diagonal(-1) - m.diagonal()[1:]).mean())


def test_a_model_that_never_changes_fails_or_passes_by_the_rule_of_ties():
    frozen = [[0.6] * 4] * 4
    assert average_compatibility(frozen) == 0
    assert average_compatibility(frozen, ties="pass") == 1


def test_zeros_and_ones_count_as_they_are():
    assert average_cross_accuracy([[0.5], [0.0, 1.0]]) == 0.5


def test_of_one_model_only_the_average_accuracy_is_defined():
    found = compatibility_metrics([[0.25]])
    assert found.pop("average_cross_accuracy") == 0.25
    assert set(found.values()) == {None}


@pytest.mark.parametrize("matrix", [[], [[0.5], [0.5]], [[None]], [[float("nan")]]])
def test_what_is_no_lower_triangle_is_refused(matrix):
    with pytest.raises(InputError, match="compatibility matrix"):
        average_compatibility(matrix)


def test_a_rule_of_ties_that_is_none_is_refused():
    with pytest.raises(InputError, match="ties is 'win'; allowed: 'fail' or 'pass'"):
        average_compatibility([[0.5]], ties="win")
