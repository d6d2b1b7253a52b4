"""A network: pixels to floats, a backbone, and a linear head that grows with the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.data.normalisation import Normalisation
from cl_engine.models.backbone import build_backbone
from cl_engine.models.extraction import features_of
from cl_engine.models.heads import Head


class Network(nn.Module):
    """Inputs, backbone and head.

    Args:
        backbone: names the backbone.
        shape: shape of one sample.
        generator: draws the backbone's weights.
        device: where the network lives.
        normalisation: mean and deviation per channel of images, as of a task; None scales to [-1, 1].
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, shape, generator).to(device)
        self.inputs = self.backbone.inputs(normalisation).to(device)
        self.head = Head(self.backbone.features).to(device)

    @property
    def frozen(self) -> bool:
        """Whether the backbone has no parameter that is trained, so that features never change."""
        return not any(p.requires_grad for p in self.backbone.parameters())

    def train(self, mode: bool = True) -> Network:
        """Set training mode; a frozen backbone stays in evaluation mode, so that no running statistics move."""
        super().train(mode)
        if mode and self.frozen:
            self.backbone.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to features ``[B, D]``."""
        if not (torch.is_grad_enabled() or self.backbone.training):
            return features_of(self.backbone, self.inputs, x)
        features: Tensor = self.backbone(self.inputs(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to scores ``[B, classes]``."""
        scores: Tensor = self.head(self.features(x))
        return scores
