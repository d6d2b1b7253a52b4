"""MixBCT: the classifier sees old features among the new ones."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.metrics.nearest import fitted
from cl_engine.strategies.stationary.er import EROptions, LearnableNetwork
from cl_engine.strategies.stationary.succeeding import Succeeding
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class MixBCT(Succeeding):
    """MixBCT (Liang et al., 2023): in each batch features of the model before take the place of some new ones.

    There is no other term than the cross-entropy of the mixed batch: the classifier has to tell the classes apart
    in both spaces at once.  As many rows as ``mix_ratio`` of a batch are replaced, chosen at random among those
    whose old feature is credible: within the ``credible`` share of its class that is nearest to the class's centre
    (:func:`class_bounds`), as the model before embeds samples and exemplars when the experience begins.

    The released code stores an old feature of each training image, of length 1, before an ArcFace classifier that
    divides by lengths anyway, and scales the columns of all of them to length 1 before it looks for credible ones.
    Here the classifier is that of ``er``, so that old features keep their lengths; they are made of the batch
    itself, as it is augmented, by a copy of the model before; and columns are as they are.  Online the centres are
    of the exemplars and the first micro-batch.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        mix_ratio: Annotated[
            float, Field(ge=0, le=1, description="share of a batch whose features are replaced by old ones")
        ] = 0.3,
        credible: Annotated[
            float, Field(gt=0, le=1, description="share of each class, the nearest to its centre, that may be")
        ] = 0.9,
        **options: Unpack[EROptions],
    ) -> None:
        super().__init__(**options)
        self.mix_ratio, self.credible = mix_ratio, credible

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train on features of both models."""
        loss, teacher = self.loss, self.predecessor(task)
        if teacher is not None:
            centres, bounds = self.old_bounds(task, samples, self.credible)
            draw = task.generator("mixture")
            loss = partial(self.mixed, teacher=teacher, centres=centres, bounds=bounds, draw=draw)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def mixed(
        self, batch: Samples, teacher: LearnableNetwork, centres: Tensor, bounds: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of a batch some of whose features are old, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the model before.
            centres: of the classes by it, ``[C, D]``.
            bounds: the cosine from which on a feature is credible, ``[C]``.
            draw: a CPU generator.
        """
        features = self.embedded(self.network, batch.x)
        with torch.no_grad():
            old = self.embedded(teacher, batch.x)
            credible = (F.normalize(old) * centres[batch.y]).sum(1) >= bounds[batch.y]
        replaced = chosen(credible, int(self.mix_ratio * len(credible)), draw)
        mixed = fitted(old, features.shape[1]).where(replaced[:, None], features)
        return self.classified(mixed, batch.y)


def chosen(allowed: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Return which rows are chosen at random, bool ``[B]``: so many of those allowed, or all of them.

    >>> chosen(torch.tensor([True, False, True]), 2, torch.Generator().manual_seed(0))
    tensor([ True, False,  True])
    """
    place = torch.rand(len(allowed), generator=draw).to(allowed.device) + ~allowed
    return allowed & (place.argsort().argsort() < count)
