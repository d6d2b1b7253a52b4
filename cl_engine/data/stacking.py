"""Pictures from elsewhere, one by one, as one tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cl_engine.data.samples import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = ("1", "L", "LA", "I")  # Pillow's modes without colour


def stacked(pictures: Iterable[Image], count: int, size: int | None) -> Tensor:
    """Return ``count`` pictures as uint8 ``[N, C, H, W]``: grey if all of them are, else RGB.

    16-bit greys keep their high byte.

    Args:
        pictures: what Pillow opens, as often as ``count`` says.
        count: their number.
        size: height and width to scale them to (bilinear, whatever their shape); None: they have one size already.

    Raises:
        DataError: without ``size``, pictures of different sizes.
    """
    from PIL import Image

    found: Tensor | None = None
    for row, picture in enumerate(pictures):
        if picture.mode.startswith("I;16"):  # Pillow would cut every value off at 255
            picture = Image.fromarray((np.asarray(picture, dtype=np.uint16) >> 8).astype(np.uint8))
        picture = picture.convert("L" if picture.mode in GREY else "RGB")
        if size is not None:
            picture = picture.resize((size, size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).reshape(picture.height, picture.width, -1).permute(2, 0, 1)
        if found is None:
            found = torch.empty(count, *pixels.shape, dtype=torch.uint8)
        if pixels.shape[1:] != found.shape[2:]:
            first, this = _across(found.shape), _across(pixels.shape)
            raise DataError(f"picture 1 is {first} pixels, picture {row + 1} {this}; allowed: one size, or `size`")
        if len(pixels) > found.shape[1]:
            found = found.repeat(1, 3, 1, 1)  # grey until now
        found[row] = pixels
    if found is None:
        raise DataError("there is no picture; allowed: one or more")
    return found


def of_one_depth(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return two sets of pictures ``[N, C, H, W]``, the one that is grey made RGB where the other is RGB."""
    most = max(x.shape[1], other.shape[1])
    deep, other_deep = (p if p.shape[1] == most else p.repeat(1, most, 1, 1) for p in (x, other))
    return deep, other_deep


def _across(shape: Any) -> str:
    return f"{shape[-1]} x {shape[-2]}"
