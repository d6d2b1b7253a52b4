"""RanPAC's head: ridge regression on normal random features, with a penalty searched for in each experience."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.spectrum import Spectrum
from cl_engine.statistics.sufficient.sums import Sums
from cl_engine.strategies.closed_form.analytic import Analytic
from cl_engine.strategies.closed_form.buffer import Draw, ProjectionOption, WidthOption
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task

CANDIDATES = [10.0**k for k in range(-8, 9)]
TRAINED = 0.8  # of an experience, in its order of delivery; the rest validates


class RanPAC(Analytic):
    """RanPAC without its first phase (McDonnell et al., NeurIPS 2023): ridge on ``ReLU(f(x) A)``, A of N(0, 1).

    ``ridge: search`` is the paper's: the penalty among 10^-8 ... 10^8 that, fitted to the first 80 % of an
    experience, has the least squared error on the rest; held, 8 bytes, until the next one.  It is found from sums
    by one eigendecomposition; penalties below the rounding of the largest eigenvalue, which the released code tries
    in float32, are left out.  Online each micro-batch is divided so, and the search comes at the experience's end;
    until the first one the penalty is 1.  Everything is float64 where the released code is float32.

    The paper has 10,000 random features and first adapts its backbone; here the width is smaller by default, and
    ``backbone`` says what f is.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    draw: ClassVar[Draw] = "normal"
    found: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: WidthOption = 1000,
        projection: ProjectionOption = None,
        ridge: Annotated[
            Literal["search"] | Annotated[float, Field(gt=0)],
            Field(description="search: the penalty that validates best in each experience; or a number"),
        ] = "search",
    ) -> None:
        super().__init__(backbone, width, 1.0 if ridge == "search" else float(ridge), projection)
        self.searches = ridge == "search"

    def begin(self, task: Task) -> None:
        """Begin as its relatives do; the penalty that is searched for is held."""
        super().begin(task)
        if task.index == 0 and self.searches:
            penalty = torch.full((1,), self.gamma, dtype=torch.float64, device=task.device)
            self.hold("found", penalty, kind="statistics")

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the sums, and to those of the search."""
        if not self.searches:
            super().learn(task, samples)
            return
        self.charge_batch(task, samples, self.size)
        fitted, validated = self._divided(task)
        if task.dry:
            return
        cut, start = int(TRAINED * len(samples)), 0
        for batch in samples.batches(CHUNK):
            phi, rows = self.features(batch.x), max(0, cut - start)
            fitted.add(phi[:rows], batch.y[:rows])
            validated.add(phi[rows:], batch.y[rows:])
            if task.online:
                self.sums.add(phi, batch.y)
            start += len(batch)
        if not task.online:  # all there is: what was summed once need not be summed again
            for part in (fitted, validated):
                self.sums.merge(part)
        self._solved = None

    def end(self, task: Task) -> None:
        """Search for the penalty."""
        if not self.searches or task.dry:
            return
        fitted, validated = self._divided(task)
        if not (fitted.counts.any() and validated.counts.any()):
            return
        self.found.fill_(best_penalty(fitted.spectrum(), validated))
        self._solved = None

    def ridge(self) -> float:
        """Return the penalty as it is now."""
        return float(self.found) if self.searches else self.gamma

    def _divided(self, task: Task) -> tuple[Sums, Sums]:
        """Return the experience's own sums, which are gone after it: over what fits, and over what validates."""

        def make() -> tuple[Sums, Sums]:
            fitted, validated = (Sums.empty(self.size, task.seen_classes, device=task.device) for _ in range(2))
            return fitted, validated

        return task.keep("search", make)


def best_penalty(path: Spectrum, validated: Sums) -> float:
    """Return the candidate whose weights have the least squared error on validation samples."""
    candidates = [gamma for gamma in CANDIDATES if gamma > path.least] or CANDIDATES[-1:]
    losses = [float(validated.loss(path.weights(gamma))) for gamma in candidates]
    return candidates[losses.index(min(losses))]
