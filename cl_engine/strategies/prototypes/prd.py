"""PRD: prototypes follow their classes while the encoder moves."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.losses import prototype_alignment, relation_distillation, supervised_contrastive
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.prototypes import Prototypes
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class PRD(Strategy):
    """Prototype-sample relation distillation (Asadi et al., ICML 2023), as the paper states it; holds no sample.

    The encoder learns by contrast of two views; a prototype is drawn to its class and moves nothing else; old
    prototypes keep to the batch the relations that the old encoder and the old prototypes had to it.  The views are
    those of ``training.augmentation``; the released recipe is ``prd``, and without any the two are equal.
    """

    model: Prototypes

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        attraction: Annotated[float, Field(ge=0, description="weight of the prototype loss, alpha")] = 2.0,
        relation: Annotated[float, Field(ge=0, description="weight of the relation distillation, beta")] = 4.0,
        temperature: Annotated[float, Field(gt=0, description="tau of the contrast and of the relations")] = 0.1,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width of the projection")] = 128,
    ) -> None:
        super().__init__()
        self.backbone, self.projection = backbone, projection
        self.attraction, self.relation, self.temperature = attraction, relation, temperature

    def begin(self, task: Task) -> None:
        """Build encoder, projection and prototypes; add a row for each new class."""
        if task.index == 0:
            generator = task.generator("backbone")
            self.model = Prototypes(
                self.backbone, self.projection, task.shape, generator, task.device, task.normalisation
            )
        self.model.prototypes.grow(task.seen_classes, task.generator("prototypes"))

    def learn(self, task: Task, samples: Samples) -> None:
        """Minimise the three losses on two views of each sample; prototypes without momentum or decay."""
        groups: list[dict[str, Any]] = [
            {"params": [*self.model.encoder.parameters(), *self.model.project.parameters()]},
            {"params": [self.model.prototypes.weight], "momentum": 0.0, "weight_decay": 0.0},
        ]
        loss = partial(self.loss, teacher=task.teacher(self.model), old=task.old_classes)
        fit(self.model, samples, task, loss, views=2, groups=groups)

    def loss(self, batch: Samples, teacher: Prototypes | None, old: int) -> Tensor:
        """``L_SC + alpha L_p + beta L_d`` over both views, a scalar."""
        features, rows = self.model.encode(batch.x), self.model.prototypes.weight
        loss = supervised_contrastive(self.model.project(features), batch.y, self.temperature)
        loss = loss + self.attraction * prototype_alignment(rows, features, batch.y)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = teacher.encode(batch.x)
        kept = relation_distillation(
            features, rows[:old], before, teacher.prototypes.weight[:old], self.temperature
        )
        return loss + self.relation * kept

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return encoder features ``[B, D]``, in batches."""
        return torch.cat([self.model.encode(part) for part in torch.split(x, 1024)])

    def predict(self, x: Tensor) -> Tensor:
        """Return the cosine of features and prototypes, ``[B, classes]``."""
        cosines: Tensor = self.model(x)
        return cosines
