"""Labelled samples held in encoded form: the tensors that the ledger charges and the checkpoint holds."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.memory.budget import INT32_BYTES
from cl_engine.memory.codecs.codec import Codec, Encoded
from cl_engine.memory.held import Held


class EncodedSamples(Held):
    """Encoded samples (kind ``exemplars``), their int32 ``labels``, and ``offsets`` where sizes vary.

    Where all samples take the same room, ``x`` is ``[N, ...]`` in the codec's type and there are no offsets.
    Otherwise ``x`` is uint8, one sample after the other, and ``offsets`` tells where each ends: int32, or int64
    from 2 GiB on.
    """

    x: Tensor
    y: Tensor
    offsets: Tensor

    def __init__(self, shape: tuple[int, ...], codec: Codec) -> None:
        """Start empty.

        Args:
            shape: shape of one sample before it is encoded.
            codec: how samples are stored.

        Raises:
            OptionError: the codec cannot take such samples.
        """
        super().__init__()
        self.shape, self.codec = shape, codec
        layout = codec.layout(shape)
        self.sizes_vary = layout is None
        dtype, stored = layout or (torch.uint8, ())
        self.hold("x", torch.empty(0, *stored, dtype=dtype), kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        if self.sizes_vary:
            self.hold("offsets", torch.empty(0, dtype=torch.int32), kind="offsets")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.y)

    def samples(self) -> Samples:
        """Return the samples, decoded."""
        return Samples(self.decoded(self.encoded()), self.y.long())

    def encoded(self) -> Encoded:
        """Return the samples as they are held."""
        if not self.sizes_vary:
            return Encoded.of(self.x)
        ends = self.offsets.cpu().long()
        return Encoded(self.x, ends.diff(prepend=ends.new_zeros(1)))

    def decoded(self, encoded: Encoded) -> Tensor:
        """Decode samples of this memory to ``[N, *shape]``."""
        return self.codec.decode(encoded.flat, encoded.offsets, self.shape)

    def replace(self, encoded: Encoded, labels: Tensor) -> None:
        """Hold other samples instead; ``labels`` are int64 ``[N]``."""
        device = self.y.device
        self.y = labels.int().to(device)
        if self.sizes_vary:
            dtype = torch.int32 if len(encoded.flat) < INT32_BYTES else torch.int64
            self.x, self.offsets = encoded.flat, encoded.offsets[1:].to(device, dtype)
        else:
            self.x = encoded.flat.view(self.x.dtype).view(-1, *self.x.shape[1:])
