"""Gradients beside those of a step, and what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cl_engine.data.samples import Samples
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.activations import charged_activations


def gradients(
    loss: Callable[[Samples], Tensor],
    batch: Samples,
    parameters: Sequence[nn.Parameter],
    task: Task,
    name: str,
) -> list[Tensor]:
    """Return the gradient of a loss by each parameter, 0 where it has no part; ``.grad`` stays as it is.

    Charges ``<name> gradients``, ``<name> batch`` and ``<name> activations``, which exist beside those of the step.

    Args:
        loss: maps a batch to a scalar.
        batch: what the loss is of.
        parameters: with ``requires_grad``.
        task: whom it is charged to.
        name: what the gradient is, for the charges.

    Raises:
        RuntimeError: the loss depends on nothing that takes a gradient.
    """
    with charged_activations(task, parameters, f"{name} activations"):
        value = loss(batch)
    found = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    task.charge(f"{name} batch", bytes_of([batch.x, batch.y]))
    task.charge(f"{name} gradients", bytes_of(found))
    return list(found)
