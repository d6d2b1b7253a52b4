"""What an evaluator is: something that looks at a rebuilt strategy, and says so in the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from cl_engine.data.samples import Inputs

Predict = Callable[[Inputs], Iterable[Tensor]]  # samples [N, ...] -> scores [B, columns], batch by batch


class Evaluator(Protocol):
    """Measures what was kept after an experience; the loop asks each of a stream's evaluators."""

    def facts(self, predict: Predict, experience: int, exposed: int) -> dict[str, Any]:
        """Return what the experience's record says, as plain data.

        Args:
            predict: gives the scores of test samples, one column for each class that the strategy has grown for.
            experience: the experience that goes on or has just ended.
            exposed: classes exposed so far.
        """

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the result says at the end, from the records of all experiences."""
