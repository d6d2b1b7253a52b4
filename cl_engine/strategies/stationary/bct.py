"""BCT: backward-compatible training, the old classifier judges the new features."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.metrics.nearest import fitted
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.stationary.er import ER
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class BCT(ER):
    """Backward-compatible training (Shen et al., CVPR 2020): ``CE(new classifier) + influence CE(old classifier)``.

    The second term is the cross-entropy of the same features under the classifier as it was when the experience
    began, over the samples of classes that it knows; samples of new classes are not in it.  Features are not
    normalised, both softmaxes are plain, and the weight is 1, as in openBCT.  There, and in the paper, the new
    model is trained anew on data that holds the old; here it goes on from the old one, with exemplars.

    The old classifier, classes times features, exists only while an experience is learned.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    _before: Tensor | None = None

    def __init__(
        self,
        *,
        influence: Annotated[
            float, Field(ge=0, le=1e9, description="weight lambda of the cross-entropy under the old classifier")
        ] = 1.0,
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(**options)
        self.influence = influence

    def begin(self, task: Task) -> None:
        """Begin as ``er`` does; remember the classifier, as a model that is received brings none."""
        self._before = self.network.head.weight.detach().clone() if task.index else None
        super().begin(task)

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the classifier as it was when the experience began."""
        before = self.network.head.weight.detach()[:0] if self._before is None else self._before
        old = task.keep("old classifier", lambda: before)
        fit(self.network, samples, task, partial(self.influenced, old=old), memory=self.memory, mix=self.mix)

    def influenced(self, batch: Samples, old: Tensor) -> Tensor:
        """Return ``CE + lambda CE(old classifier)``, a scalar.

        Args:
            batch: new samples and exemplars.
            old: the old classifier ``[old classes, D]``.
        """
        features = batch.x if self._on_features else self.network.features(batch.x)
        loss = self.cross_entropy(self.network.head(features), batch.y)
        return loss + self.influence * influence_loss(features, old, batch.y)


def influence_loss(features: Tensor, old: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy under an old classifier, over the rows whose class it knows; 0 over none.

    Args:
        features: ``[B, D]`` of the new model; its first columns where the old classifier is narrower, zeros after
            them where it is wider.
        old: weights ``[C, D]`` of classes 0 to C - 1, a constant.
        y: int64 ``[B]``.

    >>> import torch
    >>> influence_loss(torch.zeros(3, 4), torch.ones(2, 4), torch.tensor([0, 1, 2]))  # log 2
    tensor(0.6931)
    """
    known = y < len(old)
    if not len(old):
        features, y, known = features[:0], y[:0], known[:0]
    # every row has scores, so that what is kept for the backward pass does not depend on the labels
    scores = fitted(features, old.shape[1]) @ old.detach().T
    return F.cross_entropy(scores, y.where(known, -100), reduction="sum") / known.sum().clamp(min=1)
