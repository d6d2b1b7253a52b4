"""Elastic weight consolidation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.memory.beside import Beside
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task

CHUNK, CHUNK_BYTES = 64, 2**28  # samples, and bytes of their gradients, that are looked at together


class EWC(Finetune):
    """Online EWC (Kirkpatrick et al., PNAS 2017; Schwarz et al., ICML 2018): what mattered stays where it was.

    The loss is ``CE + strength / 2 * sum_j F_j (theta_j - theta*_j)^2``.  F is the diagonal of the empirical Fisher
    matrix, the mean square of each single sample's gradient of log p(y|x) in evaluation mode, and becomes
    ``decay * F + F_new`` after each experience.  Strengths are not portable from code that has no half, or squares
    the gradient of a whole batch, which is smaller by about the batch size.

    Holds two tensors beside every trained weight, its importance and its anchor: three networks in all.  Online,
    a sample's gradient is taken once its micro-batch was trained on.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: Annotated[
            float,
            Field(
                ge=0, allow_inf_nan=False, description="weight of the penalty, lambda; a large one needs a small lr"
            ),
        ] = 10.0,
        decay: Annotated[
            float, Field(ge=0, le=1, description="share of the earlier importance that stays, gamma")
        ] = 1.0,
    ) -> None:
        super().__init__(backbone=backbone)
        self.strength, self.decay = strength, decay
        self.importance, self.anchor = Beside("importance"), Beside("anchor")

    def begin(self, task: Task) -> None:
        """Grow the head; what is new has no importance yet."""
        super().begin(task)
        self.importance.grow(self.network)
        self.anchor.grow(self.network)

    def learn(self, task: Task, samples: Samples) -> None:
        """Train under the penalty, then measure what mattered for these samples."""
        super().learn(task, samples)
        found, size = self._found(task), bytes_of(trained(self.network))
        chunk = max(1, min(CHUNK, CHUNK_BYTES // size, len(samples)))
        task.charge("gradients per sample", chunk * size)
        if not task.dry:
            found.count += len(samples)
            for name, sums in squared_gradients(self.network, samples, chunk).items():
                found.sums[name] += sums

    def loss(self, batch: Samples) -> Tensor:
        """Mean cross-entropy and the penalty, a scalar."""
        return super().loss(batch) + self.strength / 2 * self.penalty()

    def penalty(self) -> Tensor:
        """Return the squared distance of the weights to the anchor, weighted by importance, a scalar."""
        return torch.stack(
            [(self.importance[n] * (p - self.anchor[n]).square()).sum() for n, p in trained(self.network).items()]
        ).sum()

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
    """Squared gradients of an experience so far.

    Attributes:
        sums: by parameter, of its shape.
        count: of how many samples.
    """

    sums: dict[str, Tensor]
    count: int = 0


def trained(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that take a gradient, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def squared_gradients(module: nn.Module, samples: Samples, chunk: int = CHUNK) -> dict[str, Tensor]:
    """Return the square of each single sample's gradient of -log p(y|x), summed over the samples.

    Args:
        module: maps samples to logits; in evaluation mode, as batch norm cannot normalise a single sample.
        samples: with their labels.
        chunk: samples whose gradients exist at the same time.

    Returns:
        By name of each parameter that takes a gradient, of its shape; 0 where the loss does not depend on it.

    >>> layer = nn.Linear(1, 2, bias=False)
    >>> _ = layer.weight.data.zero_()
    >>> squared_gradients(layer, Samples(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 1])))  # (1 + 9) / 4
    {'weight': tensor([[2.5000],
            [2.5000]])}
    """
    weights = {name: p.detach() for name, p in trained(module).items()}

    def loss_of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(module, weights, (x[None],)), y[None])

    per_sample = vmap(grad(loss_of_one), (None, 0, 0))
    sums = {name: torch.zeros_like(p) for name, p in weights.items()}
    for batch in samples.batches(chunk):
        for name, gradients in per_sample(weights, batch.x, batch.y).items():
            sums[name] += gradients.square().sum(0)
    return sums
