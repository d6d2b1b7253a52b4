"""Model bytes: what the model is held as between experiences.

Packing rounds the model's floating-point tensors (kinds ``parameters``, ``head``, ``buffers``) to a smaller type;
unpacking gives the strategy values to go on with.  The packed tensors are what is charged, saved and evaluated, so
the accuracy that is reported is the accuracy of what was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from cl_engine.memory.ledger import Entry

ModelDtype = Literal["float32", "float16", "bfloat16", "int8"]
MODEL_KINDS = ("parameters", "head", "buffers")
SCALE = "#scale"  # no attribute of a module can be called that


def pack(tensors: dict[str, Tensor], entries: Sequence[Entry], dtype: ModelDtype) -> dict[str, Tensor]:
    """Round the model's float tensors to ``dtype``.

    ``int8`` keeps a float32 scale beside each tensor, one for each row of a matrix or filter bank and one for a
    vector: the largest magnitude becomes 127.  Other tensors stay as they are.
    """
    if dtype == "float32":
        return tensors
    packed = {}
    model = {entry.name for entry in entries if _is_packed(entry)}
    for name, tensor in tensors.items():
        if name not in model:
            packed[name] = tensor
        elif dtype == "int8":
            rows = _rows(tensor).float()
            scale = rows.abs().amax(1) / 127 if rows.numel() else rows.new_zeros(len(rows))
            rounded = (rows / scale.clamp(min=1e-38)[:, None]).round().clamp(-127, 127)
            packed[name] = rounded.to(torch.int8).reshape(tensor.shape)
            packed[name + SCALE] = scale
        else:
            packed[name] = tensor.to(getattr(torch, dtype))
    return packed


def unpack(tensors: Mapping[str, Tensor], dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """Undo :func:`pack`, up to its rounding.

    Args:
        tensors: the packed ones, by name.
        dtypes: type of each tensor before it was packed, by name; others stay as they are.
    """
    unpacked = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE):
            continue
        scale = tensors.get(name + SCALE)
        if scale is not None:
            tensor = (_rows(tensor).float() * scale[:, None]).reshape(tensor.shape)
        elif dtypes.get(name) == torch.float32 and tensor.dtype in (torch.float16, torch.bfloat16):
            tensor = tensor.float()
        unpacked[name] = tensor
    return unpacked


def packed_entries(entries: Sequence[Entry], dtype: ModelDtype) -> list[Entry]:
    """Return the ledger of packed tensors from the ledger of a strategy."""
    if dtype == "float32":
        return list(entries)
    result = []
    for entry in entries:
        if not _is_packed(entry):
            result.append(entry)
            continue
        values = entry.bytes // 4
        result.append(entry._replace(dtype=dtype, bytes=values * (1 if dtype == "int8" else 2)))
        if dtype == "int8":
            rows = entry.shape[0] if len(entry.shape) > 1 else 1
            result.append(Entry(entry.kind, entry.name + SCALE, (rows,), "float32", 4 * rows))
    return result


def _rows(tensor: Tensor) -> Tensor:
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(1, -1)


def _is_packed(entry: Entry) -> bool:
    return entry.kind in MODEL_KINDS and entry.dtype == "float32"
