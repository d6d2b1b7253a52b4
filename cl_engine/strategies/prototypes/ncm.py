"""Nearest class mean on frozen features."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.additive import Additive
from cl_engine.strategies.on_features import CHUNK
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class NCM(Additive):
    """Nearest class mean of frozen features; holds one sum and one count per class, no sample.

    Mensink et al., TPAMI 2013, with the Euclidean distance instead of a learned metric.  The classifier of iCaRL
    (Rebuffi et al., CVPR 2017) takes exemplars instead of all samples, and features of unit length.  Running sums
    are float64, so the result does not depend on the order of the samples.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    by_class: ClassVar[tuple[str, ...]] = ("sums", "counts")
    over_all: ClassVar[tuple[str, ...]] = ()
    sums: Tensor
    counts: Tensor

    def __init__(self, *, backbone: BackboneOption = "identity") -> None:
        super().__init__(backbone)

    def begin(self, task: Task) -> None:
        """Build the frozen backbone; add a row per new class."""
        super().begin(task)
        if task.index == 0:
            empty = torch.zeros(0, self.inputs_width, dtype=torch.float64, device=task.device)
            self.hold("sums", empty, kind="prototypes")
            self.hold("counts", torch.zeros(0, dtype=torch.int64, device=task.device), kind="statistics")
        new = task.seen_classes - len(self.counts)
        self.sums = torch.cat([self.sums, self.sums.new_zeros(new, self.sums.shape[1])])
        self.counts = torch.cat([self.counts, self.counts.new_zeros(new)])

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples' features to the sums of their classes."""
        if task.dry:
            return  # the sums have their size already
        for batch in samples.batches(CHUNK):
            self.sums.index_add_(0, batch.y, self.features(batch.x))
        self.counts += torch.bincount(samples.y, minlength=len(self.counts))

    def predict(self, x: Tensor) -> Tensor:
        """Return minus the distance to each class mean, ``-||f(x) - mu_c||``: ``[B, classes]``.

        It is minus infinity for a class without samples, such as one that comes later in an experience.
        """
        scores = torch.cdist(self.features(x), self.readout()).neg_()
        return scores.masked_fill_(self.counts == 0, -torch.inf)

    def subtract(self, phi: Tensor, y: Tensor) -> None:
        """Subtract features from the sums of their classes."""
        self.sums.index_add_(0, y, phi, alpha=-1)
        self.counts -= torch.bincount(y, minlength=len(self.counts))

    def readout(self) -> Tensor:
        """Return the class means, ``[C, D]``."""
        return self.sums / self.counts.clamp(min=1)[:, None]
