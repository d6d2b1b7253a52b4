"""A network that repeats its last stage: one generalised part, a specialised block for each experience."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.models.backbone import build_backbone
from cl_engine.models.heads import Head
from cl_engine.models.inputs import Inputs


class Branched(nn.Module):
    """The network of MEMO (Zhou et al., ICLR 2023): ``f(x) = [s_1(g(x)), ..., s_t(g(x))]`` under one linear head.

    Args:
        backbone: names the backbone; its last stage is the specialised block.
        shape: shape of one sample.
        generator: draws the weights.
        device: where the network lives.
        normalisation: mean and deviation per channel of images, as of a task.

    Attributes:
        width: features of one block.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(normalisation).to(device)
        whole = build_backbone(backbone, shape, generator).to(device)
        self.width, self.general = whole.features, whole.stages[:-1]
        self.blocks = nn.ModuleList([whole.stages[-1]])
        self.head = Head(self.width).to(device)

    @property
    def frozen(self) -> bool:
        """Whether nothing below the head is trained; never, since the newest block is."""
        return not any(p.requires_grad for p in self.blocks.parameters())

    def branch(self) -> None:
        """Freeze the newest block and go on with a copy of it, its statistics included."""
        block = copy.deepcopy(self.blocks[-1])
        self.blocks[-1].requires_grad_(False)
        self.blocks.append(block)

    def train(self, mode: bool = True) -> Branched:
        """Set training mode; what is frozen stays in evaluation mode, so that its statistics do not move."""
        super().train(mode)
        for part in (self.general, *self.blocks):
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to features ``[B, t * width]``, the oldest block first."""
        shared = self.general(self.inputs(x))  # once for all blocks
        return torch.cat([block(shared) for block in self.blocks], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to scores ``[B, classes]``."""
        scores: Tensor = self.head(self.features(x))
        return scores
