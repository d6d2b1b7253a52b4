"""Declared state: one declaration feeds the ledger, the checkpoint and resume."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

KIND = re.compile(r"[a-z][a-z0-9 _-]{0,23}")


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
        """
        if not KIND.fullmatch(kind):
            raise ValueError(f"got the kind {kind!r}; allowed: a short word such as 'exemplars' or 'class means'")
        if tensor.layout == torch.strided:
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
            if saved.numel():
                self._buffers[name] = torch.empty_like(saved, device=present.device)
            else:  # the other lengths of an empty tensor would be information that costs nothing
                shape = (0, *present.shape[1:]) if present.ndim else (0,)
                state_dict[prefix + name] = self._buffers[name] = present.new_empty(shape, dtype=saved.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args)
