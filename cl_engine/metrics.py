"""Metrics: pure functions of accuracy records.

Accuracies are fractions.  ``seen[k]`` is A_k, the accuracy on the test samples of all classes exposed by
experience k; ``matrix[k][j]`` is the accuracy after experience k on group j, the classes first exposed in
experience j.  An entry is None where it is undefined: a group that no class belongs to, or one not exposed yet.
A metric that is undefined is None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _mean(values: Sequence[float | None]) -> float | None:
    present = [v for v in values if v is not None]
    return sum(present) / len(present) if present else None
