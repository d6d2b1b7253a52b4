"""CoReS: compatible representations via stationarity, each model trained anew on all data."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.references.joint import Joint
from cl_engine.strategies.stationary.network import ReservedOption, StationaryNetwork, VerticesOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class CoReS(Joint):
    """CoReS (Biondi, Pernici, Bruni, Del Bimbo, TPAMI 2023): a new model on all data so far, under one d-simplex.

    No model sees another one; all that they share are the vertices, and this makes them comparable.  Every sample
    is kept and charged, so it is the upper reference of the stationary methods.  The released code keeps the epoch
    of the best test accuracy; here the last one stands.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    network: StationaryNetwork

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        reserved: ReservedOption = 100,
        vertices: VerticesOption = "first",
    ) -> None:
        super().__init__(backbone=backbone)
        self.reserved, self.vertices = reserved, vertices

    def build(self, task: Task) -> StationaryNetwork:
        """Return a fresh network."""
        return StationaryNetwork.of(task, self.backbone, self.reserved, self.vertices)

    def extend(self, task: Task) -> None:
        """Let the classes seen so far be scored."""
        self.network.grow(task)

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy over all reserved classes, a scalar."""
        scores = self.network.embed(batch.x) @ self.network.head.vertices.T
        return F.cross_entropy(scores, batch.y, label_smoothing=self.label_smoothing)

    def features(self, x: Tensor) -> Tensor:
        """Return the stationary representation z ``[B, reserved - 1]``, in batches."""
        return self.network.embedded(x)
