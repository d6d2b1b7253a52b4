"""PRD: prototypes follow their classes while the encoder moves; no sample is stored."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_engine.data.samples import Samples
from cl_engine.losses import prototype_alignment, relation_distillation, supervised_contrastive
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.prototypes import Prototypes, projection_head
from cl_engine.strategies.strategy import BudgetDecides, Strategy
from cl_engine.terms.task import Task
from cl_engine.training.loop import Groups, fit

BASE_TEMPERATURE = 0.07  # the released code multiplies the contrast by T over this


class PRD(Strategy):
    """Prototype-sample relation distillation (Asadi et al., ICML 2023), as the paper states it.

    The encoder learns by contrast through a projection head; a prototype is drawn to its class and moves nothing
    else; old prototypes keep to the batch the relations that old encoder and old prototypes had to it.  A sample is
    of the class whose prototype has the largest cosine.

    Every sample is seen in two views.  They differ by `training.augmentation`, for which the paper uses
    `augmentation: prd`; without one, and on features, both are the sample itself.  The old model is in evaluation
    mode; the released code leaves it in training mode, and distils across the prototypes of a task instead of
    across samples.  Weights are the released code's, and so is the scale of the contrast that they are relative to.

    The released code trains long and slowly: `lr: 0.01`, 100 epochs.  At much higher rates the contrast collapses
    on small networks; prototypes take plain steps, so that in short training a larger ``attraction`` moves them.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        attraction: Annotated[float, Field(ge=0, le=1e9, description="weight alpha of the prototype loss")] = 2.0,
        relation: Annotated[float, Field(ge=0, le=1e9, description="weight beta of relation distillation")] = 4.0,
        temperature: Annotated[
            float, Field(gt=0, le=1e9, description="tau of the contrast and of the relations")
        ] = 0.1,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width that contrast projects to")] = 128,
    ) -> None:
        super().__init__()
        self.backbone, self.projection = backbone, projection
        self.attraction, self.relation, self.temperature = attraction, relation, temperature

    def begin(self, task: Task) -> None:
        """Build encoder and projection for the first experience; add a prototype for each new class."""
        if task.index == 0:
            generator = task.generator("backbone")
            self.model = Prototypes(self.backbone, task.shape, generator, task.device, task.normalisation)
            self.project = projection_head(self.model.width, self.projection, generator).to(task.device)
        self.model.grow(task.seen_classes, task.generator("prototypes"))

    def learn(self, task: Task, samples: Samples) -> None:
        """Minimise the loss on two views of each sample; prototypes without momentum and weight decay."""
        loss = partial(self.loss, teacher=task.teacher(self.model), old=task.old_classes)
        groups: Groups = [
            {"params": [*self.model.encoder.parameters(), *self.project.parameters()]},
            {"params": [self.model.rows], "momentum": 0.0, "weight_decay": 0.0},
        ]
        fit(nn.ModuleList([self.model, self.project]), samples, task, loss, views=2, groups=groups)

    def loss(self, batch: Samples, teacher: Prototypes | None = None, old: int = 0) -> Tensor:
        """Return ``L_SC + alpha L_p + beta L_d`` over all views, a scalar.

        Args:
            batch: both views of each sample.
            teacher: the model before the experience; None without old classes.
            old: how many classes are old.
        """
        features = self.model.features(batch.x)
        contrast = supervised_contrastive(self.project(features), batch.y, self.temperature)
        loss = self.temperature / BASE_TEMPERATURE * contrast
        loss = loss + self.attraction * prototype_alignment(self.model.rows, features, batch.y)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = teacher.features(batch.x)
        kept = relation_distillation(features, self.model.rows[:old], before, teacher.rows[:old], self.temperature)
        return loss + self.relation * kept

    def predict(self, x: Tensor) -> Tensor:
        """Return the cosines of features and prototypes, ``[B, classes]``."""
        scores: Tensor = self.model(x)
        return scores
