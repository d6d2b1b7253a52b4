"""BCT: backward-compatible training, by the old classifier or by contrast with old features."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import backward_contrastive
from cl_engine.metrics.nearest import fitted
from cl_engine.strategies.stationary.er import EROptions, LearnableNetwork
from cl_engine.strategies.stationary.succeeding import Succeeding
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class BCT(Succeeding):
    """Backward-compatible training (Shen et al., CVPR 2020): ``CE(new classifier) + influence * term``.

    With ``form: classifier`` the term is the cross-entropy of the same features under the classifier as it was when
    the experience began, over the samples of classes that it knows; samples of new classes are not in it.  Features
    are not normalised, both softmaxes are plain, and the weight is 1, as in openBCT.  There, and in the paper, the
    new model is trained anew on data that holds the old; here it goes on from the old one, with exemplars.

    ``contrastive`` and ``ract`` contrast the features of all samples with those of the model before
    (:func:`cl_engine.losses.backward_contrastive`).  ``ract`` is the regression-alleviating term of Zhang et al.
    (ICLR 2022): new features of other classes are negatives too, so that a new query prefers no wrong new item to a
    right old one.  Temperature and weight are those of the released code (OpenCompatible).  Where a received model
    has features of another width, its first values are contrasted, or zeros stand after them.

    While an experience is learned there is the old classifier, classes times features, or the model before.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        form: Annotated[
            Literal["classifier", "contrastive", "ract"],
            Field(
                description="the old classifier judges new features; or these are contrasted with old ones, with "
                "ract with new ones of other classes as well"
            ),
        ] = "classifier",
        influence: Annotated[
            float, Field(ge=0, le=1e9, description="weight lambda of what keeps new features compatible")
        ] = 1.0,
        temperature: Annotated[float, Field(gt=0, le=1e9, description="tau of the contrast")] = 0.01,
        **options: Unpack[EROptions],
    ) -> None:
        super().__init__(**options)
        self.form, self.influence, self.temperature = form, influence, temperature

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the classifier, or beside the model, as it was when the experience began."""
        loss = self.loss
        if self.form == "classifier":
            old = task.keep("old classifier", lambda: self._old_rows(task))
            loss = partial(self.influenced, old=old)
        elif (teacher := self.predecessor(task)) is not None:
            loss = partial(self.contrasted, teacher=teacher)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def influenced(self, batch: Samples, old: Tensor) -> Tensor:
        """Return ``CE + lambda CE(old classifier)``, a scalar.

        Args:
            batch: new samples and exemplars.
            old: the old classifier ``[old classes, D]``.
        """
        features = self.embedded(self.network, batch.x)
        loss = self.classified(features, batch.y)
        return loss + self.influence * influence_loss(features, old, batch.y)

    def contrasted(self, batch: Samples, teacher: LearnableNetwork) -> Tensor:
        """Return ``CE + lambda contrast``, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the model before.
        """
        features = self.embedded(self.network, batch.x)
        with torch.no_grad():
            old = self.embedded(teacher, batch.x)
        compared = fitted(features, old.shape[1])
        contrast = backward_contrastive(compared, old, batch.y, self.temperature, self.form == "ract")
        return self.classified(features, batch.y) + self.influence * contrast

    def _old_rows(self, task: Task) -> Tensor:
        return self.before().head.weight.detach()[: task.old_classes].clone()


def influence_loss(features: Tensor, old: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy under an old classifier, over the rows whose class it knows; 0 over none.

    Args:
        features: ``[B, D]`` of the new model; its first columns where the old classifier is narrower, zeros after
            them where it is wider.
        old: weights ``[C, D]`` of classes 0 to C - 1, a constant.
        y: int64 ``[B]``.

    >>> influence_loss(torch.zeros(3, 4), torch.ones(2, 4), torch.tensor([0, 1, 2]))  # log 2
    tensor(0.6931)
    """
    known = y < len(old)
    if not len(old):
        features, y, known = features[:0], y[:0], known[:0]
    # every row has scores, so that what is kept for the backward pass does not depend on the labels
    scores = fitted(features, old.shape[1]) @ old.detach().T
    return F.cross_entropy(scores, y.where(known, -100), reduction="sum") / known.sum().clamp(min=1)
