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
from cl_engine.errors import EngineError

if TYPE_CHECKING:
    from cl_engine.terms.task import Task


class DivergedError(EngineError, RuntimeError):
    """The training loss is no finite number any more."""


@dataclass(frozen=True)
class Training:
    """The `training` section of a scenario; read by strategies that train by gradient descent."""

    epochs: Annotated[int, Field(ge=1, le=10**9, description="passes over the samples of an experience")] = 20
    batch_size: Annotated[int, Field(ge=1, le=10**9, description="samples of one step")] = 64
    lr: Annotated[float, Field(gt=0, le=1e9, description="learning rate at the start of an experience")] = 0.05
    optimizer: Annotated[
        Literal["sgd", "adam"], Field(description="SGD with momentum, or Adam; made new for each experience")
    ] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1, description="momentum of SGD; Adam ignores it")] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1e9, description="L2 penalty in the gradient")] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine"],
        Field(description="learning rate within an offline experience; cosine ends at 0"),
    ] = "cosine"
    updates_per_sample: Annotated[
        float,
        Field(gt=0, description="optimizer steps per delivered sample of an online stream, instead of epochs"),
    ] = 1.0


def fit(
    module: nn.Module,
    samples: Samples,
    task: Task,
    loss: Callable[[Samples], Tensor],
    memory: Samples | None = None,
) -> None:
    """Minimise ``loss``, as ``task.training`` says; leaves ``module`` in evaluation mode.

    Offline: ``epochs`` passes over samples and memory together, each a fresh permutation.  Online, where
    ``samples`` is one micro-batch: ``updates_per_sample`` steps for each of its samples (a fraction is carried on),
    every one on the whole micro-batch, filled up to ``batch_size`` with samples drawn from the memory; the
    optimizer lives for the experience and its learning rate is constant.

    Parameters with ``requires_grad`` are trained.  What exists only while training is charged to the task:
    gradients, optimizer state, activations saved for the backward pass, and the batch itself.

    Raises:
        DivergedError: the loss is not finite at the end of an epoch or micro-batch.
    """
    module.train()
    if task.dry:
        _charge_only(module, samples, task, loss, memory)
    elif task.online:
        _fit_micro_batch(module, samples, task, loss, memory)
    else:
        _fit_epochs(module, samples if memory is None else samples + memory, task, loss)
    module.eval()


def _fit_epochs(module: nn.Module, samples: Samples, task: Task, loss: Callable[[Samples], Tensor]) -> None:
    options, stepper = task.training, Stepper(module, task, loss)
    generator = task.generator("batches")
    steps = options.epochs * math.ceil(len(samples) / options.batch_size)
    for epoch in range(options.epochs):
        total = torch.zeros((), device=samples.y.device)
        for batch in samples.batches(options.batch_size, generator):
            if len(batch) == 1 < len(samples):
                continue  # batch norm cannot normalise a lone sample; the next permutation places it elsewhere
            if options.schedule == "cosine":
                stepper.set_lr(options.lr * (1 + math.cos(math.pi * stepper.steps / steps)) / 2)
            total += stepper.step(batch)
        _check_finite(total, task, f"epoch {epoch + 1}")  # one synchronisation an epoch
        task.progress(f"epoch {epoch + 1}/{options.epochs}")


def _fit_micro_batch(
    module: nn.Module,
    samples: Samples,
    task: Task,
    loss: Callable[[Samples], Tensor],
    memory: Samples | None,
) -> None:
    options = task.training
    if task.stepper is None:
        task.stepper = Stepper(module, task, loss)
    task.updates_due += len(samples) * options.updates_per_sample
    total = torch.zeros((), device=samples.y.device)
    while task.updates_due >= 1:
        task.updates_due -= 1
        batch, room = samples, options.batch_size - len(samples)
        if memory is not None and len(memory) and room > 0:
            drawn = torch.randint(len(memory), (room,), generator=task.generator("rehearsal"))
            batch = samples + memory[drawn.to(samples.y.device)]
        total += task.stepper.step(batch)
    _check_finite(total, task, "a micro-batch")


def _charge_only(
    module: nn.Module, samples: Samples, task: Task, loss: Callable[[Samples], Tensor], memory: Samples | None
) -> None:
    """Charge what training would take, from one forward pass on as large a batch."""
    options = task.training
    everything = samples if memory is None else samples + memory
    batch = everything[: options.batch_size] if not task.online or memory is not None else samples
    batch = Samples(batch.x.clone(), batch.y.clone())  # with a storage of its own to measure
    stepper = Stepper(module, task, loss)
    with _charged_activations(task, stepper.parameters):
        loss(batch)
    weights = sum(map(_bytes, stepper.parameters))
    moments = {"sgd": 1 if options.momentum else 0, "adam": 2}[options.optimizer]
    steps = 4 * len(stepper.parameters) if options.optimizer == "adam" else 0  # Adam counts its steps in float32
    task.charge("gradients", weights)
    task.charge("optimizer", moments * weights + steps)
    task.charge("batch", _bytes(batch.x) + _bytes(batch.y))


class Stepper:
    """An optimizer that counts its steps and, on the first, charges what training takes."""

    def __init__(self, module: nn.Module, task: Task, loss: Callable[[Samples], Tensor]) -> None:
        options = task.training
        self.task, self.loss, self.steps = task, loss, 0
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer: torch.optim.Optimizer
        if options.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                self.parameters, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay
            )
        else:
            self.optimizer = torch.optim.Adam(self.parameters, lr=options.lr, weight_decay=options.weight_decay)

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def step(self, batch: Samples) -> Tensor:
        """Take one step; return the detached loss."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.steps == 0:  # the first batch is as large as any, so measuring it is enough
            with _charged_activations(self.task, self.parameters):
                value = self.loss(batch)
        else:
            value = self.loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.steps == 0:
            _charge(self.task, self.parameters, self.optimizer, batch)
        self.steps += 1
        return value.detach()


def _check_finite(total: Tensor, task: Task, where: str) -> None:
    if not torch.isfinite(total):
        raise DivergedError(
            f"the training loss is {float(total)} in {where} of experience {task.index + 1}; "
            f"training.lr is {task.training.lr}, a smaller one may help"
        )


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
