"""What a frozen extractor makes of a sample, in few bits."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.kinds.problems import OptionError
from cl_engine.memory.codecs.codec import Codec, Encoded

SCALE_BYTES = 4  # int8 features come with a float32 scale per sample


class Features(Codec):
    """The frozen extractor's features instead of the sample, as float32, float16 or int8.

    ``int8`` rounds ``x / scale`` with ``scale = max |x| / 127`` of the sample, and puts the scale before it, 4
    bytes.  ``float16`` limits features to +-65,504.
    """

    of_features = True

    def __init__(
        self,
        *,
        dtype: Annotated[
            Literal["float32", "float16", "int8"], Field(description="type of a stored feature")
        ] = "float32",
    ) -> None:
        self.dtype = dtype

    def layout(self, shape: tuple[int, ...]) -> tuple[torch.dtype, tuple[int, ...]]:
        """Return the stored type and width; int8 features and their scale are bytes of one row.

        Raises:
            OptionError: images instead of features.
        """
        if len(shape) != 1:
            raise OptionError("codec", f"features are no samples of shape {list(shape)}; allowed: [D]")
        if self.dtype == "int8":
            return torch.uint8, (shape[0] + SCALE_BYTES,)
        return (torch.float16 if self.dtype == "float16" else torch.float32), shape

    def encode(self, x: Tensor) -> Encoded:
        """Quantise float32 features ``[N, D]``."""
        if self.dtype == "float32":
            return Encoded.of(x)
        if self.dtype == "float16":
            largest = torch.finfo(torch.float16).max
            return Encoded.of(x.clamp(-largest, largest).half())
        scale = x.abs().amax(1) / 127
        levels = (x / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round().clamp(-127, 127)
        scales = scale.view(torch.uint8).view(-1, SCALE_BYTES)
        return Encoded.of(torch.cat([scales, levels.to(torch.int8).view(torch.uint8)], dim=1))

    def decode(self, flat: Tensor, offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return float32 features ``[N, D]``."""
        dtype, stored = self.layout(shape)
        rows = flat.view(dtype).view(-1, *stored)
        if self.dtype != "int8":
            return rows.float()
        scales, levels = torch.split(rows, [SCALE_BYTES, *shape], dim=1)
        scale = scales.flatten().clone().view(torch.float32)  # floats must start at a multiple of 4 bytes
        return levels.view(torch.int8).float() * scale[:, None]
