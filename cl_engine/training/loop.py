"""The one training loop of all gradient strategies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.memory.exemplars.encoded import EncodedSamples
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.training.augmentation import Augmentation, augmentation_of
from cl_engine.training.augmentation import views as views_of
from cl_engine.training.stepper import FitError, Hook, Stepper

Mix = Literal["joint", "balanced"] | int
Groups = Sequence[Mapping[str, Any]]


class DivergedError(EngineError, RuntimeError):
    """The training loss is no finite number any more."""


def fit(
    module: nn.Module,
    samples: Samples,
    task: Task,
    loss: Callable[[Samples], Tensor],
    memory: Samples | EncodedSamples | None = None,
    *,
    mix: Mix = "joint",
    views: int = 1,
    groups: Groups | None = None,
    training: Training | None = None,
    name: str = "main",
    before_step: Hook | None = None,
    after_step: Hook | None = None,
    whole: bool = False,
    distinct: bool = False,
) -> None:
    """Minimise ``loss``, as ``task.training`` says; leaves ``module`` in evaluation mode.

    Offline: ``epochs`` passes over the samples, each a fresh permutation, with a new optimizer in each call; where
    one sample is left over beside full batches, the pass ends without it, as batch norm cannot normalise it.
    Online, where ``samples`` is one micro-batch: ``updates_per_sample`` steps for each of its samples (a fraction
    is carried on), every one on the whole micro-batch; the optimizer of a ``name`` lives for the experience and its
    learning rate is constant.

    What exists only while training is charged to the task: gradients, optimizer state, activations saved for the
    backward pass, and the batch itself, each the largest that occurred.  Optimizers that live side by side, of
    several names online, are charged together.

    Args:
        module: what is trained, and put into training mode: its parameters with ``requires_grad``.
        samples: the new ones.
        task: the experience.
        loss: maps a batch to a scalar; an argument of every step, so it may hold a teacher or another module.
        memory: samples to rehearse; their rows are marked in ``batch.rehearsed``.  Encoded ones, such as
            :class:`Exemplars`, are decoded as they are drawn online, and offline once for a call, which is charged
            as ``decoded exemplars``.
        mix: ``joint``: offline one shuffled set of samples and memory, online the micro-batch filled up to
            ``batch_size``; ``balanced``: each batch of new samples and as many drawn from the memory; a number:
            so many drawn beside each batch.  Draws are uniform, with replacement.
        views: how often every row stands in a batch, all rows of the first view first, each augmented on its own.
        groups: parameter groups as of a ``torch.optim`` optimizer, with own ``lr``, ``momentum`` or
            ``weight_decay``; default: one group of all that is trained.
        training: options instead of the task's, of a second stage for example.
        name: whose optimizer this is; a second stage or a second module has another name.
        before_step: called before every step of the optimizer, once gradients are there and before they are
            clipped; it may change them.  What it takes it charges itself; a plan calls it once.
        after_step: called after every step of the optimizer, while gradients are still there.
        whole: the samples are all there is to train on, so train as offline in an online stream too.
        distinct: draw none twice beside a batch, and all where the memory has no more.

    Raises:
        DivergedError: the loss is not finite at the end of an epoch or micro-batch.
        FitError: nothing takes a gradient; the loss is no scalar that depends on what is trained; or online, the
            name belongs to the optimizer of other parameters.

    >>> from cl_engine.scenarios.exposure import Exposure
    >>> task = Task(0, Exposure((0, 1), (0, 1), 2), shape=(4,), training=Training(epochs=1, batch_size=2))
    >>> layer, samples = nn.Linear(4, 2), Samples(torch.randn(6, 4), torch.tensor([0, 1] * 3))
    >>> fit(layer, samples, task, lambda batch: nn.functional.cross_entropy(layer(batch.x), batch.y))
    >>> task.transient["gradients"]
    40
    """
    options = training or task.training
    online = task.online and not whole
    stepper = _stepper(module, task, options, groups, name if online else None)
    loop = _Loop(samples, memory, mix, views, options, task, name, online, distinct)
    stepper.parts.train(True)
    if task.dry:
        for batch in loop.first():
            stepper.measure(batch, loss, before_step)
    else:
        steps = _fit_micro_batch if online else _fit_epochs
        steps(loop, stepper, partial(stepper.step, loss=loss, before_step=before_step, after_step=after_step))
    stepper.parts.train(False)


def _stepper(module: nn.Module, task: Task, options: Training, groups: Groups | None, name: str | None) -> Stepper:
    """Return a new stepper, or where it has a ``name`` that of the experience."""
    if name is None:
        return Stepper(module, task, options, groups)
    if name not in task.steppers:
        task.steppers[name] = Stepper(module, task, options, groups)
    stepper: Stepper = task.steppers[name]
    if not stepper.trains(module, groups):
        raise FitError(
            f"the optimizer {name!r} of this experience trains other parameters than fit() is asked to train now; "
            "allowed: another name for another module, and what takes a gradient stays the same for an experience"
        )
    return stepper


def _fit_epochs(loop: _Loop, stepper: Stepper, step: Callable[[Samples], Tensor]) -> None:
    options, task = loop.options, loop.task
    per_epoch = loop.batches_per_epoch
    for epoch in range(options.epochs):
        total = torch.zeros((), device=loop.samples.y.device)
        for number, batch in enumerate(loop.epoch()):
            stepper.set_rate(rate(options, epoch * per_epoch + number, per_epoch))
            total += step(batch)
        stepper.flush()
        _check_finite(total, stepper, task, f"epoch {epoch + 1}")  # one synchronisation an epoch
        task.progress(f"epoch {epoch + 1}/{options.epochs}")


def _fit_micro_batch(loop: _Loop, stepper: Stepper, step: Callable[[Samples], Tensor]) -> None:
    stepper.due += len(loop.samples) * loop.options.updates_per_sample
    total = torch.zeros((), device=loop.samples.y.device)
    while stepper.due >= 1:
        stepper.due -= 1
        total += step(loop.micro_batch())
    _check_finite(total, stepper, loop.task, "a micro-batch")


class _Loop:
    """Makes the batches of one call: new samples, those drawn from the memory beside them, views."""

    def __init__(
        self,
        samples: Samples,
        memory: Samples | EncodedSamples | None,
        mix: Mix,
        views: int,
        options: Training,
        task: Task,
        name: str,
        online: bool,
        distinct: bool,
    ) -> None:
        self.online, self.distinct = online, distinct
        self.samples, self.mix, self.views, self.options, self.task = samples, mix, views, options, task
        self.memory = memory if memory is not None and len(memory) else None
        if isinstance(self.memory, EncodedSamples) and not online:
            self.memory = decoded(self.memory, task)
        if isinstance(self.memory, Samples) and mix == "joint" and not online:
            self.samples, self.memory = _joined(samples, self.memory), None
        self.augmentation: Augmentation | None = augmentation_of(options.augmentation)
        suffix = "" if name == "main" else f"/{name}"
        self.order, self.draws, self.changes = (
            task.generator(purpose + suffix) for purpose in ("batches", "rehearsal", "augmentation")
        )

    @property
    def batches_per_epoch(self) -> int:
        return math.ceil(len(self.samples) / self.options.batch_size)

    def first(self) -> Iterator[Samples]:
        """Yield one batch as large as any, if there is one."""
        if self.online:
            yield self.micro_batch()
        else:
            for batch in self.samples.batches(self.options.batch_size):
                yield self._prepared(self._with_memory(batch))
                return

    def epoch(self) -> Iterator[Samples]:
        """Yield the batches of one pass over the samples."""
        for new in self.samples.batches(self.options.batch_size, self.order):
            batch = self._prepared(self._with_memory(new))
            if len(batch) == 1 < min(self.options.batch_size, len(self.samples)):
                continue  # batch norm cannot normalise a lone rest; the next permutation places it elsewhere
            yield batch

    def micro_batch(self) -> Samples:
        """Return the micro-batch with what is rehearsed beside it; tensors that a loss may change."""
        batch = self._prepared(self._with_memory(self.samples))
        return batch.clone() if batch is self.samples else batch

    def _with_memory(self, batch: Samples) -> Samples:
        if self.memory is None:
            return batch
        if self.mix == "joint":
            count = max(self.options.batch_size - len(batch), 0)
        else:
            count = len(batch) if self.mix == "balanced" else int(self.mix)
        if not count:
            return batch
        if self.distinct:
            drawn = torch.randperm(len(self.memory), generator=self.draws)[:count]
        else:
            drawn = torch.randint(len(self.memory), (count,), generator=self.draws)
        return _joined(batch, self.memory[drawn.to(batch.y.device)])

    def _prepared(self, batch: Samples) -> Samples:
        if self.augmentation is None and self.views == 1:
            return batch
        repeated = batch.repeated(self.views)
        if self.augmentation is None:
            return repeated
        x = views_of(batch.x, self.augmentation, self.changes, self.views)
        return Samples(x, repeated.y, repeated.columns)


def decoded(memory: EncodedSamples, task: Task) -> Samples:
    """Return all samples of a memory, charged as ``decoded exemplars``; raw ones are used where they are held."""
    samples = memory.samples(copy=False)
    if samples.x.data_ptr() != memory.x.data_ptr():
        task.charge("decoded exemplars", samples.x.numel() * samples.x.element_size())
    return samples


def _joined(new: Samples, memory: Samples) -> Samples:
    """Return both, those from the memory marked as rehearsed."""
    both = new + memory
    mark = torch.arange(len(both), device=both.y.device) >= len(new)
    return both.with_columns(rehearsed=mark)


def rate(options: Training, batches: int, per_epoch: int) -> float:
    """Return the factor of the learning rate for the next batch, after so many batches."""
    warm, whole = options.warmup * per_epoch, options.epochs * per_epoch
    if batches < warm:
        return (batches + 1) / math.ceil(warm)
    if options.schedule == "cosine":
        return (1 + math.cos(math.pi * (batches - warm) / max(whole - warm, 1))) / 2
    if options.schedule == "milestones":
        passed = sum(batches >= milestone * per_epoch for milestone in options.milestones or ())
        return float(options.decay**passed)
    return 1.0


def _check_finite(total: Tensor, stepper: Stepper, task: Task, where: str) -> None:
    if torch.isfinite(total):
        return
    why = f"training.lr is {task.training.lr}, a smaller one may help"
    if total.isnan() and all(bool(weight.isfinite().all()) for weight in stepper.parts.module.parameters()):
        why = "the weights are finite, so the loss itself makes it: is it a mean over no rows, or a logarithm of 0?"
    raise DivergedError(f"the training loss is {float(total)} in {where} of experience {task.index + 1}; {why}")
