"""Evaluation: correct predictions per class and per group, on the test samples of what was exposed so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.scenarios.transforms import apply

Predict = Callable[[Tensor], Iterable[Tensor]]  # samples [N, ...] -> scores [B, columns], batch by batch


class Counts(NamedTuple):
    """How many test samples were predicted right.

    Attributes:
        correct: int64 ``[C]``, right predictions per class id; 0 for classes that were not exposed.
        tested: int64 ``[C]``, test samples per class id; 0 for classes that were not exposed.
    """

    correct: Tensor
    tested: Tensor


class Evaluator:
    """The test samples of a stream, and the groups that accuracy is told apart by.

    A stream with transforms has one group per experience: all exposed test samples under that experience's
    transform.  Any other stream has one group per experience too: the classes it exposed first.

    Args:
        test: test samples with class ids.
        groups: the class ids that each experience exposed first.
        transforms: one per experience, or None.
        masked: whether a prediction is restricted to the classes of the sample's own group (task-incremental).
        device: where strategies live.
    """

    def __init__(
        self,
        test: Samples,
        groups: Sequence[Sequence[int]],
        transforms: Sequence[Mapping[str, Any]] | None,
        masked: bool,
        device: torch.device,
    ) -> None:
        self.test, self.transforms, self.device = test, transforms, device
        self.classes = sum(map(len, groups))
        self.group_of: Tensor | None = None
        if masked:
            numbers = [number for number, group in enumerate(groups) for _ in group]
            self.group_of = torch.tensor(numbers, device=device)  # ids ascend from group to group

    def __call__(self, predict: Predict, experience: int, exposed: int) -> list[Counts]:
        """Return the counts of each part of the test data that is exposed by now.

        Args:
            predict: gives the scores of test samples, one column for each class that the strategy has grown for.
            experience: the experience that goes on or has just ended.
            exposed: classes exposed so far; only they are tested and predicted.

        Returns:
            One entry per transform seen so far, or a single one; none before the first class.
        """
        if not exposed:
            return []
        test = self.test[self.test.y < exposed]
        if self.transforms is None:
            return [self._counts(predict, test, exposed)]
        seen = self.transforms[: experience + 1]
        return [self._counts(predict, Samples(apply(t, test.x), test.y), exposed) for t in seen]

    def _counts(self, predict: Predict, test: Samples, exposed: int) -> Counts:
        correct = torch.zeros(self.classes, dtype=torch.int64, device=self.device)
        start = 0
        for scores in predict(test.x):
            y = test.y[start : start + len(scores)].to(self.device)
            start += len(scores)
            scores = scores.to(self.device)[:, :exposed]
            if self.group_of is not None:
                elsewhere = self.group_of[:exposed] != self.group_of[y][:, None]
                scores = scores.masked_fill(elsewhere, -torch.inf)
            correct += torch.bincount(y[scores.argmax(1) == y], minlength=self.classes)
        return Counts(correct.cpu(), torch.bincount(test.y, minlength=self.classes))
