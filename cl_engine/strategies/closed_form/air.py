"""AIR: every class weighs the same, however many samples it has."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.solving import solve
from cl_engine.statistics.sufficient.symmetric import add_gram, packed_length
from cl_engine.strategies.additive import Additive
from cl_engine.strategies.closed_form.analytic import GammaOption
from cl_engine.strategies.closed_form.buffer import ProjectionOption, WidthOption
from cl_engine.strategies.closed_form.projected import Projected
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class AIR(Projected, Additive):
    """AIR (Fang et al., 2024): ridge regression in which a sample of class c weighs ``C / (n_c sum_j 1/n_j)``.

    The weights change with every sample, so each class has a Gram matrix of its own: C of them, as a triangle
    ``d (d + 1) / 2`` each, half of what the released code holds.  With equal counts this is ACIL.

    C is the number of classes that have samples.  The released code takes the highest label so far + 1 instead
    (``counts: released``), which scales the data against gamma; here labels are numbered in order of exposure, so
    that the two differ only while a class of the experience has not come up.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    by_class: ClassVar[tuple[str, ...]] = ("grams", "cross", "counts")
    over_all: ClassVar[tuple[str, ...]] = ()
    grams: Tensor
    cross: Tensor
    counts: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        width: WidthOption = 1000,
        gamma: GammaOption = 0.1,
        projection: ProjectionOption = None,
        counts: Annotated[
            Literal["seen", "released"],
            Field(description="C: classes that have samples, or the highest label so far + 1 (the released code)"),
        ] = "seen",
    ) -> None:
        super().__init__(backbone, width, projection)
        self.gamma, self.counted = gamma, counts
        self._solved: Tensor | None = None

    def begin(self, task: Task) -> None:
        """Rebuild backbone and buffer; add a Gram matrix and a row of Q for each new class."""
        super().begin(task)
        if task.index == 0:
            empty = torch.zeros(0, dtype=torch.float64, device=task.device)
            self.hold("grams", empty.view(0, packed_length(self.size)), kind="statistics")
            self.hold("cross", empty.view(0, self.size), kind="statistics")
            self.hold("counts", empty.long(), kind="statistics")
        more = task.seen_classes - len(self.counts)
        for name in ("grams", "cross", "counts"):
            rows = getattr(self, name)
            setattr(self, name, torch.cat([rows, rows.new_zeros(more, *rows.shape[1:])]))
        self._solved = None

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the sums of their classes."""
        self.charge_batch(task, samples, self.size)
        if task.dry:
            return  # the sums have their size already
        for batch in samples.batches(CHUNK):
            phi = self.features(batch.x)
            self.cross.index_add_(0, batch.y, phi)
            for c in torch.unique(batch.y).tolist():
                add_gram(self.grams[c], phi[batch.y == c])
        self.counts += torch.bincount(samples.y, minlength=len(self.counts))
        self._solved = None

    def subtract(self, phi: Tensor, y: Tensor) -> None:
        """Subtract features from the sums of their classes."""
        self.cross.index_add_(0, y, phi, alpha=-1)
        for c in torch.unique(y).tolist():
            add_gram(self.grams[c], phi[y == c], -1)
        self.counts -= torch.bincount(y, minlength=len(self.counts))

    def readout(self) -> Tensor:
        """Return W."""
        return self.weights()

    def class_weights(self) -> Tensor:
        """Return how much a sample of each class weighs, float64 ``[C]``; 0 without samples."""
        present = self.counts > 0
        inverse = torch.where(present, 1 / self.counts.clamp(min=1).double(), 0.0)
        classes = present.nonzero().max() + 1 if self.counted == "released" and present.any() else present.sum()
        return inverse * classes / inverse.sum().clamp(min=torch.finfo(torch.float64).tiny)

    def predict(self, x: Tensor) -> Tensor:
        """Return ridge scores ``[B, classes]``."""
        if self._solved is None:
            self._solved = self.weights()
        return self.features(x) @ self._solved

    def weights(self) -> Tensor:
        """Return W, float64 ``[d, classes]``."""
        weight = self.class_weights()
        return self.checked(solve(weight @ self.grams, self.cross.T * weight, self.gamma), self.gamma)
