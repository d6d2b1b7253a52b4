"""CL2R: compatible lifelong learning representations, features distilled on the memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import feature_distillation
from cl_engine.strategies.coming import coming
from cl_engine.strategies.stationary.network import (
    StationaryNetwork,
    teacher_of,
)
from cl_engine.strategies.stationary.stationary import Stationary, StationaryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class CL2R(Stationary):
    """CL2R (Biondi, Pernici, Bruni, Mugnai, Del Bimbo, ACM TOMM 2023): d-simplex and feature distillation.

    The loss is ``CE + gamma * mean(1 - cos(z, z_old))``: the distillation is over the rehearsed samples of a batch
    alone, under the model as it was when the experience began.  ``gamma = distillation * sqrt(coming / old)``, as
    in the released code with its files' 5, where "coming" are the new classes; here those of the experience, so
    that one in which old classes return keeps to the old model too.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        distillation: Annotated[
            float, Field(ge=0, le=1e9, description="weight of the distillation before sqrt(coming / old classes)")
        ] = 5.0,
        **options: Unpack[StationaryOptions],
    ) -> None:
        super().__init__(**options)
        self.distillation = distillation

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        teacher = teacher_of(task, self.network) if task.old_classes else None
        loss: Callable[[Samples], Tensor] = self.loss
        if teacher is not None:
            gamma = self.distillation * (int(coming(task, samples).sum()) / task.old_classes) ** 0.5
            loss = partial(self.distilled, teacher=teacher, gamma=gamma)
        fit(self.network, samples, task, loss, memory=self.memory, mix=self.mix)

    def distilled(self, batch: Samples, teacher: StationaryNetwork, gamma: float) -> Tensor:
        """Return ``CE + gamma FD(rehearsed)``, a scalar.

        Args:
            batch: new samples and exemplars.
            teacher: the network before the experience.
            gamma: the weight.
        """
        z, old = self.embedded(self.network, batch.x), batch.rehearsed
        with torch.no_grad():
            before = self.embedded(teacher, batch.x[old])
        return self.simplex_cross_entropy(z, batch.y) + gamma * feature_distillation(z[old], before)
