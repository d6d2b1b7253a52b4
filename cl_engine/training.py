"""The one training loop of all gradient strategies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_engine.data.samples import Samples

if TYPE_CHECKING:
    from cl_engine.strategies.task import Task


class DivergedError(RuntimeError):
    """The training loss is no finite number any more."""


@dataclass(frozen=True)
class Training:
    """The `training` section of a scenario; read by strategies that train by gradient descent."""

    epochs: Annotated[int, Field(ge=1, description="passes over the samples of an experience")] = 20
    batch_size: Annotated[int, Field(ge=1, description="samples of one step")] = 64
    lr: Annotated[float, Field(gt=0, description="learning rate at the start of an experience")] = 0.05
    optimizer: Annotated[
        Literal["sgd", "adam"], Field(description="SGD with momentum, or Adam; made new for each experience")
    ] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1, description="momentum of SGD; Adam ignores it")] = 0.9
    weight_decay: Annotated[float, Field(ge=0, description="L2 penalty in the gradient")] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine"], Field(description="learning rate within an experience; cosine ends at 0")
    ] = "cosine"


def fit(module: nn.Module, samples: Samples, task: Task, loss: Callable[[Samples], Tensor]) -> None:
    """Minimise ``loss`` over the samples, as ``task.training`` says; leaves ``module`` in evaluation mode.

    Every epoch is a fresh permutation (generator purpose ``batches``).  Parameters with ``requires_grad`` are
    trained.  What exists only while training is charged to the task: gradients, optimizer state, activations
    saved for the backward pass, and the batch itself.

    Raises:
        DivergedError: the loss of an epoch is not finite.
    """
    options = task.training
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer: torch.optim.Optimizer
    if options.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            parameters, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay
        )
    else:
        optimizer = torch.optim.Adam(parameters, lr=options.lr, weight_decay=options.weight_decay)
    steps = options.epochs * math.ceil(len(samples) / options.batch_size)
    generator = task.generator("batches")
    module.train()
    step = 0
    for epoch in range(options.epochs):
        total = torch.zeros((), device=samples.y.device)
        for batch in samples.batches(options.batch_size, generator):
            if options.schedule == "cosine":
                for group in optimizer.param_groups:
                    group["lr"] = options.lr * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.zero_grad(set_to_none=True)
            if step == 0:  # the first batch is as large as any, so measuring it is enough
                with _charged_activations(task, parameters):
                    value = loss(batch)
            else:
                value = loss(batch)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if step == 0:
                _charge(task, parameters, optimizer, batch)
            total += value.detach()
            step += 1
        if not torch.isfinite(total):  # one synchronisation an epoch
            raise DivergedError(
                f"the training loss is {float(total)} in epoch {epoch + 1} of experience {task.index + 1}; "
                f"training.lr is {options.lr}, a smaller one may help"
            )
        task.progress(f"epoch {epoch + 1}/{options.epochs}")
    module.eval()


def _charge(task: Task, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer, batch: Samples) -> None:
    state = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
    task.charge("gradients", sum(_bytes(p.grad) for p in parameters if p.grad is not None))
    task.charge("optimizer", sum(map(_bytes, state)))
    task.charge("batch", _bytes(batch.x) + _bytes(batch.y))


@contextmanager
def _charged_activations(task: Task, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Measure what autograd saves for the backward pass, each storage once, parameters excluded."""
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield
    task.charge("activations", sum(saved.values()))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
