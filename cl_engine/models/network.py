"""A network: pixels to floats, a backbone, and a linear head that grows with the classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.models.backbone import build_backbone, to_float


class Head(nn.Module):
    """A linear classifier over the classes seen so far; its parameters are of kind ``head`` in the ledger."""

    ledger_kind = "head"

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(0, features))
        self.bias = nn.Parameter(torch.empty(0))

    def grow(self, classes: int, generator: torch.Generator) -> None:
        """Add rows up to ``classes``, uniform in +-1/sqrt(features); old rows stay as they are."""
        new, features = classes - len(self.bias), self.weight.shape[1]
        bound = 1 / math.sqrt(features)
        rows = torch.empty(new, features + 1).uniform_(-bound, bound, generator=generator).to(self.bias.device)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), rows[:, 1:]]))
        self.bias = nn.Parameter(torch.cat([self.bias.detach(), rows[:, 0]]))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, features]`` to scores ``[B, classes]``."""
        return nn.functional.linear(features, self.weight, self.bias)


class Network(nn.Module):
    """Backbone and head."""

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, shape, generator).to(device)
        self.head = Head(self.backbone.features).to(device)

    @property
    def frozen(self) -> bool:
        """Whether the backbone has no parameter that is trained, so that features never change."""
        return not any(p.requires_grad for p in self.backbone.parameters())

    def train(self, mode: bool = True) -> Network:
        """Set training mode; a frozen backbone stays in evaluation mode, so that no running statistics move."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to features ``[B, D]``."""
        features: Tensor = self.backbone(to_float(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to scores ``[B, classes]``."""
        scores: Tensor = self.head(self.features(x))
        return scores
