"""What a loss saves for its backward pass, measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cl_engine.terms.task import Task


@contextmanager
def charged_activations(
    task: Task, parameters: Sequence[nn.Parameter], name: str = "activations"
) -> Iterator[None]:
    """Measure what autograd saves for the backward pass, each storage once, parameters excluded.

    What is freed in between, as by a gradient that the loss itself takes, counts while it is there.

    Args:
        task: whom it is charged to.
        parameters: what is there anyway.
        name: under which it is charged.
    """
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved = _Saved()

    def pack(tensor: Tensor) -> Tensor | _Held:
        return tensor if tensor.untyped_storage().data_ptr() in own else _Held(tensor, saved)

    def unpack(held: Tensor | _Held) -> Tensor:
        return held.tensor if isinstance(held, _Held) else held

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield
    task.charge(name, saved.most)


class _Saved:
    """Counts the bytes of storages that are saved now, and the most that ever were."""

    def __init__(self) -> None:
        self.times: dict[int, int] = {}  # a storage, and how many saved tensors lie in it
        self.now = self.most = 0


class _Held:
    """A saved tensor, counted for as long as the graph holds it."""

    def __init__(self, tensor: Tensor, saved: _Saved) -> None:
        self.tensor, self.saved = tensor, saved
        storage = tensor.untyped_storage()
        self.place, self.bytes = storage.data_ptr(), storage.nbytes()
        saved.times[self.place] = saved.times.get(self.place, 0) + 1
        if saved.times[self.place] == 1:
            saved.now += self.bytes
            saved.most = max(saved.most, saved.now)

    def __del__(self) -> None:
        self.saved.times[self.place] -= 1
        if not self.saved.times[self.place]:
            self.saved.now -= self.bytes
