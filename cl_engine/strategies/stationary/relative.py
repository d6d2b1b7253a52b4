"""Relative representations: what is stored of a sample is how alike it is to fixed anchors."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples, sample_dtype
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.stationary.er import ER
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class Relative(ER):
    """Relative representations (Moschella et al., ICLR 2023) of a network that is trained as ``er``.

    A sample's representation is the cosine of its features with those of each anchor: it stays where it is under a
    rotation and a scale of the features, and not under a shift or a scale of single axes.  ``centre`` takes the
    mean of the anchors' features off both before.  With more anchors than features a vector only becomes longer.

    Anchors are samples of the first experience, drawn uniformly (online: the first that come); they are kept as
    they are, in the ledger of kind ``anchors``, and every model embeds them anew.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    anchors: Tensor
    _embedded: Tensor | None = None

    def __init__(
        self,
        *,
        count: Annotated[
            int, Field(ge=1, le=10**6, description="anchors, as many as the first experience has samples at most")
        ] = 500,
        centre: Annotated[bool, Field(description="take the anchors' mean off all features")] = False,
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(**options)
        self.count, self.centre = count, centre

    def begin(self, task: Task) -> None:
        """Begin as ``er`` does, without anchors."""
        super().begin(task)
        self._embedded = None
        if task.index == 0:
            none = torch.empty(0, *task.shape, dtype=sample_dtype(task.shape), device=task.device)
            self.hold("anchors", none, kind="anchors")

    def learn(self, task: Task, samples: Samples) -> None:
        """In the first experience choose anchors, before exemplars share what a budget leaves; learn as ``er``."""
        missing = self.count - len(self.anchors)
        if task.index == 0 and missing > 0:
            chosen = torch.randperm(len(samples), generator=task.generator("anchors"))[:missing]
            self.anchors = torch.cat([self.anchors, samples.rows(chosen.to(samples.y.device))])
        super().learn(task, samples)
        self._embedded = None

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return the cosines with all anchors, ``[B, anchors]``, in batches."""
        if self._embedded is None:
            self._embedded = self.frozen_features(self.anchors)
        return relative(self.frozen_features(x), self._embedded, self.centre)


def relative(features: Tensor, anchors: Tensor, centre: bool = False) -> Tensor:
    """Return the cosines of features ``[B, D]`` with the features ``[A, D]`` of anchors, ``[B, A]``.

    >>> relative(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    tensor([[1., 0.]])
    """
    if centre:
        features, anchors = features - anchors.mean(0), anchors - anchors.mean(0)
    return F.normalize(features) @ F.normalize(anchors).T
