"""RanPAC's head: ridge regression on normal random features, with a penalty searched for in each experience."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

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


class Divided(NamedTuple):
    """Sums over the samples of an experience that the weights of the search are fitted to, and over the others."""

    fitted: Sums
    validated: Sums

    def add(self, phi: Tensor, y: Tensor, start: int, total: int) -> None:
        """Add samples ``[B, d]`` that follow ``start`` others of an experience of ``total``."""
        rows = max(0, int(TRAINED * total) - start)
        self.fitted.add(phi[:rows], y[:rows])
        self.validated.add(phi[rows:], y[rows:])


class Delivered:
    """The features of an experience, as they came online, and how many rows they are."""

    def __init__(self) -> None:
        self.parts, self.rows = list[Samples](), 0

    def add(self, part: Samples) -> None:
        """Add a micro-batch."""
        self.parts.append(part)
        self.rows += len(part)


class RanPAC(Analytic):
    """RanPAC without its first phase (McDonnell et al., NeurIPS 2023): ridge on ``ReLU(f(x) A)``, A of N(0, 1).

    ``ridge: search`` is the paper's: the penalty among 10^-8 ... 10^8 that, fitted to the first 80 % of an
    experience, has the least squared error on the rest; held, 8 bytes, until the next one.  It is found from sums
    by one eigendecomposition; penalties below the rounding of the largest eigenvalue, which the released code tries
    in float32, are left out.  Online the features of an experience exist until its end, when the search comes;
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
        """Add the samples to the sums, and to what is searched."""
        if not self.searches:
            super().learn(task, samples)
            return
        self.charge_batch(task, samples, self.size)
        if task.online:
            self._learn_online(task, samples)
            return
        divided = self._divided(task)
        if task.dry:
            return
        start = 0
        for batch in samples.batches(CHUNK):
            divided.add(self.features(batch.x), batch.y, start, len(samples))
            start += len(batch)
        for part in (divided.fitted, divided.validated):  # what was summed once need not be summed again
            self.sums.merge(part)
        self._solved = None

    def _learn_online(self, task: Task, samples: Samples) -> None:
        delivered: Delivered = task.keep("delivered", Delivered)
        features = torch.zeros(len(samples), self.inputs_width, device=task.device)
        if not task.dry:
            features = self.backbone_features(samples.x).float()
            self.sums.add(self.expand(features.double()), samples.y)
        delivered.add(Samples(features, samples.y))
        task.charge("delivered", delivered.rows * (4 * self.inputs_width + 8))
        self._solved = None

    def end(self, task: Task) -> None:
        """Search for the penalty."""
        if not self.searches:
            return
        delivered: Delivered = task.keep("delivered", Delivered)  # nothing offline
        divided = self._divided(task)
        if task.dry:
            return
        start = 0
        for part in delivered.parts:
            divided.add(self.expand(part.x.double()), part.y, start, delivered.rows)
            start += len(part)
        if divided.fitted.counts.any() and divided.validated.counts.any():
            self.found.fill_(best_penalty(divided.fitted.spectrum(), divided.validated))
            self._solved = None

    def cannot_merge(self) -> str | None:
        """The penalty was found from samples."""
        if self.searches:
            return "ridge: search found its penalty from samples; allowed: a number"
        return super().cannot_merge()

    def _divided(self, task: Task) -> Divided:
        """Return the experience's own sums, which are gone after it."""

        def make() -> Divided:
            fitted, validated = (Sums.empty(self.size, task.seen_classes, device=task.device) for _ in range(2))
            return Divided(fitted, validated)

        return task.keep("search", make)

    def ridge(self) -> float:
        """Return the penalty as it is now."""
        return float(self.found) if self.searches else self.gamma


def best_penalty(path: Spectrum, validated: Sums) -> float:
    """Return the candidate whose weights have the least squared error on validation samples."""
    candidates = [gamma for gamma in CANDIDATES if gamma > path.least] or CANDIDATES[-1:]
    losses = [float(validated.loss(path.weights(gamma))) for gamma in candidates]
    return candidates[losses.index(min(losses))]
