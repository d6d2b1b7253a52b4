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

    Args:
        task: whom it is charged to.
        parameters: what is there anyway.
        name: under which it is charged.
    """
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield
    task.charge(name, sum(saved.values()))
