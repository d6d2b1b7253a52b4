"""Images in fewer pixels."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cl_engine.kinds.problems import OptionError
from cl_engine.memory.codecs.codec import Codec, Encoded

CHUNK = 256  # images that are floats at a time


class Downsample(Codec):
    """Fewer pixels: blocks of ``factor`` x ``factor`` are averaged, and enlarged again when read.

    An image of H x W is held as uint8 ``[C, ceil(H / factor), ceil(W / factor)]``; blocks at the lower and right
    edge average the pixels that there are.
    """

    def __init__(
        self,
        *,
        factor: Annotated[int, Field(ge=2, description="pixels of a block, in each direction")] = 2,
        upsampling: Annotated[
            Literal["bilinear", "nearest"], Field(description="how a stored image is enlarged when it is read")
        ] = "bilinear",
    ) -> None:
        self.factor, self.upsampling = factor, upsampling

    def layout(self, shape: tuple[int, ...]) -> tuple[torch.dtype, tuple[int, ...]]:
        """Return uint8 and the shape of the small image.

        Raises:
            OptionError: features instead of images, or images smaller than one block.
        """
        if len(shape) != 3 or min(shape[1:]) < self.factor:
            raise OptionError(
                "codec",
                f"downsample by {self.factor} cannot take samples of shape {list(shape)}; "
                f"allowed: images of {self.factor}x{self.factor} or more",
            )
        channels, height, width = shape
        return torch.uint8, (channels, -(-height // self.factor), -(-width // self.factor))

    def encode(self, x: Tensor) -> Encoded:
        """Average the blocks of uint8 images ``[N, C, H, W]``."""
        return Encoded.of(torch.cat([self._averages(part) for part in torch.split(x, CHUNK)]))

    def decode(self, flat: Tensor, offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Enlarge to uint8 ``[N, C, H, W]``."""
        _, stored = self.layout(shape)
        small = flat.view(-1, *stored)
        return torch.cat([self._enlarged(part, shape) for part in torch.split(small, CHUNK)])

    def _averages(self, x: Tensor) -> Tensor:
        means = F.avg_pool2d(x.float(), self.factor, ceil_mode=True, count_include_pad=False)
        return means.round().to(torch.uint8)

    def _enlarged(self, small: Tensor, shape: tuple[int, ...]) -> Tensor:
        smooth = {"align_corners": False} if self.upsampling == "bilinear" else {}
        large = F.interpolate(small.float(), scale_factor=self.factor, mode=self.upsampling, **smooth)
        return large[:, :, : shape[1], : shape[2]].round().to(torch.uint8)
