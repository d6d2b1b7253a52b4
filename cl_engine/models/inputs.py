"""Raw samples to what a backbone takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cl_engine.data.normalisation import Normalisation

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class InputOptions:
    """What images go through before weights that were trained elsewhere see them."""

    mean: Annotated[list[float], Field(min_length=1, description="mean of each channel, of values in 0..1")]
    deviation: Annotated[
        list[float], Field(min_length=1, description="standard deviation of each channel, of values in 0..1")
    ]
    resolution: Annotated[
        int | None, Field(ge=1, le=4096, description="images are resized to so many rows and columns; null: not")
    ] = None
    interpolation: Annotated[Interpolation, Field(description="how, with anti-aliasing")] = "bilinear"


def to_float(x: Tensor) -> Tensor:
    """Return features as they are and uint8 images scaled to [-1, 1]."""
    return x.float().div_(127.5).sub_(1) if x.dtype == torch.uint8 else x


class Inputs(nn.Module):
    """Maps uint8 images to floats that a backbone takes, and leaves features as they are.

    Args:
        normalisation: mean and standard deviation per channel, of values in 0..1; None scales to [-1, 1].  Images
            of one channel become images of as many as it has numbers.
        resolution: rows and columns that images are resized to, with anti-aliasing; None leaves them as they are.
        interpolation: how they are resized.

    >>> Inputs(((0.5,) * 3, (0.5,) * 3), resolution=4)(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 3, 4, 4])
    """

    _held_kinds: ClassVar[dict[str, str]] = {"mean": "regenerable", "deviation": "regenerable"}
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        normalisation: Normalisation | None = None,
        resolution: int | None = None,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__()
        self.standardised = normalisation is not None
        self.resolution, self.interpolation = resolution, interpolation
        for name, values in zip(("mean", "deviation"), normalisation or (), strict=False):
            self.register_buffer(name, 255 * torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples ``[B, ...]`` to floats, images ``[B, C, resolution, resolution]`` where that is given."""
        if x.dtype != torch.uint8:
            return x
        images = (x - self.mean).div_(self.deviation) if self.standardised else to_float(x)
        if self.resolution is None or images.shape[-2:] == (self.resolution, self.resolution):
            return images
        # As the weights of interpolation sum to 1, standardising the smaller images first comes to the same.
        size = (self.resolution, self.resolution)
        return F.interpolate(images, size, mode=self.interpolation, align_corners=False, antialias=True)
