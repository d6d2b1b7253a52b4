"""An encoder, a projection for contrast, and one learned vector per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.models.backbone import build_backbone, initialise
from cl_engine.models.inputs import Inputs


class Rows(nn.Module):
    """One learned vector per class, of kind ``prototypes`` in the ledger."""

    ledger_kind = "prototypes"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(0, width))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add rows up to ``classes``, uniform in +-1/sqrt(width); old rows stay as they are."""
        old, width = self.weight.shape
        new = torch.empty(classes - old, width).uniform_(-(width**-0.5), width**-0.5, generator=generator)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), new.to(self.weight.device)]))


class Prototypes(nn.Module):
    """Encoder f, projection g, and prototypes ``[classes, D]`` in the space of f.

    Args:
        backbone: names the encoder.
        projection: width of the projection, a hidden layer as wide as the features before it.
        shape: shape of one sample.
        generator: draws the weights.
        device: where the network lives.
        normalisation: mean and deviation per channel of images, as of a task.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        projection: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(normalisation).to(device)
        self.encoder = build_backbone(backbone, shape, generator).to(device)
        width = self.encoder.features
        self.project = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, projection))
        initialise(self.project, generator)
        self.project.to(device)
        self.prototypes = Rows(width).to(device)

    def encode(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to features ``[B, D]``."""
        features: Tensor = self.encoder(self.inputs(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to the cosines of features and prototypes, ``[B, classes]``."""
        return F.linear(F.normalize(self.encode(x)), F.normalize(self.prototypes.weight))
