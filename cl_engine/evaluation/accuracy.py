"""Evaluation: correct predictions per class and per group, on the test samples of what was exposed so far."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.evaluation.evaluator import Predict
from cl_engine.metrics import all_metrics, class_metrics, task_metrics
from cl_engine.scenarios.transforms import apply, domain_of

Counted = npt.NDArray[np.int64] | npt.NDArray[np.float64]


class Counts(NamedTuple):
    """How many test samples were predicted right.

    Attributes:
        correct: int64 ``[C]``, right predictions per class id; 0 for classes that were not exposed.
        tested: int64 ``[C]``, test samples per class id; 0 for classes that were not exposed.
        told: int64 ``[C]``, right predictions among the classes of the sample's own group; None: not counted.
    """

    correct: Tensor
    tested: Tensor
    told: Tensor | None


class Accuracy:
    """The test samples of a stream, and the groups that accuracy is told apart by.

    A stream with transforms has one group per experience: all exposed test samples under that experience's
    transform, or those of that experience's domain.  Any other stream has one group per experience too: the classes
    it exposed first.

    Args:
        test: test samples with class ids, and the column ``domain`` where experiences are domains of the data.
        groups: the class ids that each experience exposed first.
        transforms: one per experience, or None.
        masked: whether a prediction is restricted to the classes of the sample's own group (task-incremental).
        device: where strategies live.
        within: whether accuracy is measured within experiences too, so that the curve is of those points.
    """

    def __init__(
        self,
        test: Samples,
        groups: Sequence[Sequence[int]],
        transforms: Sequence[Mapping[str, Any]] | None,
        masked: bool,
        device: torch.device,
        within: bool = False,
    ) -> None:
        self.test, self.transforms, self.device = test, transforms, device
        self.groups, self.within = groups, within
        self.classes = sum(map(len, groups))
        # Ids ascend from group to group.
        self.numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        self.group_of, self.masked = torch.from_numpy(self.numbers).to(device), masked

    def facts(self, predict: Predict, experience: int, exposed: int, met: Tensor | None = None) -> dict[str, Any]:
        """Return ``correct`` and ``tested`` per transform and class id, and ``accuracy``; see :class:`Evaluator`.

        Only exposed classes are tested and predicted; ``accuracy`` is None before the first of them.  ``met``, bool
        ``[C]``, says which ids below ``exposed`` those are; None: all, as at the end of every experience, and then
        ``told`` is there too: ``correct`` if each sample's group were known.
        """
        counts = self.counts(predict, experience, exposed, met)
        correct = [c.correct.tolist() for c in counts]
        tested = [c.tested.tolist() for c in counts]
        told = [c.told.tolist() for c in counts if c.told is not None]
        accuracy = _ratio(sum(map(sum, correct)), sum(map(sum, tested)))
        return {"correct": correct, "tested": tested, "accuracy": accuracy} | ({"told": told} if told else {})

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return ``metrics``, and ``accuracy`` with ``seen``, ``matrix`` and ``curve``."""
        seen = [line["accuracy"] for line in lines]
        matrix = [self._row(line) for line in lines]
        curve = [tuple(point) for line in lines for point in line["curve"]]
        if not self.within:
            delivered = itertools.accumulate(line["samples"] for line in lines)
            curve = list(zip(delivered, seen, strict=True))
        by_class = class_metrics([_recalls(line) for line in lines], [line["present"] for line in lines])
        told = seen if self.masked else [_told(line) for line in lines]
        return {
            "metrics": {**all_metrics(seen, matrix, curve), **by_class, **task_metrics(told)},
            "accuracy": {"seen": seen, "matrix": matrix, "curve": [list(point) for point in curve]},
        }

    def counts(self, predict: Predict, experience: int, exposed: int, met: Tensor | None = None) -> list[Counts]:
        """Return the counts of each part of the test data that is exposed by now; arguments as of :meth:`facts`.

        Returns:
            One entry per transform seen so far, or a single one; none before the first class.
        """
        if not exposed:
            return []
        test, hidden = self.test[self.test.y < exposed], None
        if met is not None:
            test, hidden = test[met[test.y]], ~met[:exposed].to(self.device)
        if self.transforms is None:
            return [self._counts(predict, test, exposed, hidden)]
        seen = self.transforms[: experience + 1]
        return [self._counts(predict, _under(t, test), exposed, hidden) for t in seen]

    def group(self, experience: int) -> Samples:
        """Return the test samples of the group of an experience, of classes that are exposed by its end."""
        if self.transforms is None:
            return self.test[torch.isin(self.test.y, torch.tensor(self.groups[experience], dtype=torch.int64))]
        exposed = sum(map(len, self.groups[: experience + 1]))
        return _under(self.transforms[experience], self.test[self.test.y < exposed])

    def _counts(self, predict: Predict, test: Samples, exposed: int, hidden: Tensor | None) -> Counts:
        correct = torch.zeros(self.classes, dtype=torch.int64, device=self.device)
        # Groups are known in a task-incremental stream anyway, and mean nothing where they are transforms.
        told = None if self.masked or self.transforms is not None or hidden is not None else correct.clone()
        start = 0
        for scores in predict(test.inputs):
            y = test.y[start : start + len(scores)].to(self.device)
            start += len(scores)
            scores = scores.to(self.device)[:, :exposed]
            if hidden is not None:
                scores = scores.masked_fill(hidden, -torch.inf)
            if self.masked:
                scores = self._within_groups(scores, y)
            correct += self._right(scores, y)
            if told is not None:
                told += self._right(self._within_groups(scores, y), y)
        tested = torch.bincount(test.y, minlength=self.classes)
        return Counts(correct.cpu(), tested, None if told is None else told.cpu())

    def _within_groups(self, scores: Tensor, y: Tensor) -> Tensor:
        """Return the scores ``[B, C]`` without those of classes outside of the sample's own group."""
        elsewhere = self.group_of[: scores.shape[1]] != self.group_of[y][:, None]
        return scores.masked_fill(elsewhere, -torch.inf)

    def _right(self, scores: Tensor, y: Tensor) -> Tensor:
        """Return for each class id how many of its samples have their highest score at it, int64 ``[C]``."""
        return torch.bincount(y[scores.argmax(1) == y], minlength=self.classes)

    def _row(self, line: Mapping[str, Any]) -> list[float | None]:
        """Return the accuracy on each group after one experience; None for groups that are not exposed yet."""
        correct, tested = line["correct"], line["tested"]
        if self.transforms is not None:
            row = [_ratio(sum(c), sum(t)) for c, t in zip(correct, tested, strict=True)]
            return row + [None] * (len(self.groups) - len(row))
        if not correct:
            return [None] * len(self.groups)
        parts, wholes = (
            np.bincount(self.numbers, weights, len(self.groups)) for weights in (correct[0], tested[0])
        )
        return _ratios(parts, wholes)  # sums of counts, exact in float64


def _under(transform: Mapping[str, Any], test: Samples) -> Samples:
    """Return the test samples of a domain, or all of them transformed."""
    domain = domain_of(transform)
    if domain is not None:
        return test[test.columns["domain"] == domain]
    return test.changed(partial(apply, transform))


def _recalls(line: Mapping[str, Any]) -> list[float | None]:
    """Return the accuracy of each class over all tested transforms; None for classes not exposed."""
    if not line["correct"]:
        return []
    return _ratios(np.sum(line["correct"], axis=0), np.sum(line["tested"], axis=0))


def _told(line: Mapping[str, Any]) -> float | None:
    """Return the accuracy where each sample's group is known; None where it was not counted."""
    if "told" not in line:
        return None
    return _ratio(sum(map(sum, line["told"])), sum(map(sum, line["tested"])))


def _ratios(parts: Counted, wholes: Counted) -> list[float | None]:
    found = (parts / np.maximum(wholes, 1)).tolist()
    return [ratio if whole else None for ratio, whole in zip(found, wholes.tolist(), strict=True)]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
