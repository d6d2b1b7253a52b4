"""Elastic weight consolidation."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.memory.beside import Beside
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

CHUNK = 64  # samples whose gradients are held at a time


class Sums:
    """Squared gradients of an experience's samples so far, summed."""

    def __init__(self, network: nn.Module) -> None:
        self.count = 0
        self.squares = {n: torch.zeros_like(p) for n, p in network.named_parameters() if p.requires_grad}


class EWC(Finetune):
    """Online EWC (Kirkpatrick et al., PNAS 2017; Schwarz et al., ICML 2018): what mattered stays where it was.

    The importance of a weight is the mean squared gradient of the log-likelihood of the samples' own labels (the
    empirical Fisher diagonal), in evaluation mode after training; earlier importances decay.  Holds two tensors
    beside every weight, its importance and its anchor: three networks in all, and the ledger says so.
    """

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: Annotated[float, Field(ge=0, description="weight of the penalty, lambda")] = 100.0,
        decay: Annotated[
            float, Field(ge=0, le=1, description="share of the old importance that stays, gamma")
        ] = 1.0,
    ) -> None:
        super().__init__(backbone=backbone)
        self.strength, self.decay = strength, decay
        self.importance, self.anchor = Beside("importance"), Beside("anchor")

    def begin(self, task: Task) -> None:
        """Grow the head; what is new matters to nobody yet."""
        super().begin(task)
        self.importance.grow(self.network)
        self.anchor.grow(self.network)

    def learn(self, task: Task, samples: Samples) -> None:
        """Train under the penalty, then measure what mattered for these samples."""
        fit(self.network, samples, task, self.penalised_loss)
        sums = self._sums(task)
        if not task.dry:
            sums.count += len(samples)
            for name, squares in squared_gradients(self.network, samples).items():
                sums.squares[name] += squares

    def penalised_loss(self, batch: Samples) -> Tensor:
        """Cross-entropy, and ``strength / 2`` times the squared distance to the anchor, by importance."""
        return self.loss(batch) + self.strength / 2 * self.penalty()

    def penalty(self) -> Tensor:
        """Sum over weights of importance times squared distance to the anchor, a scalar."""
        trained = ((n, p) for n, p in self.network.named_parameters() if n in self.importance)
        return torch.stack([((p - self.anchor[n]).square() * self.importance[n]).sum() for n, p in trained]).sum()

    def end(self, task: Task) -> None:
        """Fold in what mattered; move the anchor to where the weights are."""
        sums = self._sums(task)
        for name, parameter in self.network.named_parameters():
            if name in self.importance:
                self.importance[name].mul_(self.decay).add_(sums.squares[name] / max(sums.count, 1))
                self.anchor[name].copy_(parameter.detach())

    def _sums(self, task: Task) -> Sums:
        return task.keep("importance so far", lambda: Sums(self.network))


def squared_gradients(network: nn.Module, samples: Samples) -> dict[str, Tensor]:
    """Return the squared gradient of each sample's cross-entropy, summed over the samples, by parameter.

    Args:
        network: maps raw samples to scores; used in the mode that it is in.
        samples: with labels.
    """
    weights = {n: p.detach() for n, p in network.named_parameters() if p.requires_grad}

    def loss_of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(network, weights, (x[None],)), y[None])

    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in samples.batches(CHUNK):
        for name, gradients in vmap(grad(loss_of_one), (None, 0, 0))(weights, batch.x, batch.y).items():
            sums[name] += gradients.square().sum(0)
    return sums
