"""Ridge weights for any number of penalties from one eigendecomposition."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.statistics.sufficient.symmetric import whole


class Spectrum:
    """``G = V diag(l) V'``, of which every ``W(gamma) = V diag(1 / (l + gamma)) V' Q`` is two products.

    Args:
        gram: G, full or packed.
        target: Q ``[d, C]``.

    Attributes:
        least: the smallest gamma that means anything: rounding moves the eigenvalues by as much.

    >>> path = Spectrum(torch.eye(2), torch.ones(2, 1))
    >>> path.weights(1.0).T
    tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """

    def __init__(self, gram: Tensor, target: Tensor) -> None:
        values, self.vectors = torch.linalg.eigh(whole(gram.double()))
        self.values = values.clamp_(min=0)  # of X'X none is negative but by rounding
        self.rotated = self.vectors.T @ target.double()
        self.least = float(self.values[-1]) * torch.finfo(torch.float64).eps * max(len(values), 1)

    def weights(self, gamma: float) -> Tensor:
        """Return W, float64 ``[d, C]``."""
        weights: Tensor = self.vectors @ (self.rotated / (self.values + gamma)[:, None])
        return weights
