"""What looks at a rebuilt strategy, and says so in the record: evaluators, and diagnostics that look deeper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from cl_engine.data.samples import Inputs
from cl_engine.memory.state import HeldState

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


class Predictor(Protocol):
    """A strategy as it was rebuilt from what was held; maps test samples ``[N, ...]`` to scores, batch by batch.

    Attributes:
        held: what it was rebuilt from.
    """

    held: HeldState

    @property
    def notes(self) -> list[str]:
        """Remarks of the strategy so far."""

    def __call__(self, x: Inputs) -> Iterator[Tensor]:
        """Yield scores ``[B, classes seen]``."""

    def observe(self, what: str, x: Inputs) -> dict[str, Tensor]:
        """Return tensors by name, on the CPU: what :func:`cl_engine.evaluation.observing.observe` finds."""


class Diagnostic(Protocol):
    """Looks into what was kept after an experience; changes nothing, and is no part of training or prediction."""

    def facts(
        self, now: Predictor, before: Callable[[], Predictor], experience: int, exposed: int
    ) -> dict[str, Any]:
        """Return what the experience's record says, as plain data.

        Args:
            now: what was kept after the experience.
            before: makes what was kept before it; not to be called in the first one.
            experience: the experience that has just ended.
            exposed: classes exposed so far.
        """

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take note of the record of an experience; all of them in order, those of an earlier process too."""

    def summary(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the result says at the end, from the records of all experiences."""
