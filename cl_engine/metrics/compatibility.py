"""What a compatibility matrix says: whether new models can search what old models have embedded.

``matrix[t][k]`` for k <= t is the score of queries embedded by model t in the gallery that model k embedded, a
fraction.  On the diagonal a model searches its own gallery, the self-test; below it is the cross-test.  What is
above the diagonal is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from cl_engine.errors import InputError

Rows = Sequence[Sequence[float | None]]
Ties = Literal["fail", "pass"]


def failures(matrix: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the cross-tests (t, k), from 0, that are not above the older model's self-test.

    >>> failures([[0.5], [0.6, 0.7], [0.5, 0.8, 0.8]])
    [(2, 0)]
    """
    return [(t, k) for t, row in enumerate(matrix) for k in range(t) if not row[k] > matrix[k][k]]


def average_compatibility(matrix: Rows, ties: Ties = "fail") -> float | None:
    """Return AC: the share of pairs k < t with ``M[t, k] > M[k, k]``; None for one model.

    So a new model has to beat the old one on the old one's own gallery (the empirical criterion of BCT, Shen et
    al., CVPR 2020).  A model that never changes has ties only: 0, or 1 with ``ties="pass"``.  The code released
    with IAM-CL2R has ties fail, that of CoReS and CL2R has them pass; both say 1 for one model.

    Raises:
        InputError: no lower triangle of finite numbers, or ``ties`` is neither.

    >>> average_compatibility([[0.5], [0.6, 0.7], [0.5, 0.6, 0.8]])
    0.3333333333333333
    >>> average_compatibility([[0.5], [0.6, 0.7], [0.5, 0.6, 0.8]], ties="pass")
    0.6666666666666666
    """
    if ties not in ("fail", "pass"):
        raise InputError(f"ties is {ties!r}; allowed: 'fail' or 'pass'")
    m = lower_triangle(matrix)
    pairs = [(m[t][k], m[k][k]) for t in range(len(m)) for k in range(t)]
    return _mean([new > old or (ties == "pass" and new == old) for new, old in pairs])


def average_cross_accuracy(matrix: Rows) -> float | None:
    """Return AA: the mean of the lower triangle, the diagonal included (in CoReS AM); of the first rows, AA so far.

    The released code drops an entry that is exactly 0 as missing, and leaves the value unscaled where the last row
    holds a 1; here every entry counts as it is.

    >>> average_cross_accuracy([[0.5], [0.0, 1.0]])
    0.5
    """
    return _mean([entry for row in lower_triangle(matrix) for entry in row])


def backward_compatibility(matrix: Rows) -> float | None:
    """Return BC: the mean over k < T of ``M[T, k] - M[k, k]``, the last model against each old self-test.

    Above 0 is good (CL2R, Biondi et al., TOMM 2023); None for one model.

    >>> backward_compatibility([[0.5], [0.75, 0.75]])
    0.25
    """
    m = lower_triangle(matrix)
    return _mean([m[-1][k] - m[k][k] for k in range(len(m) - 1)])


def forward_compatibility(matrix: Rows) -> float | None:
    """Return FC: the mean over t > 1 of ``M[t, t-1] - M[t, t]``, what is lost by searching the gallery before.

    Close to 0 is good, and above it better: embedding the gallery anew gains nothing then (CL2R).  None for one
    model.

    >>> forward_compatibility([[0.5], [0.5, 0.75]])
    -0.25
    """
    m = lower_triangle(matrix)
    return _mean([m[t][t - 1] - m[t][t] for t in range(1, len(m))])


def compatibility_metrics(matrix: Rows) -> dict[str, float | None]:
    """Return all of them by name; AC with both rules of ties.

    >>> compatibility_metrics([[0.5]])["average_cross_accuracy"]
    0.5
    """
    return {
        "average_compatibility": average_compatibility(matrix),
        "average_compatibility_ties_pass": average_compatibility(matrix, "pass"),
        "average_cross_accuracy": average_cross_accuracy(matrix),
        "backward_compatibility": backward_compatibility(matrix),
        "forward_compatibility": forward_compatibility(matrix),
    }


def lower_triangle(matrix: Rows) -> list[list[float]]:
    """Return ``matrix`` as T rows of 1 to T numbers.

    Raises:
        InputError: there is no row, one is too short, or an entry is no finite number.
    """
    if not len(matrix):
        raise InputError("a compatibility matrix without rows; allowed: one row for each model")
    found = []
    for t, row in enumerate(matrix):
        entries = [math.nan if entry is None else float(entry) for entry in row[: t + 1]]
        if len(entries) <= t or not all(map(math.isfinite, entries)):
            raise InputError(
                f"row {t + 1} of the compatibility matrix is no {t + 1} finite numbers; allowed: a score for each "
                "model up to its own"
            )
        found.append(entries)
    return found


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
