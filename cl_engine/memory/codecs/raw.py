"""The sample as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import sample_dtype
from cl_engine.memory.codecs.codec import Codec, Encoded


class Raw(Codec):
    """The sample as it is: 1 byte per pixel value of an image, 4 bytes per feature; nothing is lost."""

    def layout(self, shape: tuple[int, ...]) -> tuple[torch.dtype, tuple[int, ...]]:
        """Return uint8 for images, float32 for features, and the sample's own shape."""
        return sample_dtype(shape), shape

    def encode(self, x: Tensor) -> Encoded:
        """Return the bytes of the samples."""
        return Encoded.of(x)

    def decode(self, flat: Tensor, offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the samples ``[N, *shape]``, bit for bit."""
        dtype, _ = self.layout(shape)
        return flat.view(dtype).view(-1, *shape)
