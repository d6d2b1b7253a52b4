"""A network that repeats its last stage: one generalised part, a specialised block for each experience."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.data.normalisation import Normalisation
from cl_engine.kinds.problems import OptionError
from cl_engine.models.network import Network


class Branches(nn.ModuleList):
    """Blocks side by side on one input: their outputs ``[B, D]``, the oldest first, joined to ``[B, t D]``."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, ...]``, the output of the stages before, to features ``[B, t D]``."""
        return torch.cat([block(x) for block in self], dim=1)


class Stages(nn.Sequential):
    """Several stages of a backbone that are repeated as one block."""


class Branched(Network):
    """The network of MEMO (Zhou et al., ICLR 2023, section 4.2): ``f(x) = [s_1(g(x)), ..., s_t(g(x))]``.

    g, the generalised part, is every stage of the backbone but the last; the last one, s, is repeated.  g is
    evaluated once a batch.  One linear head stands on all blocks; growing it is left to the strategy.

    Args:
        backbone, shape, generator, device, normalisation: as of :class:`Network`.
        cut: how many stages g has instead; with 0 whole backbones stand side by side, as in DER.

    Attributes:
        width: D, features of one block.

    Raises:
        OptionError: a cut that leaves no stage to repeat.

    >>> network = Branched("mlp", (4,), torch.Generator().manual_seed(0), torch.device("cpu"))
    >>> network.branch()
    >>> network.features(torch.ones(3, 4)).shape
    torch.Size([3, 256])
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
        normalisation: Normalisation | None = None,
        cut: int | None = None,
    ) -> None:
        super().__init__(backbone, shape, generator, device, normalisation)
        self.width = self.backbone.features
        stages = list(self.backbone.stages)
        last = len(stages) - 1
        cut = last if cut is None else cut
        if cut > last:
            raise OptionError("cut", f"{cut}, but the backbone has {len(stages)} stages; allowed: 0 to {last}")
        block = stages[-1] if cut == last else Stages(*stages[cut:])
        self.backbone.stages = nn.Sequential(*stages[:cut], Branches([block]))

    @property
    def general(self) -> nn.Sequential:
        """The generalised part g: all stages before the last."""
        return nn.Sequential(*list(self.backbone.stages)[:-1])

    @property
    def blocks(self) -> Branches:
        """The specialised blocks s_1 to s_t, the oldest first."""
        blocks = self.backbone.stages[-1]
        assert isinstance(blocks, Branches)
        return blocks

    def branch(self) -> None:
        """Freeze the newest block and go on with a copy of it, its running statistics included."""
        block = copy.deepcopy(self.blocks[-1])
        self.blocks[-1].requires_grad_(False)
        self.blocks.append(block)
        self.backbone.features += self.width

    def train(self, mode: bool = True) -> Branched:
        """Set training mode; a frozen part stays in evaluation mode, so that its running statistics do not move."""
        super().train(mode)
        for part in (self.general, *self.blocks):
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self
