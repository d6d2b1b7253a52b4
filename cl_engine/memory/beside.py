"""A tensor beside every parameter: importances, anchors, path integrals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cl_engine.memory.held import Held


class Beside(Held):
    """One held tensor beside each trained parameter of a module, 0 where the module has grown since.

    Grow it in ``begin``, after the module itself has grown; ``beside[name]`` is the tensor beside the parameter of
    that name, of its shape, type and device.

    Args:
        kind: what the ledger calls these tensors.

    >>> layer, importance = nn.Linear(2, 3), Beside("importance")
    >>> importance.grow(layer)["weight"].shape
    torch.Size([3, 2])
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def grow(self, module: nn.Module) -> Beside:
        """Follow the module's parameters that take a gradient: new ones, new rows and new columns are 0."""
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            grown, old = torch.zeros_like(parameter), self._buffers.get(_key(name))
            if old is not None:
                grown[tuple(map(slice, old.shape))] = old
            self.hold(_key(name), grown, kind=self.kind)
        return self

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a tensor beside the parameter ``name``."""
        return _key(name) in self._buffers

    def __getitem__(self, name: str) -> Tensor:
        """Return the tensor beside the parameter ``name``."""
        return self.get_buffer(_key(name))


def _key(name: str) -> str:
    return name.replace(".", "/")  # a module's own names have no dots
