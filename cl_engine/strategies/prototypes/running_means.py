"""One mean a class that samples are added to as they come."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.memory.held import Held


class RunningMeans(Held):
    """Mean and count of each class's vectors, ``rows`` ``[C, D]`` float32 and ``counts`` ``[C]`` int64.

    In the ledger the means are of kind ``prototypes``.  A class that returns goes on from its mean; where the
    features have moved since, the mean is one of vectors from before and after.
    """

    rows: Tensor
    counts: Tensor

    def __init__(self, width: int, device: torch.device) -> None:
        super().__init__()
        self.hold("rows", torch.zeros(0, width, device=device), kind="prototypes")
        self.hold("counts", torch.zeros(0, dtype=torch.int64, device=device), kind="statistics")

    def grow(self, classes: int) -> None:
        """Add a mean of nothing, zeros, for each class up to ``classes``."""
        new = classes - len(self.counts)
        self.rows = torch.cat([self.rows, self.rows.new_zeros(new, self.rows.shape[1])])
        self.counts = torch.cat([self.counts, self.counts.new_zeros(new)])

    def update(self, vectors: Tensor, y: Tensor) -> None:
        """Add vectors ``[N, D]`` of the classes ``y``, int64 ``[N]``.

        >>> means = RunningMeans(1, torch.device("cpu"))
        >>> means.grow(2)
        >>> for value in (1.0, 3.0):
        ...     means.update(torch.tensor([[value]]), torch.tensor([1]))
        >>> means.rows.tolist(), means.counts.tolist()
        ([[0.0], [2.0]], [0, 2])
        """
        coming = torch.bincount(y, minlength=len(self.counts))
        sums = torch.zeros_like(self.rows).index_add_(0, y, vectors.to(self.rows.dtype))
        self.counts = self.counts + coming
        self.rows = self.rows + (sums - coming[:, None] * self.rows) / self.counts.clamp(min=1)[:, None]
