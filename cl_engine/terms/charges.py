"""Bytes that exist only while an experience is learned."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Charges:
    """The largest amount charged under each name; what a policy that lists kinds can count."""

    def __init__(self) -> None:
        self._largest: dict[str, int] = {}

    def add(self, name: str, amount: int) -> None:
        """Charge ``amount`` bytes under ``name``; of several charges under one name the largest counts.

        Raises:
            TypeError: the amount is no integer, or the name no text.
            ValueError: the amount is negative.
        """
        if type(amount) is not int or type(name) is not str:
            raise TypeError(f"got the charge {name!r}: {amount!r}; allowed: a text and a whole number of bytes")
        if amount < 0:
            raise ValueError(f"got the charge {name!r}: {amount}; allowed: 0 bytes or more")
        self._largest[name] = max(self._largest.get(name, 0), amount)

    def largest(self) -> dict[str, int]:
        """Return the bytes by name, a copy."""
        return dict(self._largest)


def bytes_of(value: object) -> int:
    """Return the bytes of all tensors in a module, an optimizer, a tensor, or containers of these.

    >>> bytes_of(nn.Linear(2, 3)), bytes_of({"logits": torch.zeros(4)}), bytes_of(None)
    (36, 16, 0)
    """
    return sum({id(t): t.numel() * t.element_size() for t in _tensors(value)}.values())


def _tensors(value: object) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif isinstance(value, torch.optim.Optimizer):
        yield from _tensors(list(value.state.values()))
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dict__"):
        yield from _tensors(list(vars(value).values()))
