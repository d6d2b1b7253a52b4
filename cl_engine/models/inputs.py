"""Raw samples to what a backbone takes."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from cl_engine.data.normalisation import Normalisation


def to_float(x: Tensor) -> Tensor:
    """Return features as they are and uint8 images scaled to [-1, 1]."""
    return x.float().div_(127.5).sub_(1) if x.dtype == torch.uint8 else x


class Inputs(nn.Module):
    """Maps uint8 images to floats that a backbone takes, and leaves features as they are.

    Args:
        normalisation: mean and standard deviation per channel, of values in 0..1; None scales to [-1, 1].
    """

    _held_kinds: ClassVar[dict[str, str]] = {"mean": "regenerable", "deviation": "regenerable"}
    mean: Tensor
    deviation: Tensor

    def __init__(self, normalisation: Normalisation | None = None) -> None:
        super().__init__()
        self.standardised = normalisation is not None
        for name, values in zip(("mean", "deviation"), normalisation or (), strict=False):
            self.register_buffer(name, 255 * torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to floats of the same shape."""
        if not self.standardised or x.dtype != torch.uint8:
            return to_float(x)
        return x.float().sub_(self.mean).div_(self.deviation)
