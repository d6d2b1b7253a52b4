"""The frame of methods that hold weights near where they were, each by its importance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from cl_engine.data.samples import Samples
from cl_engine.losses import quadratic_penalty
from cl_engine.memory.beside import Beside
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task

StrengthOption = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False, description="weight of the penalty, lambda; a large one needs a small lr"),
]
CHUNK, CHUNK_BYTES = 64, 2**28  # samples, and bytes of their gradients, that are looked at together


class Anchored(Finetune):
    """Holds two tensors beside every trained weight, its importance and its anchor: three networks in all.

    The loss is cross-entropy and ``strength`` times :func:`quadratic_penalty`; a subclass says what is important.
    """

    def __init__(self, *, backbone: BackboneOption, strength: float) -> None:
        super().__init__(backbone=backbone)
        self.strength = strength
        self.importance, self.anchor = Beside("importance"), Beside("anchor")

    def begin(self, task: Task) -> None:
        """Grow the head; what is new has no importance yet."""
        super().begin(task)
        self.importance.grow(self.network)
        self.anchor.grow(self.network)

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy and the penalty, a scalar."""
        return super().loss(batch) + self.strength * self.penalty()

    def penalty(self) -> Tensor:
        """Return the squared distance of the weights to the anchor, weighted by importance, a scalar."""
        return pull(self.network, self.anchor, self.importance)


class Measured(Anchored):
    """Importance is a mean over samples, measured once they were trained on; earlier importance stays.

    Online, a sample is measured once its micro-batch was trained on.
    """

    decay = 1.0  # share of the earlier importance that stays

    def measured(self, samples: Samples, chunk: int) -> dict[str, Tensor]:
        """Return the importance of each weight for each single sample, summed over the samples, by name."""
        raise NotImplementedError

    def learn(self, task: Task, samples: Samples) -> None:
        """Train under the penalty, then measure what mattered for these samples."""
        super().learn(task, samples)
        found, size = self._found(task), bytes_of(trained(self.network))
        chunk = max(1, min(CHUNK, CHUNK_BYTES // size, len(samples)))
        task.charge("gradients per sample", chunk * size)
        if not task.dry:
            found.count += len(samples)
            for name, sums in self.measured(samples, chunk).items():
                found.sums[name] += sums

    @torch.no_grad()
    def end(self, task: Task) -> None:
        """Fold in what mattered and move the anchor to where the weights are; nothing where no sample came."""
        found = self._found(task)
        if not found.count:
            return
        for name, parameter in trained(self.network).items():
            self.importance[name].mul_(self.decay).add_(found.sums[name] / found.count)
            self.anchor[name].copy_(parameter)

    def _found(self, task: Task) -> Found:
        return task.keep(
            "importance so far",
            lambda: Found({name: torch.zeros_like(p) for name, p in trained(self.network).items()}),
        )


@dataclass
class Found:
    """Importance of an experience so far.

    Attributes:
        sums: by parameter, of its shape.
        count: over how many samples.
    """

    sums: dict[str, Tensor]
    count: int = 0


def trained(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that take a gradient, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def pull(module: nn.Module, anchor: Beside, importance: Beside) -> Tensor:
    """Return the :func:`quadratic_penalty` of a module's trained parameters, a scalar."""
    weights = trained(module)
    return quadratic_penalty([*weights.values()], [anchor[n] for n in weights], [importance[n] for n in weights])


def sums_over_samples(
    module: nn.Module,
    samples: Samples,
    value: Callable[[Tensor, Tensor], Tensor],
    fold: Callable[[Tensor], Tensor],
    chunk: int = CHUNK,
) -> dict[str, Tensor]:
    """Return ``fold`` of each single sample's gradient of ``value``, summed over the samples.

    Args:
        module: maps samples to logits; in evaluation mode, as batch norm cannot normalise a single sample.
        samples: with their labels.
        value: maps logits ``[1, C]`` and label ``[1]`` to a scalar.
        fold: maps gradients elementwise, such as their squares.
        chunk: samples whose gradients exist at the same time.

    Returns:
        By name of each parameter that takes a gradient, of its shape; 0 where the value does not depend on it.
    """
    weights = {name: p.detach() for name, p in trained(module).items()}

    def value_of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return value(functional_call(module, weights, (x[None],)), y[None])

    per_sample = vmap(grad(value_of_one), (None, 0, 0))
    sums = {name: torch.zeros_like(p) for name, p in weights.items()}
    for batch in samples.batches(chunk):
        for name, gradients in per_sample(weights, batch.x, batch.y).items():
            sums[name] += fold(gradients).sum(0)
    return sums
