"""Contrast alone: the reference that PRD adds prototypes and distillation to."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.losses import supervised_contrastive
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.projected import ProjectedNetwork
from cl_engine.strategies.prototypes.running_means import RunningMeans
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

UNSEEN = -2.0  # the score of a class without a mean; a cosine is at least -1


class SupConFinetune(Finetune):
    """Train each experience by supervised contrast (Khosla et al., NeurIPS 2020), and hold nothing in place.

    A sample is of the class whose mean feature has the largest cosine.  Means are of unit features as they were
    when the class was here; the encoder moves on and they do not, so the distance to PRD is what following them is
    worth.  Without views that differ (`training.augmentation`) both are the sample itself.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    network: ProjectedNetwork

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        temperature: Annotated[float, Field(gt=0, le=1e9, description="tau of the contrast")] = 0.1,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width that contrast projects to")] = 128,
    ) -> None:
        super().__init__(backbone=backbone)
        self.temperature, self.projection = temperature, projection

    def build(self, task: Task) -> ProjectedNetwork:
        """Return backbone and projection, and begin without a mean."""
        generator = task.generator("backbone")
        network = ProjectedNetwork(
            self.backbone, task.shape, generator, task.device, task.normalisation, self.projection
        )
        self.means = RunningMeans(network.backbone.features, task.device)
        return network

    def extend(self, task: Task) -> None:
        """Make room for the means of the new classes."""
        self.means.grow(task.seen_classes)

    def learn(self, task: Task, samples: Samples) -> None:
        """Contrast two views of each sample; then add the samples to the means of their classes."""
        fit(self.network, samples, task, self.loss, views=2)
        if not task.dry:
            self.means.update(F.normalize(samples.through(self.features)), samples.y)

    def loss(self, batch: Samples) -> Tensor:
        """Mean over all views i of ``-1/|P(i)| sum_{p in P(i)} log softmax_a(z_i z_a / tau)_p``, a scalar."""
        return supervised_contrastive(self.network.project(batch.x), batch.y, self.temperature)

    def predict(self, x: Tensor) -> Tensor:
        """Return the cosines of features and class means, -2 before a class has one, ``[B, classes]``."""
        cosines = F.linear(F.normalize(self.features(x)), F.normalize(self.means.rows))
        return cosines.masked_fill(self.means.counts == 0, UNSEEN)
