"""One optimizer: steps, and what they take while they are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.training.activations import charged_activations
from cl_engine.training.parts import Parts
from cl_engine.training.sgd import SGD

Hook = Callable[[], None]


class FitError(EngineError, ValueError):
    """What is to be trained, or the loss, is nothing that can be trained."""


class Stepper:
    """An optimizer that charges what training takes, whenever a batch is larger than any before.

    Args:
        module: what is trained.
        task: whom it is charged to.
        options: optimizer and precision.
        groups: parameter groups, or None for all that takes a gradient.

    Attributes:
        batches: how many batches were seen.
        parts: the parts of the module that is trained.
        due: steps that delivered samples have earned and that were not taken yet; online only.
        state_bytes: what the optimizer's state takes by now.
    """

    def __init__(
        self, module: nn.Module, task: Task, options: Training, groups: Sequence[Mapping[str, Any]] | None
    ) -> None:
        self.task, self.options = task, options
        self.batches, self.due, self.state_bytes = 0, 0.0, 0
        self._largest, self._waiting, self._states = 0, 0, -1
        self._hooks: tuple[Hook | None, Hook | None] = (None, None)
        self.parts = Parts(module)
        self._groups, self._all = _trained(module, groups), groups is None
        self.parameters = [p for group in self._groups for p in group["params"]]
        self.optimizer = _optimizer(self._groups, options, task.device)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        bf16 = options.precision == "bf16"
        self._precision = torch.autocast(task.device.type, torch.bfloat16) if bf16 else nullcontext()
        self._channels_last = _wants_channels_last(module, options, task)
        if self._channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._compiled: tuple[Callable[[Samples], Tensor], Callable[[Samples], Tensor]] | None = None

    def trains(self, module: nn.Module, groups: Sequence[Mapping[str, Any]] | None) -> bool:
        """Tell whether these are the parameters that it trains."""
        if groups is None and self._all and module is self.parts.module and self.parts.unchanged:
            return True
        asked = [id(p) for group in _trained(module, groups) for p in group["params"]]
        return asked == [id(p) for p in self.parameters]

    def set_rate(self, factor: float) -> None:
        """Set the learning rates of the next step to a share of what they are at the start."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def step(
        self,
        batch: Samples,
        loss: Callable[[Samples], Tensor],
        *,
        before_step: Hook | None = None,
        after_step: Hook | None = None,
    ) -> Tensor:
        """Take a step, or with ``accumulate`` a part of one; return the detached loss.

        Args:
            batch: what the loss is of.
            loss: maps a batch to a scalar.
            before_step: called before a step of the optimizer, once gradients are averaged and not yet clipped.
            after_step: called after a step of the optimizer.
        """
        self._hooks = before_step, after_step
        if not self._waiting:
            self._forget_gradients()
        value = self._backward(batch, loss)
        self.batches += 1
        self._waiting += 1
        if self._waiting == self.options.accumulate:
            self.flush()
        return value.detach()

    def flush(self) -> None:
        """Take the step that accumulated gradients wait for, if any."""
        if not self._waiting:
            return
        before_step, after_step = self._hooks
        if self._waiting > 1:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(self._waiting)
        if self.task.observe is not None:
            self.task.observe(self.parameters)
        if before_step is not None:
            before_step()
        if self.options.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        self._waiting = 0
        self.optimizer.step()
        if len(self.optimizer.state) != self._states:
            self._states = len(self.optimizer.state)
            self._charge_state(bytes_of(self.optimizer.state))
        if after_step is not None:
            after_step()

    def measure(self, batch: Samples, loss: Callable[[Samples], Tensor], before_step: Hook | None = None) -> None:
        """Charge what a step on ``batch`` would take, without taking it."""
        self._backward(batch, loss)
        if before_step is not None:
            before_step()
        self._charge_state(self._bytes_of_state())
        self._forget_gradients()

    def _backward(self, batch: Samples, loss: Callable[[Samples], Tensor]) -> Tensor:
        if self._channels_last and batch.x.ndim == 4:
            x = batch.x.contiguous(memory_format=torch.channels_last)
            batch = Samples(x, batch.y, batch.columns)
        larger = len(batch) > self._largest
        if larger:  # what is a view of a larger storage would be measured as that
            self._largest, batch = len(batch), batch.clone()
            self.task.charge("batch", bytes_of([batch.x, batch.y]))
        if self.options.compile:
            if self._compiled is None or self._compiled[0] != loss:  # the last one alone: online there are many
                self._compiled = loss, torch.compile(loss)
            loss = self._compiled[1]
        measured = charged_activations(self.task, self.parameters) if larger else nullcontext()
        with measured, self._precision:
            value = loss(batch)
        if not (isinstance(value, Tensor) and value.ndim == 0 and value.requires_grad):
            raise FitError(f"the loss is {_described(value)}; allowed: a scalar that depends on what is trained")
        value.backward()  # type: ignore[no-untyped-call]
        if larger:
            self.task.charge("gradients", bytes_of([p.grad for p in self.parameters]))
        return value

    def _forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _charge_state(self, amount: int) -> None:
        """Charge the state of the optimizer together with those that live beside it for an online experience."""
        self.state_bytes = amount
        self.task.charge("optimizer", sum(s.state_bytes for s in {self, *self.task.steppers.values()}))

    def _bytes_of_state(self) -> int:
        """Bytes of the optimizer's state after a step on what has a gradient now."""
        total = 0
        for group in self.optimizer.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if self.options.optimizer != "sgd":
                total += 2 * bytes_of(moved) + 4 * len(moved)  # two moments; Adam counts its steps in float32
            elif group["momentum"]:
                total += bytes_of(moved)
        return total


def _described(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"a tensor {list(value.shape)}" if value.ndim else "a number without a gradient"


def _trained(module: nn.Module, groups: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return parameter groups that hold only what takes a gradient, without empty ones."""
    asked = [{"params": module.parameters()}] if groups is None else groups
    kept = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in asked]
    return [group for group in kept if group["params"]] or [{"params": []}]


def _optimizer(
    groups: list[dict[str, Any]], options: Training, device: torch.device
) -> SGD | torch.optim.Optimizer:
    if not groups[0]["params"]:
        raise FitError("nothing to train: no parameter takes a gradient; allowed: a module with one that does")
    if options.optimizer == "sgd":
        return SGD(
            groups,
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            nesterov=options.nesterov,
        )
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    fused = True if device.type == "cuda" else None
    return kind(groups, lr=options.lr, weight_decay=options.weight_decay, fused=fused)


def _wants_channels_last(module: nn.Module, options: Training, task: Task) -> bool:
    if options.channels_last != "auto":
        wanted = options.channels_last
    else:
        wanted = options.precision == "bf16" or task.device.type == "cuda"
    return wanted and any(isinstance(part, nn.Conv2d) for part in module.modules())
