"""What a codec is, and how one is built from its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import Part
from cl_engine.kinds.validation import resolve

CodecOption = Annotated[
    str | dict[str, Any],
    Part("codecs"),
    Field(description="how an exemplar is stored, by name or as {kind: name, ...}"),
]


class Encoded(NamedTuple):
    """Encoded samples, one after the other.

    Attributes:
        flat: uint8 ``[sum of sizes]``.
        sizes: int64 ``[N]``, bytes of each sample, on the CPU.
    """

    flat: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, stored: Tensor) -> Encoded:
        """Return samples that all have one size, ``[N, ...]`` of any type, as their bytes."""
        count, each = len(stored), math.prod(stored.shape[1:]) * stored.element_size()
        return cls(stored.contiguous().flatten().view(torch.uint8), torch.full((count,), each))

    @property
    def offsets(self) -> Tensor:
        """Where each sample starts, and where the last one ends: int64 ``[N + 1]``."""
        return torch.cat([self.sizes.new_zeros(1), self.sizes.cumsum(0)])

    def take(self, index: Tensor) -> Encoded:
        """Return the samples at ``index``, an int64 or bool CPU tensor, in its order."""
        if index.dtype == torch.bool:
            index = index.nonzero().flatten()
        sizes = self.sizes[index]
        if len(self.sizes) and self.sizes.min() == self.sizes.max():
            rows = self.flat.view(len(self.sizes), -1)
            return Encoded(rows.index_select(0, index.to(self.flat.device)).flatten(), sizes)
        parts = torch.split(self.flat, self.sizes.tolist())
        return Encoded(torch.cat([self.flat[:0], *(parts[i] for i in index.tolist())]), sizes)

    def join(self, other: Encoded) -> Encoded:
        """Return both, one after the other."""
        return Encoded(torch.cat([self.flat, other.flat]), torch.cat([self.sizes, other.sizes]))


class Codec:
    """Writes samples as bytes and reads them back, perhaps not quite the same.

    A subclass has :meth:`encode` and :meth:`decode`, and :meth:`layout` where all samples take the same room.

    Attributes:
        of_features: it stores what a frozen extractor makes of a sample, float32 ``[D]``, not the sample.
    """

    of_features = False

    def layout(self, shape: tuple[int, ...]) -> tuple[torch.dtype, tuple[int, ...]] | None:
        """Return type and shape in which one sample of ``shape`` is held; None where its size depends on it.

        Raises:
            OptionError: the codec cannot take such samples.
        """
        return None

    def bytes_per_sample(self, shape: tuple[int, ...]) -> int | None:
        """Return the bytes of one encoded sample of ``shape``; None where they depend on the sample."""
        layout = self.layout(shape)
        return None if layout is None else layout[0].itemsize * math.prod(layout[1])

    def encode(self, x: Tensor) -> Encoded:
        """Encode uint8 images ``[N, C, H, W]`` or float32 features ``[N, D]``; the bytes are on the same device."""
        raise NotImplementedError

    def decode(self, flat: Tensor, offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Decode to ``[N, *shape]``, with type and device of what was encoded.

        Args:
            flat: uint8, the encoded samples one after the other.
            offsets: int64 ``[N + 1]``, where each starts and the last one ends.
            shape: shape of one decoded sample.
        """
        raise NotImplementedError


def build_codec(option: str | Mapping[str, Any], *, frozen: bool) -> Codec:
    """Build the codec that ``option`` names, for a strategy whose feature extractor is ``frozen`` or trained.

    Raises:
        OptionError: the codec stores features, but the extractor changes, so that stored ones would be stale.
    """
    options = resolve("codecs", option)
    kind = options.pop("kind")
    codec: Codec = load("codecs", kind)(**options)
    if codec.of_features and not frozen:
        raise OptionError(
            "codec",
            f"{kind} stores features, but this strategy trains its extractor, so that they would go stale; "
            "allowed: a backbone without trained parameters such as identity, or another codec",
        )
    return codec
