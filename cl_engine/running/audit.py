"""``memory.audit: rebuild``: every experience is learned and evaluated by a strategy rebuilt from what was held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Set
from typing import Protocol

import torch
from torch import Tensor

from cl_engine.data.samples import Inputs, Samples
from cl_engine.evaluation.evaluator import Predictor
from cl_engine.evaluation.observing import observe
from cl_engine.evaluation.prediction import predicted
from cl_engine.memory.state import HeldState
from cl_engine.running.learning import Learned, learn
from cl_engine.running.lost import explained
from cl_engine.scenarios.delivery import Delivery
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.task import Once

Snapshot = Callable[[int, HeldState], None]


class Audit(Protocol):
    """Who learns and who predicts; nothing but what was held goes from one to the next."""

    def learn(
        self,
        index: int,
        held: HeldState | None,
        samples: Samples,
        delivery: Delivery,
        snapshot: Snapshot,
        progress: Callable[[str], None] | None,
    ) -> Learned:
        """Learn experience ``index``; see :func:`cl_engine.running.learning.learn`."""

    def predictor(self, index: int, held: HeldState) -> Predictor:
        """Return what predicts by what was held, during or after experience ``index``."""

    def close(self) -> None:
        """End what was started for the run."""


class RebuildAudit:
    """Learns and predicts in this process, each time with an object of its own; arguments as of ``learn``."""

    def __init__(self, rebuilder: Rebuilder, once: Once | None = None, analyses: Collection[str] = ()) -> None:
        self.rebuilder, self.once, self.analyses = rebuilder, once, analyses
        self.lost: set[str] = set()

    def learn(
        self,
        index: int,
        held: HeldState | None,
        samples: Samples,
        delivery: Delivery,
        snapshot: Snapshot,
        progress: Callable[[str], None] | None,
    ) -> Learned:
        """Learn experience ``index``; see :func:`cl_engine.running.learning.learn`."""
        with explained(self.lost):
            told = (snapshot, progress, self.lost, self.once, self.analyses)
            return learn(self.rebuilder, index, held, samples, delivery, *told)

    def predictor(self, index: int, held: HeldState) -> RebuiltPredictor:
        """Return a strategy rebuilt as it stands after experience ``index``."""
        with explained(self.lost):
            return RebuiltPredictor(self.rebuilder, index, held, self.lost)

    def close(self) -> None:
        """End what was started for the run: nothing."""


class RebuiltPredictor:
    """Predicts with a rebuilt strategy, which is thrown away afterwards."""

    def __init__(self, rebuilder: Rebuilder, index: int, held: HeldState, lost: Set[str]) -> None:
        self.strategy, self.index, self.lost = rebuilder.rebuilt(index + 1, held), index, lost
        self.held = held
        self.columns = rebuilder.terms.exposures[index].seen_classes
        self.device = torch.device(rebuilder.terms.device)

    def __call__(self, x: Inputs) -> Iterator[Tensor]:
        """Yield scores ``[B, classes seen]``."""
        with explained(self.lost):
            yield from predicted(self.strategy, x, self.columns, self.device, self.index)

    def observe(self, what: str, x: Inputs) -> dict[str, Tensor]:
        """Return what :func:`cl_engine.evaluation.observing.observe` finds."""
        with explained(self.lost):
            return observe(self.strategy, what, x, self.device)

    @property
    def notes(self) -> list[str]:
        """Remarks of the strategy so far."""
        return [str(note) for note in self.strategy.notes]
