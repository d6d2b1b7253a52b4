"""Evaluation: correct predictions per class and per group, on the test samples of what was exposed so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import MemoryContractError
from cl_engine.randomness import isolated
from cl_engine.scenarios.transforms import apply
from cl_engine.strategies.strategy import Strategy

BATCH = 1024


class ContractError(MemoryContractError):
    """A strategy breaks its contract in another way than by what it holds."""


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

    def __call__(self, strategy: Strategy, experience: int, columns: int, exposed: int) -> list[Counts]:
        """Return the counts of each part of the test data that is exposed by now.

        Args:
            strategy: a rebuilt one; it predicts in evaluation mode and is thrown away afterwards.
            experience: the experience that goes on or has just ended.
            columns: classes that the strategy has grown for; it returns that many scores.
            exposed: classes exposed so far; only they are tested and predicted.

        Returns:
            One entry per transform seen so far, or a single one; none before the first class.

        Raises:
            ContractError: the strategy does not return one score per sample and class.
        """
        strategy.eval()
        if not exposed:
            return []
        test = self.test[self.test.y < exposed]
        if self.transforms is None:
            return [self._counts(strategy, test, columns, exposed)]
        seen = self.transforms[: experience + 1]
        return [self._counts(strategy, Samples(apply(t, test.x), test.y), columns, exposed) for t in seen]

    @torch.no_grad()
    def _counts(self, strategy: Strategy, test: Samples, columns: int, exposed: int) -> Counts:
        correct = torch.zeros(self.classes, dtype=torch.int64, device=self.device)
        with isolated(0, "predict"):
            for batch in test.batches(BATCH):
                x, y = batch.x.to(self.device, copy=True), batch.y.to(self.device)  # predict may overwrite it
                scores = _checked(strategy, strategy.predict(x), len(x), columns)[:, :exposed]
                if self.group_of is not None:
                    elsewhere = self.group_of[:exposed] != self.group_of[y][:, None]
                    scores = scores.masked_fill(elsewhere, -torch.inf)
                correct += torch.bincount(y[scores.argmax(1) == y], minlength=self.classes)
        return Counts(correct.cpu(), torch.bincount(test.y, minlength=self.classes))


def _checked(strategy: Strategy, scores: object, rows: int, columns: int) -> Tensor:
    if not isinstance(scores, Tensor) or scores.shape != (rows, columns):
        found = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ContractError(
            f"{type(strategy).__name__}.predict() returned {found} for {rows} samples; "
            f"allowed: scores [{rows}, {columns}], one column per class seen"
        )
    scores = scores if scores.is_floating_point() else scores.double()
    lowest = torch.finfo(scores.dtype).min  # above what is masked out
    # A score that is no number wins no comparison.
    return scores.nan_to_num(nan=lowest, posinf=torch.inf, neginf=lowest)
