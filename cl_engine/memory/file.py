"""Tensors as one safetensors file in memory, each copied once: straight into its place."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

CODES = {  # wide types first, in whose order tensors stand in the file: so each is aligned to its own width
    torch.int64: "I64", torch.float64: "F64", torch.float32: "F32", torch.int32: "I32", torch.bfloat16: "BF16",
    torch.float16: "F16", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
ALIGNED = 8  # bytes: where the tensors begin is a multiple of it


class TensorFile:
    """What ``safetensors.torch.save`` would write, at the cost of one copy.

    Args:
        tensors: dense ones of the types in ``CODES``, on any device, in any stride; they may share memory.

    >>> TensorFile({"a": torch.ones(2)}).views()
    {'a': tensor([1., 1.])}
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._placed: list[tuple[str, torch.dtype, tuple[int, ...], slice]] = []
        header, end, order = {}, 0, list(CODES)
        for name, tensor in sorted(tensors.items(), key=lambda named: (order.index(named[1].dtype), named[0])):
            start, shape = end, tuple(tensor.shape)
            end += tensor.numel() * tensor.element_size()
            header[name] = {"dtype": CODES[tensor.dtype], "shape": shape, "data_offsets": (start, end)}
            self._placed.append((name, tensor.dtype, shape, slice(start, end)))
        written = json.dumps(header, separators=(",", ":")).encode()
        written += b" " * (-len(written) % ALIGNED)
        written = len(written).to_bytes(8, "little") + written
        self._bytes = torch.empty(len(written) + end, dtype=torch.uint8)
        self._bytes[: len(written)] = torch.frombuffer(bytearray(written), dtype=torch.uint8)
        self._values = self._bytes[len(written) :]
        for name, place in self.views().items():
            place.copy_(tensors[name].detach())

    @property
    def data(self) -> memoryview:
        """The file, whole; it cannot be written to."""
        return self._bytes.numpy().data.toreadonly()

    def views(self) -> dict[str, Tensor]:
        """The tensors where they stand in the file: for who reads them and keeps none."""
        return {name: self._values[at].view(dtype).view(shape) for name, dtype, shape, at in self._placed}
