"""HOC: d-simplex and higher-order compatibility with the model before."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import higher_order_compatibility
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.stationary.network import (
    ReservedOption,
    StationaryNetwork,
    VerticesOption,
    teacher_of,
)
from cl_engine.strategies.stationary.stationary import Stationary
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

HocWeight = Annotated[
    float, Field(ge=0, le=1, description="lambda, the share of the cross-entropy; the rest is the contrastive term")
]


class HOC(Stationary):
    """d-Simplex-HOC (Biondi, Pernici, Ricci, Del Bimbo, CVPR 2024): stationary and compatible representations.

    The loss is ``lambda CE + (1 - lambda) HOC`` over all samples of a batch; HOC
    (:func:`cl_engine.losses.higher_order_compatibility`) contrasts z with that of the model as it was when the
    experience began, on the same augmented images.  As in the released code lambda is 0.1, the inverse temperature
    10, 1,024 classes are reserved and vertices are taken from the last one on.  Its published figures were trained
    with the denominator ``released``.

    As there, the first experience is taught by the model that it begins with where that is received (`replace`),
    and one that is received later is the teacher of its experience, not the model before it.  Without old classes
    and a received model there is cross-entropy alone.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        reserved: ReservedOption = 1024,
        vertices: VerticesOption = "last",
        share: HocWeight = 0.1,
        inverse_temperature: Annotated[
            float, Field(gt=0, le=1e6, description="mu, by which cosines are multiplied")
        ] = 10.0,
        hoc_denominator: Annotated[
            Literal["released", "infonce"],
            Field(description="of the contrastive term: that of the released code, or that of InfoNCE"),
        ] = "released",
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(reserved=reserved, vertices=vertices, **options)
        self.share, self.inverse_temperature = share, inverse_temperature
        self.denominator: Literal["released", "infonce"] = hoc_denominator

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        teacher = teacher_of(task, self.network)
        loss = self.loss if teacher is None else partial(self.compatible, teacher=teacher)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def compatible(self, batch: Samples, teacher: StationaryNetwork) -> Tensor:
        """Return ``lambda CE + (1 - lambda) HOC``, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the network before the experience.
        """
        z = self.embedded(self.network, batch.x)
        with torch.no_grad():
            before = self.embedded(teacher, batch.x)
        contrast = higher_order_compatibility(z, before, batch.y, self.inverse_temperature, self.denominator)
        return self.share * self.simplex_cross_entropy(z, batch.y) + (1 - self.share) * contrast
