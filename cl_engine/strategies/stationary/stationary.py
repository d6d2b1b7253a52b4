"""Replay under the fixed d-simplex: the frame of the methods that train one model after the other."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.strategies.rehearsal.replay import ReplayOptions
from cl_engine.strategies.stationary.network import ReservedOption, StationaryNetwork, VerticesOption
from cl_engine.strategies.stationary.replaceable import Replaceable
from cl_engine.terms.task import Task


class StationaryOptions(ReplayOptions, total=False):
    """All options of :class:`Stationary`."""

    reserved: ReservedOption
    vertices: VerticesOption


class Stationary(Replaceable):
    """Minimise the cross-entropy of the reserved scores ``V z`` of samples and exemplars.

    z is not normalised, and the softmax is over all reserved classes, as in the released codes of CoReS, CL2R and
    IAM-CL2R.  Their batches are half new, half rehearsed, 64 each; here ``batch_size`` new samples have as many
    exemplars beside them.  They keep 20 exemplars a class, drawn at random: ``per_class: 20``.
    """

    taken: ClassVar = ("head.weight",)  # J; where features are as wide as z there is none
    network: StationaryNetwork

    def __init__(
        self,
        *,
        reserved: ReservedOption = 100,
        vertices: VerticesOption = "first",
        **options: Unpack[ReplayOptions],
    ) -> None:
        super().__init__(**options)
        self.reserved, self.vertices = reserved, vertices

    def build(self, task: Task) -> StationaryNetwork:
        """Return the network of the first experience."""
        return StationaryNetwork.of(task, self.architecture(task), self.reserved, self.vertices)

    def extend(self, task: Task) -> None:
        """Let the new classes be scored; their vertices were there."""
        self.network.grow(task)

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy over the batch, a scalar."""
        return self.simplex_cross_entropy(self.embedded(self.network, batch.x), batch.y)

    def simplex_cross_entropy(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of z ``[B, reserved - 1]`` against the vertices, over all that are reserved."""
        return self.cross_entropy(z @ self.network.head.vertices.T, y)

    def embedded(self, network: StationaryNetwork, x: Tensor) -> Tensor:
        """Return a network's z ``[B, reserved - 1]`` of samples as the memory holds them: features or raw ones."""
        return network.head.project(x) if self._on_features else network.embed(x)

    def features(self, x: Tensor) -> Tensor:
        """Return the stationary representation z ``[B, reserved - 1]``, in batches."""
        return self.network.embedded(x)

    @torch.no_grad()
    def features_of_held(self, x: Tensor) -> Tensor:
        """Return z of samples as the memory holds them: features or raw ones."""
        return self.network.head.project(x) if self._on_features else self.features(x)
