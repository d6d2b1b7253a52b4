"""AEF-OCL: pseudo features make up for the samples that rare classes lack."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.sums import Sums
from cl_engine.strategies.closed_form.analytic import Analytic, GammaOption
from cl_engine.strategies.closed_form.buffer import ProjectionOption, WidthOption
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class AEFOCL(Analytic):
    """AEF-OCL (Zhuang et al., 2024): ACIL on classes that pseudo features fill up to the most frequent one.

    Beside ACIL's sums it holds the sum and the sum of squares of the backbone's features of each class.  When a
    prediction is asked for, every class gets as many normal draws of its mean and deviation as it has samples fewer
    than the largest class; they go through the buffer into a copy of the sums, which is solved and thrown away.  So
    a query costs as much as (classes x largest count) samples.

    The released code draws from the global generator; here the same draws come at every query, from the seed.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    by_class: ClassVar[tuple[str, ...]] = ("cross", "counts", "totals", "squares")
    totals: Tensor
    squares: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: WidthOption = 1000,
        gamma: GammaOption = 0.1,
        projection: ProjectionOption = None,
        noise: Annotated[
            float, Field(ge=0, allow_inf_nan=False, description="factor on the deviation of pseudo features")
        ] = 1.0,
    ) -> None:
        super().__init__(backbone, width, gamma, projection)
        self.noise = noise

    def begin(self, task: Task) -> None:
        """Begin as ACIL does; add a row of either sum for each new class."""
        super().begin(task)
        if task.index == 0:
            self.draws = task.generator("pseudo features").initial_seed()
            for name in ("totals", "squares"):
                empty = torch.zeros(0, self.inputs_width, dtype=torch.float64, device=task.device)
                self.hold(name, empty, kind="statistics")
        more = self.totals.new_zeros(task.seen_classes - len(self.totals), self.inputs_width)
        self.totals, self.squares = torch.cat([self.totals, more]), torch.cat([self.squares, more])

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to all sums."""
        self.charge_batch(task, samples, self.size)
        if task.dry:
            return  # the sums have their size already
        for batch in samples.batches(CHUNK):
            features = self.backbone_features(batch.x)
            self.totals.index_add_(0, batch.y, features)
            self.squares.index_add_(0, batch.y, features.square())
            self.sums.add(self.expand(features), batch.y)
        self._solved = None

    def take_away(self, samples: Samples) -> None:
        """Subtract the samples from all sums."""
        for batch in samples.batches(CHUNK):
            features = self.backbone_features(batch.x)
            self.totals.index_add_(0, batch.y, features, alpha=-1)
            self.squares.index_add_(0, batch.y, features.square(), alpha=-1)
            self.sums.subtract(self.expand(features), batch.y)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each class, ``[C, D]``; the deviation of a single sample is 0."""
        n = self.counts.clamp(min=1).double()[:, None]
        mean = self.totals / n
        variance = (self.squares / n - mean.square()).clamp(min=0)
        return mean, (variance * n / (n - 1).clamp(min=1)).sqrt()

    def weights(self) -> Tensor:
        """Return W of samples and pseudo features, float64 ``[d, classes]``."""
        filled = Sums(self.gram.clone(), self.cross.clone(), self.counts.clone())
        mean, deviation = self.moments()
        generator = torch.Generator().manual_seed(self.draws)
        lacking = (
            torch.where(self.counts > 0, self.counts.max() - self.counts, 0) if len(self.counts) else self.counts
        )
        for c, missing in enumerate(lacking.tolist()):
            for start in range(0, missing, CHUNK):
                rows = min(CHUNK, missing - start)
                noise = torch.randn(rows, self.inputs_width, dtype=torch.float64, generator=generator)
                features = mean[c] + self.noise * deviation[c] * noise.to(mean.device)
                filled.add(self.expand(features), torch.full((rows,), c, device=mean.device))
        return self.solved(filled)
