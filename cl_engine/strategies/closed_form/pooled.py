"""What linear discriminants share: class means and one scatter within classes, from sums."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.backbone import BackboneOption
from cl_engine.statistics.sufficient.solving import solve
from cl_engine.statistics.sufficient.sums import Sums
from cl_engine.strategies.additive import Additive
from cl_engine.strategies.on_features import CHUNK
from cl_engine.terms.task import Task


class Pooled(Additive):
    """Holds the sums over frozen features (G as a triangle), from which means and scatter follow exactly."""

    gram: Tensor
    cross: Tensor
    counts: Tensor

    def __init__(self, backbone: BackboneOption) -> None:
        super().__init__(backbone)
        self._solved: tuple[Tensor, Tensor] | None = None

    def begin(self, task: Task) -> None:
        """Build the frozen backbone; make room for the new classes."""
        super().begin(task)
        if task.index == 0:
            empty = Sums.empty(self.inputs_width, packed=True, device=task.device)
            for name in ("gram", "cross", "counts"):
                self.hold(name, getattr(empty, name), kind="statistics")
        sums = self.sums
        sums.grow(task.seen_classes)
        self.cross, self.counts = sums.cross, sums.counts
        self._solved = None

    @property
    def sums(self) -> Sums:
        """What is held."""
        return Sums(self.gram, self.cross, self.counts)

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the sums."""
        if task.dry:
            return  # the sums have their size already
        for batch in samples.batches(CHUNK):
            self.sums.add(self.features(batch.x), batch.y)
        self._solved = None

    def subtract(self, phi: Tensor, y: Tensor) -> None:
        """Subtract features from the sums."""
        self.sums.subtract(phi, y)

    def readout(self) -> Tensor:
        """Return the weights with the biases as a last row, ``[D + 1, C]``."""
        weights, bias = self.discriminants()
        return torch.cat([weights, bias[None]])

    def predict(self, x: Tensor) -> Tensor:
        """Return scores ``[B, classes]``, minus infinity for a class without samples."""
        if self._solved is None:
            self._solved = self.discriminants()
        weights, bias = self._solved
        return self.features(x) @ weights + bias

    def discriminants(self) -> tuple[Tensor, Tensor]:
        """Return the weights ``[D, C]`` and the biases ``[C]``."""
        raise NotImplementedError

    def discriminants_of(self, means: Tensor, covariance: Tensor, added: float) -> tuple[Tensor, Tensor]:
        """Return ``W = S^-1 mu`` and ``-mu W / 2`` for ``S = covariance + added I``.

        The bias of a class without samples is minus infinity.

        Args:
            means: float64 ``[C, D]``.
            covariance: float64 ``[D, D]``.
            added: above 0; raised, with a note, where the system cannot be solved.
        """
        found = solve(covariance, means.T, added)
        if found.gamma > added:
            self.note(
                f"the covariance is too ill-conditioned; what is added to its diagonal raised to {found.gamma:g}"
            )
        bias = -(means.T * found.weights).sum(0) / 2
        return found.weights, torch.where(self.counts > 0, bias, -torch.inf)
