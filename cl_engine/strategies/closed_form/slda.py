"""Streaming linear discriminant analysis, exact and as one released code runs it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.strategies.closed_form.pooled import Pooled
from cl_engine.strategies.on_features import CHUNK, OnFeatures
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class SLDA(Pooled):
    """Deep SLDA (Hayes and Kanan, CVPR Workshops 2020): ``x S^-1 mu - mu S^-1 mu / 2``, on frozen features.

    ``S = (1 - epsilon) Sigma + epsilon I``.  ``variant: exact`` has the means and the pooled covariance of all
    samples so far, from sums.  ``variant: released`` is what the baseline in the code of G-ACIL computes, in
    float64: every delivery of the first experience overwrites means and counts of its classes and Sigma, which
    is then the OAS-shrunk covariance of that delivery; later the covariance is updated sample by sample with
    weights of the total count, and the first sample of a class enters it with mean 0.  On long tails that costs
    accuracy.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    means: Tensor
    covariance: Tensor
    updates: Tensor

    def __init__(
        self,
        *,
        backbone: BackboneOption = "identity",
        epsilon: Annotated[float, Field(gt=0, le=1, description="share of the identity in the covariance")] = 1e-4,
        variant: Annotated[
            Literal["exact", "released"], Field(description="exact sums, or the update of G-ACIL's released code")
        ] = "exact",
    ) -> None:
        super().__init__(backbone)
        self.epsilon, self.variant = epsilon, variant

    def begin(self, task: Task) -> None:
        """Build the frozen backbone; make room for the new classes."""
        if self.variant == "exact":
            super().begin(task)
            return
        OnFeatures.begin(self, task)
        if task.index == 0:
            ones = torch.ones(self.inputs_width, self.inputs_width, dtype=torch.float64, device=task.device)
            self.hold("covariance", ones, kind="statistics")
            self.hold("means", ones[:0], kind="prototypes")
            self.hold("counts", torch.zeros(0, dtype=torch.int64, device=task.device), kind="statistics")
            self.hold("updates", torch.zeros(1, dtype=torch.int64, device=task.device), kind="statistics")
        more = task.seen_classes - len(self.counts)
        self.means = torch.cat([self.means, self.means.new_zeros(more, self.inputs_width)])
        self.counts = torch.cat([self.counts, self.counts.new_zeros(more)])
        self._solved = None

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to what is held."""
        if self.variant == "exact" or task.dry:
            super().learn(task, samples)
            return
        if task.index == 0:
            x = torch.cat([self.features(batch.x) for batch in samples.batches(CHUNK)])
            self._overwrite(x, samples.y)
        else:
            for batch in samples.batches(CHUNK):
                self._stream(self.features(batch.x), batch.y)
        self._solved = None

    def _overwrite(self, x: Tensor, y: Tensor) -> None:
        present = torch.bincount(y, minlength=len(self.counts))
        totals = torch.zeros_like(self.means).index_add_(0, y, x)
        rows = present > 0
        self.means[rows] = totals[rows] / present[rows, None]
        self.counts[rows] = present[rows]
        self.updates.fill_(len(y))
        self.covariance.copy_(oas(x - self.means[y]))

    def _stream(self, x: Tensor, y: Tensor) -> None:
        """Update sample by sample, all samples at once: each from the mean of its class before it."""
        before, updates = means_before(x, y, self.means, self.counts), int(self.updates)
        done = updates + torch.arange(len(y), dtype=torch.float64, device=x.device)
        apart = x - before
        total = updates * self.covariance + (apart * (done / (done + 1))[:, None]).T @ apart
        self.covariance.copy_(total / (updates + len(y)))
        present = torch.bincount(y, minlength=len(self.counts))
        sums = (self.means * self.counts[:, None]).index_add_(0, y, x)
        self.counts += present
        self.means.copy_(sums / self.counts.clamp(min=1)[:, None])
        self.updates += len(y)

    def cannot_merge(self) -> str | None:
        """The released update depends on the order of samples."""
        return "variant: released depends on their order; allowed: exact" if self.variant == "released" else None

    def discriminants(self) -> tuple[Tensor, Tensor]:
        """Return the weights ``[D, C]`` and the biases ``[C]``."""
        if self.variant == "released":
            return self.discriminants_of(self.means, (1 - self.epsilon) * self.covariance, self.epsilon)
        covariance = self.sums.scatter() / self.counts.sum().clamp(min=1)
        return self.discriminants_of(self.sums.means(), (1 - self.epsilon) * covariance, self.epsilon)


def means_before(x: Tensor, y: Tensor, means: Tensor, counts: Tensor) -> Tensor:
    """Return for each sample the mean of its class as it was before it, ``[N, D]``; 0 before the first one.

    Args:
        x: samples in their order ``[N, D]``.
        y: their classes ``[N]``.
        means: of earlier samples ``[C, D]``.
        counts: how many these were ``[C]``.

    >>> x, y = torch.tensor([[2.0], [4.0], [9.0]]), torch.tensor([0, 0, 0])
    >>> means_before(x, y, torch.zeros(1, 1), torch.zeros(1)).flatten()
    tensor([0., 2., 3.])
    """
    order = torch.argsort(y, stable=True)
    ranked, classes = x[order], y[order]
    sizes = torch.bincount(y, minlength=len(counts))
    starts = (sizes.cumsum(0) - sizes)[classes]
    running = torch.cat([torch.zeros_like(x[:1]), ranked.cumsum(0)])
    earlier = torch.arange(len(y), device=y.device) - starts  # samples of the class that came before, in here
    sums = means[classes] * counts[classes, None] + running[:-1] - running[starts]
    found = torch.empty_like(x)
    found[order] = sums / (counts[classes] + earlier).clamp(min=1)[:, None]
    return found


def oas(centred: Tensor) -> Tensor:
    """Return the oracle-approximating-shrinkage covariance (Chen et al., IEEE TSP 2010) of centred rows ``[N, D]``.

    >>> oas(torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]], dtype=torch.float64)
    """
    rows, width = centred.shape
    empirical = centred.T @ centred / max(rows, 1)
    scale, spread = empirical.diagonal().mean(), empirical.square().mean()
    under = (rows + 1) * (spread - scale.square() / width)
    share = torch.where(under > 0, (spread + scale.square()) / under, 1.0).clamp(max=1)
    return (1 - share) * empirical + share * scale * torch.eye(width, dtype=centred.dtype, device=centred.device)
