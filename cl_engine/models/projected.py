"""A network that learns by contrast: a projection beside the head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cl_engine.data.normalisation import Normalisation
from cl_engine.models.network import Network
from cl_engine.models.prototypes import projection_head


class ProjectedNetwork(Network):
    """A backbone with a projection that contrast works on, and a head that may stay without classes.

    The projection serves training only, and is needed again in the next experience, so it is held.

    Args:
        backbone: names the backbone.
        shape: shape of one sample.
        generator: draws the weights.
        device: where the network lives.
        normalisation: mean and deviation per channel of images, as of a task; None scales to [-1, 1].
        width: width of the projection.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: Normalisation | None = None,
        width: int = 128,
    ) -> None:
        super().__init__(backbone, shape, generator, device, normalisation)
        self.projection = projection_head(self.backbone.features, width, generator).to(device)

    def project(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to what contrast compares, ``[B, width]``, not normalised."""
        projected: Tensor = self.projection(self.features(x))
        return projected
