"""JPEG files."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from cl_engine.kinds.problems import OptionError
from cl_engine.memory.codecs.codec import Codec, Encoded


class Jpeg(Codec):
    """A complete JPEG file per image, with optimised Huffman tables; its real bytes are charged.

    On very small images (8x8) the header outweighs the gain, and ``raw`` is smaller.
    """

    def __init__(
        self,
        *,
        quality: Annotated[int, Field(ge=1, le=95, description="JPEG quality; lower is smaller and worse")] = 75,
    ) -> None:
        self.quality = quality

    def layout(self, shape: tuple[int, ...]) -> None:
        """Return None: how large a file is depends on the image.

        Raises:
            OptionError: neither grey nor RGB images, or more than 65,500 pixels wide or high.
        """
        if len(shape) != 3 or shape[0] not in (1, 3) or max(shape[1:]) > 65_500:
            raise OptionError(
                "codec", f"jpeg cannot take samples of shape {list(shape)}; allowed: images of 1 or 3 channels"
            )

    def encode(self, x: Tensor) -> Encoded:
        """Compress uint8 images ``[N, C, H, W]``."""
        files = []
        for image in x.permute(0, 2, 3, 1).cpu().numpy():
            file = io.BytesIO()
            pixels = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.ascontiguousarray(image))
            pixels.save(file, "JPEG", quality=self.quality, optimize=True)
            files.append(file.getvalue())
        flat = torch.frombuffer(bytearray(b"".join(files)), dtype=torch.uint8) if files else x.new_empty(0)
        return Encoded(flat.to(x.device), torch.tensor(list(map(len, files)), dtype=torch.int64))

    def decode(self, flat: Tensor, offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Decompress to uint8 ``[N, C, H, W]``."""
        images = np.empty((len(offsets) - 1, *shape[1:], shape[0]), dtype=np.uint8)
        files, at = flat.cpu().numpy(), offsets.tolist()
        for n, image in enumerate(images):
            with Image.open(io.BytesIO(files[at[n] : at[n + 1]].tobytes()), formats=["JPEG"]) as file:
                image[:] = np.asarray(file).reshape(image.shape)
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(flat.device)
