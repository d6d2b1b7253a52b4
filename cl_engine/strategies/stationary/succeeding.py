"""A learner that can ask the model whose place it takes."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models.heads import UnbiasedHead
from cl_engine.models.teacher import frozen_copy
from cl_engine.strategies.stationary.er import ER, LearnableNetwork
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.loop import decoded

ROUNDING = 1e-9  # 30 % of 50 are 15, which 50 * 0.3 exceeds in some precisions


class Succeeding(ER):
    """ER that knows the model before: the one that embedded what a service has stored.

    It is the network as it was when the experience began; where a model is received, the one whose place that
    takes.  There is none in the first experience.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    _replaced: tuple[LearnableNetwork, ...] = ()  # a module in a plain attribute would be held

    def begin(self, task: Task) -> None:
        """Begin as ``er`` does; remember the network that a received model takes the place of."""
        self._replaced = (self.network,) if task.index and task.received is not None else ()
        super().begin(task)

    def learn(self, task: Task, samples: Samples) -> None:
        """Learn as ``er`` does."""
        super().learn(task, samples)
        self._replaced = ()  # whoever needs it has kept it

    def before(self) -> LearnableNetwork:
        """Return the model before, which may be the network itself: ask until training begins."""
        return self._replaced[0] if self._replaced else self.network

    def predecessor(self, task: Task) -> LearnableNetwork | None:
        """Return a frozen copy of the model before, for its features; None in the first experience.

        It is charged as ``teacher``, without a classifier.
        """
        if not task.index:
            return None

        def made() -> LearnableNetwork:
            copy = frozen_copy(self.before())
            copy.head = UnbiasedHead(copy.backbone.features)
            return copy

        return task.keep("teacher", made)

    def old_bounds(self, task: Task, samples: Samples, share: float) -> tuple[Tensor, Tensor]:
        """Return :func:`class_bounds` by the model before of samples and exemplars, before training begins.

        They are charged as ``class centres``, and the features that they are made of as ``old features``.
        """
        return task.keep("class centres", lambda: self._bounded(task, samples, share))

    @torch.no_grad()
    def _bounded(self, task: Task, samples: Samples, share: float) -> tuple[Tensor, Tensor]:
        network, parts = self.before(), [samples, decoded(self.memory, task)]

        def embedded(x: Tensor) -> Tensor:
            return torch.cat([self.embedded(network, rows) for rows in torch.split(x, 1024)])

        features = torch.cat([self.through(task, part, embedded) for part in parts if len(part)])
        task.charge("old features", bytes_of(features))
        return class_bounds(features, torch.cat([part.y for part in parts]), task.seen_classes, share)


def class_bounds(features: Tensor, y: Tensor, classes: int, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the unit centre of each class, ``[C, D]``, and the cosine that this share of it reaches, ``[C]``.

    A centre is the mean of the class's unit features, of length 1.  With a share of 1 the bound is the least cosine
    of a sample with its own centre (LCE); with 0.9 the 90 % nearest ones, rounded up, are within it.  A class
    without samples has a centre of zeros and an infinite bound.

    Args:
        features: ``[N, D]``.
        y: int64 ``[N]``.
        classes: C.
        share: above 0, at most 1.

    >>> features, y = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1, 1])
    >>> centres, bounds = class_bounds(features, y, classes=3)
    >>> centres.tolist(), bounds.tolist()
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [1.0, 1.0, inf])
    """
    unit = F.normalize(features)
    centres = F.normalize(unit.new_zeros(classes, unit.shape[1]).index_add_(0, y, unit))
    cosines = (unit * centres[y]).sum(1)
    order = cosines.argsort(descending=True, stable=True)
    order = order[y[order].argsort(stable=True)]  # class by class, the nearest first
    counts = torch.bincount(y, minlength=classes)
    within = (counts.double() * share - ROUNDING).ceil().long().clamp(min=1)
    last = counts.cumsum(0) - counts + within - 1
    bounds = torch.full_like(centres[:, 0], math.inf)
    present = counts > 0
    bounds[present] = cosines[order][last[present]]
    return centres, bounds
