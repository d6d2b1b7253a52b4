"""PRD: prototypes follow their classes while the encoder moves; no sample is stored."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

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
    `augmentation: prd`; without one, and on features, both are the sample itself.

    The released code distils otherwise, across the prototypes of each earlier task instead of across samples:
    `relation_axis: prototypes`, `direction: old_new`, `normalise_features: false`, `reduction: mean`,
    `relation_temperature: 1` and `teacher_mode: training`.  Its contrast is scaled by T / 0.07, and so is this one:
    the weights are relative to it.  One optimizer with its momentum goes through its whole stream; here each
    experience begins with a new one.  The scenarios `cifar100-prd` and `cifar100-prd-released` have the options of
    paper and code.

    Prototypes take plain steps, without momentum and weight decay.  The released recipe, `attraction: 2` and one
    rate for all, gives them 100 epochs to arrive; in short training they do not, and the encoder leaves them
    behind.  So the defaults here draw ten times as much, and let the encoder move at a tenth of the rate.  A larger
    rate of the prototypes is no way instead: relation distillation moves old ones by it too, off their classes.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        attraction: Annotated[float, Field(ge=0, le=1e9, description="weight alpha of the prototype loss")] = 20.0,
        relation: Annotated[float, Field(ge=0, le=1e9, description="weight beta of relation distillation")] = 4.0,
        temperature: Annotated[float, Field(gt=0, le=1e9, description="tau of the contrast")] = 0.1,
        relation_temperature: Annotated[
            float | None, Field(gt=0, le=1e9, description="tau of the relations; null: that of the contrast")
        ] = None,
        relation_axis: Annotated[
            Literal["samples", "prototypes"],
            Field(
                description="a relation is a softmax over the samples of the batch, one for each old prototype, or "
                "over the prototypes of each earlier experience, one for each sample"
            ),
        ] = "samples",
        direction: Annotated[
            Literal["new_old", "old_new"], Field(description="KL(new || old) or KL(old || new) of the relations")
        ] = "new_old",
        normalise_features: Annotated[
            bool, Field(description="relations are cosines; false: they grow with the length of a feature")
        ] = True,
        reduction: Annotated[
            Literal["sum", "mean"], Field(description="over old prototypes, or over samples on the other axis")
        ] = "sum",
        teacher_mode: Annotated[
            Literal["evaluation", "training"],
            Field(description="batch norm of the old model: by its running statistics, or by those of the batch"),
        ] = "evaluation",
        encoder_rate: Annotated[
            float, Field(gt=0, le=1e9, description="learning rate of encoder and projection, in training.lr")
        ] = 0.1,
        prototype_rate: Annotated[
            float, Field(gt=0, le=1e9, description="learning rate of the prototypes, in training.lr")
        ] = 1.0,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width that contrast projects to")] = 128,
    ) -> None:
        super().__init__()
        self.backbone, self.projection = backbone, projection
        self.attraction, self.relation, self.temperature = attraction, relation, temperature
        self.relation_temperature = temperature if relation_temperature is None else relation_temperature
        self.relation_axis, self.direction, self.reduction = relation_axis, direction, reduction
        self.normalise_features, self.teacher_mode = normalise_features, teacher_mode
        self.encoder_rate, self.prototype_rate = encoder_rate, prototype_rate

    def begin(self, task: Task) -> None:
        """Build encoder and projection for the first experience; add a prototype for each new class."""
        if task.index == 0:
            generator = task.generator("backbone")
            self.model = Prototypes(self.backbone, task.shape, generator, task.device, task.normalisation)
            self.project = projection_head(self.model.width, self.projection, generator).to(task.device)
            self.groups: list[int] = []  # of each class, a number for the experience that brought it
        self.model.grow(task.seen_classes, task.generator("prototypes"))
        latest = self.groups[-1] + 1 if self.groups else 0
        self.groups += [latest] * (task.seen_classes - task.old_classes)

    def learn(self, task: Task, samples: Samples) -> None:
        """Minimise the loss on two views of each sample."""
        lr, moving = task.training.lr, [*self.model.encoder.parameters(), *self.project.parameters()]
        plain = {"lr": self.prototype_rate * lr, "momentum": 0.0, "weight_decay": 0.0}
        groups: Groups = [
            {"params": moving, "lr": self.encoder_rate * lr},
            {"params": [self.model.rows], **plain},
        ]
        old = torch.tensor(self.groups[: task.old_classes], device=task.device)
        loss = partial(self.loss, teacher=self.teacher(task), old=old)
        fit(nn.ModuleList([self.model, self.project]), samples, task, loss, views=2, groups=groups)

    def teacher(self, task: Task) -> Prototypes | None:
        """Return the model as it was when the experience began; None without old classes."""
        teacher = task.teacher(self.model)
        if teacher is not None and self.teacher_mode == "training":
            teacher.train()
        return teacher

    def loss(self, batch: Samples, teacher: Prototypes | None = None, old: Tensor | None = None) -> Tensor:
        """Return ``L_SC + alpha L_p + beta L_d`` over all views, a scalar.

        Args:
            batch: both views of each sample.
            teacher: the model before the experience; None without old classes.
            old: int64 ``[K]``, of each old class a number for the experience that brought it; None without any.
        """
        features = self.model.features(batch.x)
        contrast = supervised_contrastive(self.project(features), batch.y, self.temperature)
        loss = self.temperature / BASE_TEMPERATURE * contrast
        loss = loss + self.attraction * prototype_alignment(self.model.rows, features, batch.y)
        if teacher is None or old is None:
            return loss
        with torch.no_grad():
            before = teacher.features(batch.x)
        kept = relation_distillation(
            features,
            self.model.rows[: len(old)],
            before,
            teacher.rows[: len(old)],
            self.relation_temperature,
            axis=self.relation_axis,
            direction=self.direction,
            normalise=self.normalise_features,
            reduction=self.reduction,
            groups=old if self.relation_axis == "prototypes" else None,
        )
        return loss + self.relation * kept

    def predict(self, x: Tensor) -> Tensor:
        """Return the cosines of features and prototypes, ``[B, classes]``."""
        scores: Tensor = self.model(x)
        return scores
