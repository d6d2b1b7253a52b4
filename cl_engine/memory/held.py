"""Declared state: one declaration feeds the ledger, the checkpoint and resume."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

KIND = re.compile(r"[a-z][a-z0-9 _-]{0,23}")
RESERVED = ("regenerable", "structure")  # the ledger's own words
NAME = re.compile(r"(?!__)[A-Za-z0-9_][A-Za-z0-9_/-]{0,199}")  # of one part of a dotted name
DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
MOST_DIMENSIONS = 8


def unholdable(name: str, tensor: object) -> str | None:
    """Say why something cannot be held under ``name``, a dotted one; None where it can."""
    if not all(NAME.fullmatch(part) for part in name.split(".")):
        return "its name is no plain one; allowed: letters, digits, _, - and /, not beginning with __"
    if not isinstance(tensor, Tensor):
        return f"it is {type(tensor).__name__}; allowed: dense tensors"
    if type(tensor) not in (Tensor, nn.Parameter):
        return f"it is a {type(tensor).__name__}; allowed: plain tensors and parameters, no subclass"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype not in DTYPES:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        return f"it is a {tensor.layout} tensor of {tensor.dtype}; allowed: dense tensors of {allowed}"
    if tensor.ndim > MOST_DIMENSIONS:
        return f"it has {tensor.ndim} dimensions; allowed: {MOST_DIMENSIONS}"
    return None


class Held(nn.Module):
    """A module that declares what it holds beyond its parameters, with a kind for each tensor.

    A held tensor is a module buffer: it is in ``state_dict()``, so it is charged, saved and restored.  Its size
    may change from one experience to the next.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held_kinds: dict[str, str] = {}

    def hold(self, name: str, tensor: Tensor, *, kind: str = "statistics") -> None:
        """Declare (or replace) a tensor that survives the experience.

        ``kind`` is what the ledger calls it: ``exemplars``, ``labels``, ``prototypes``, ``statistics``, ...
        Afterwards ``self.<name>`` reads and writes it.

        Raises:
            ValueError: a name, kind or tensor that no checkpoint can hold.
        """
        if not KIND.fullmatch(kind) or kind in RESERVED:
            raise ValueError(f"got the kind {kind!r}; allowed: a short word such as 'exemplars' or 'class means'")
        if (wrong := unholdable(name, tensor)) or "." in name:
            raise ValueError(f"cannot hold {name!r}: {wrong or 'a name has no dot'}")
        tensor = tensor.contiguous()  # an expanded view could not be loaded into
        self._held_kinds[name] = kind
        if name in self._buffers:
            self._buffers[name] = tensor
        else:
            self.register_buffer(name, tensor)

    def regenerable(self, name: str, tensor: Tensor) -> None:
        """Declare a tensor that ``begin`` rebuilds from a seed: listed in the ledger, held by nobody, 0 bytes."""
        self.register_buffer(name, tensor, persistent=False)
        self._held_kinds[name] = "regenerable"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, present in self._buffers.items():
            saved = state_dict.get(prefix + name)
            if present is None or saved is None or (saved.shape, saved.dtype) == (present.shape, present.dtype):
                continue
            self._buffers[name] = torch.empty_like(saved, device=present.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
