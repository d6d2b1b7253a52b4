"""Metrics: pure functions of accuracy records.

Accuracies are fractions.  ``seen[k]`` is A_k, the accuracy on the test samples of all classes exposed by
experience k; ``matrix[k][j]`` is the accuracy after experience k on group j, the classes first exposed in
experience j.  An entry is None where it is undefined: a group that no class belongs to, or one not exposed yet.
A metric that is undefined is None, never 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from cl_engine.errors import InputError

Matrix = Sequence[Sequence[float | None]]
Recalls = Sequence[float | None]

DESCRIPTIONS = {
    "average_accuracy": "mean over experiences of A_k, the accuracy on the test samples of all classes seen",
    "average_group_accuracy": "mean over experiences of AA_k, the mean accuracy of the groups seen by then",
    "last_accuracy": "A_T, the accuracy on all classes seen, at the end",
    "forgetting": "mean over earlier groups of best earlier accuracy minus last accuracy (Chaudhry et al. 2018)",
    "backward_transfer": "mean over earlier groups of last accuracy minus accuracy when learned (GEM, 2017)",
    "learning_accuracy": "mean over groups of the accuracy right after learning them",
    "anytime_accuracy": "A_AUC, the mean of the accuracy curve over its evaluation points (Si-Blurry, 2023)",
    "balanced_accuracy": "mean accuracy of the classes at the end; for imbalanced test sets",
    "class_forgetting": "mean over classes of best earlier accuracy (> 0) minus last accuracy (i-Blurry, 2022)",
    "present_class_accuracy": "mean over experiences of the accuracy of the classes in it (CIR, 2023)",
    "missing_class_accuracy": "mean over experiences of the accuracy of the exposed classes not in it (CIR, 2023)",
    "task_incremental_accuracy": "average accuracy where each test sample's group is known (Task-IL), same network",
    "last_task_incremental_accuracy": "that at the end",
}


def average_accuracy(seen: Sequence[float | None]) -> float | None:
    """Return the mean of A_1..A_T.

    >>> average_accuracy([1.0, 0.5])
    0.75
    """
    return _mean(seen)


def average_group_accuracy(matrix: Matrix) -> float | None:
    """Return the mean over k of ``AA_k = mean_{j <= k} a[k][j]``.

    >>> average_group_accuracy([[1.0, None], [0.5, 1.0]])
    0.875
    """
    return _mean([_mean(row[: k + 1]) for k, row in enumerate(matrix)])


def last_accuracy(seen: Sequence[float | None]) -> float | None:
    """Return A_T."""
    return seen[-1] if seen else None


def forgetting(matrix: Matrix) -> float | None:
    """Return the mean over groups j < T of ``max_{k < T} a[k][j] - a[T][j]``; None for one experience.

    >>> forgetting([[1.0, None], [0.0, 1.0]]), forgetting([[1.0]])
    (1.0, None)
    """
    drops = []
    for j in range(len(matrix) - 1):
        earlier = [row[j] for row in matrix[j:-1]]
        drops.append(_difference(max((a for a in earlier if a is not None), default=None), matrix[-1][j]))
    return _mean(drops)


def backward_transfer(matrix: Matrix) -> float | None:
    """Return the mean over groups j < T of ``a[T][j] - a[j][j]``; None for one experience.

    >>> backward_transfer([[1.0, None], [0.0, 1.0]])
    -1.0
    """
    return _mean([_difference(matrix[-1][j], matrix[j][j]) for j in range(len(matrix) - 1)])


def learning_accuracy(matrix: Matrix) -> float | None:
    """Return the mean over j of ``a[j][j]``.

    >>> learning_accuracy([[1.0, None], [0.0, 0.5]])
    0.75
    """
    return _mean([row[k] for k, row in enumerate(matrix)])


def anytime_accuracy(curve: Sequence[tuple[int, float | None]]) -> float | None:
    """Return the mean accuracy over the evaluation points ``(samples delivered, accuracy)``.

    >>> anytime_accuracy([(100, 0.5)])
    0.5
    """
    return _mean([accuracy for _, accuracy in curve])


def area_under_curve(
    memory: Sequence[float], accuracy: Sequence[float], log: bool = False, normalise: bool = False
) -> float:
    """Return the area under an accuracy-memory curve by the trapezoid rule, between its first and last point only.

    With memory in MB and the two defaults this is AUC-A (average accuracy) or AUC-L (last accuracy) of Zhou et al.
    2023 (MEMO), section 5.2; the paper leaves rule and units open, and these reproduce its numbers.

    Args:
        memory: at least two budgets, rising, in any unit.
        accuracy: the accuracy at each, as a fraction.
        log: integrate over log2 of the memory, so that every doubling counts alike.
        normalise: divide by the width, which makes it the mean height: again a fraction.

    Raises:
        ValueError: fewer than two points, lengths that differ, a budget not above the one before, a value that is
            not finite, or a budget of 0 or below under ``log``.

    >>> area_under_curve([1, 2, 4], [0.5, 0.7, 0.9])
    2.2
    >>> round(area_under_curve([1, 2, 4], [0.5, 0.7, 0.9], log=True, normalise=True), 6)
    0.7
    """
    if len(memory) != len(accuracy) or len(memory) < 2:
        raise InputError(
            f"area under the curve: {len(memory)} budgets and {len(accuracy)} accuracies; "
            "at least two points, one accuracy for each budget"
        )
    if not all(math.isfinite(v) for v in (*memory, *accuracy)):
        raise InputError("area under the curve: a budget or an accuracy is not finite")
    if log and memory[0] <= 0:
        raise InputError(f"area under the curve: a budget of {memory[0]} has no logarithm; budgets above 0")
    for before, after in itertools.pairwise(memory):
        if not before < after:
            raise InputError(f"area under the curve: budget {after} follows {before}; budgets must rise")
    x = [math.log2(m) if log else float(m) for m in memory]
    steps = range(len(x) - 1)
    area = sum((x[k + 1] - x[k]) * (accuracy[k] + accuracy[k + 1]) for k in steps) / 2
    return area / (x[-1] - x[0]) if normalise else area


def all_metrics(
    seen: Sequence[float | None], matrix: Matrix, curve: Sequence[tuple[int, float | None]]
) -> dict[str, float | None]:
    """Return every metric by its name in ``result.json``."""
    return {
        "average_accuracy": average_accuracy(seen),
        "average_group_accuracy": average_group_accuracy(matrix),
        "last_accuracy": last_accuracy(seen),
        "forgetting": forgetting(matrix),
        "backward_transfer": backward_transfer(matrix),
        "learning_accuracy": learning_accuracy(matrix),
        "anytime_accuracy": anytime_accuracy(curve),
    }


def class_metrics(recalls: Sequence[Recalls], present: Sequence[Sequence[int]]) -> dict[str, float | None]:
    """Return the metrics that look at each class by itself.

    Args:
        recalls: after each experience, the accuracy of each class; None for classes not exposed.
        present: the classes of each experience.

    >>> class_metrics([[1.0, None], [0.5, 1.0]], [[0], [1]])["class_forgetting"]
    0.5
    """
    last = recalls[-1]
    drops = []
    for c, end in enumerate(last):
        earlier = [row[c] for row in recalls[:-1] if c < len(row)]
        drops.append(_difference(max((a for a in earlier if a), default=None), end))
    here, away = [], []
    for row, classes in zip(recalls, present, strict=True):
        now = set(classes)
        here.append(_mean([a for c, a in enumerate(row) if c in now]))
        away.append(_mean([a for c, a in enumerate(row) if c not in now]))
    return {
        "balanced_accuracy": _mean(last),
        "class_forgetting": _mean(drops),
        "present_class_accuracy": _mean(here),
        "missing_class_accuracy": _mean(away),
    }


def task_metrics(told: Sequence[float | None]) -> dict[str, float | None]:
    """Return the metrics of a learner that is told which group a test sample comes from.

    Args:
        told: after each experience, the accuracy if predictions are restricted to the classes that the sample's
            own class was first exposed with (Task-IL beside Class-IL; van de Ven and Tolias 2019).

    >>> task_metrics([1.0, 0.5])
    {'task_incremental_accuracy': 0.75, 'last_task_incremental_accuracy': 0.5}
    """
    return {
        "task_incremental_accuracy": average_accuracy(told),
        "last_task_incremental_accuracy": last_accuracy(told),
    }


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _mean(values: Sequence[float | None]) -> float | None:
    present = [v for v in values if v is not None]
    return sum(present) / len(present) if present else None
