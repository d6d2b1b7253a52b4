"""SCR: contrast over new samples and exemplars, nearest mean of exemplars."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import supervised_contrastive
from cl_engine.models.projected import ProjectedNetwork
from cl_engine.strategies.rehearsal.nearest_mean import NearestMean
from cl_engine.strategies.rehearsal.replay import MemoryOptions, MixOption, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class SCR(NearestMean):
    """Supervised contrastive replay (Mai et al., CVPR Workshops 2021), made for online streams.

    New samples and many more exemplars, 100 beside each batch, are contrasted in two views; with ten instead of
    100 the authors' accuracy halves.  A sample is of the class whose mean of exemplars is nearest, features and
    means of unit length; the means follow from exemplars and network, so nobody holds them.

    The authors contrast an image with one augmentation of it; here both views are augmented, as of
    `training.augmentation`.  They take no step before there are exemplars; here the first samples are contrasted
    alone, as an offline first experience has nothing else.  Their code's further epoch on the exemplars after each
    experience, which the paper does not name, is left out.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"
    network: ProjectedNetwork

    def __init__(
        self,
        *,
        selection: SelectionOption = "reservoir",
        mix: MixOption = 100,
        temperature: Annotated[
            float, Field(gt=0, le=1e9, description="tau of the contrast; 0.07 in the authors' code")
        ] = 0.1,
        projection: Annotated[int, Field(ge=1, le=10**6, description="width that contrast projects to")] = 128,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(selection=selection, mix=mix, **options)
        self.temperature, self.projection = temperature, projection

    def build(self, task: Task) -> ProjectedNetwork:
        """Return backbone and projection."""
        generator = task.generator("backbone")
        return ProjectedNetwork(
            self.backbone, task.shape, generator, task.device, task.normalisation, self.projection
        )

    def extend(self, task: Task) -> None:
        """Leave the network as it is; more classes are more means."""

    def train_on(self, task: Task, samples: Samples) -> None:
        """Contrast two views of samples and exemplars together."""
        fit(self.network, samples, task, self.loss, memory=self.memory, mix=self.mix, views=2)

    def loss(self, batch: Samples) -> Tensor:
        """Mean over all views i of ``-1/|P(i)| sum_{p in P(i)} log softmax_a(z_i z_a / tau)_p``, a scalar."""
        features = batch.x if self._on_features else self.network.features(batch.x)
        return supervised_contrastive(self.network.projection(features), batch.y, self.temperature)

    def predict(self, x: Tensor) -> Tensor:
        """Return cosines with the classes' means (:meth:`cosines`), ``[B, classes]``."""
        return self.cosines(x)
