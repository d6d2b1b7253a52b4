"""Ridge weights from a Gram matrix, never without the test that they solve what they should."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cl_engine.statistics.sufficient.symmetric import factor_and_solve, product

TOLERANCE = 1e-8  # relative residual of the normal equations that counts as solved
LARGEST = 1e30  # gamma from which on nothing will help
TENFOLD = 10.0


class Solution(NamedTuple):
    """Ridge weights.

    Attributes:
        weights: float64 ``[d, C]``.
        gamma: the penalty that they are of; larger than the one asked for where that could not be solved.
        bias: float64 ``[C]``; zeros unless it was asked for.
    """

    weights: Tensor
    gamma: float
    bias: Tensor


def solve(gram: Tensor, target: Tensor, gamma: float) -> Solution:
    """Solve ``(G + gamma I) W = target``; gamma grows tenfold until the relative residual is at most 1e-8.

    Args:
        gram: G, full or packed (:mod:`cl_engine.statistics.sufficient.symmetric`), float64 or float32.
        target: ``[d, C]``.
        gamma: penalty, above 0.

    Raises:
        FloatingPointError: no gamma helps.

    >>> solve(torch.eye(2), torch.ones(2, 1), 1.0).weights.T
    tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    gram, target, tried = gram.double(), target.double(), gamma
    enough = TOLERANCE * torch.linalg.norm(target)
    while tried <= LARGEST:
        weights = factor_and_solve(gram, tried, target)
        if weights is not None:
            residual = product(gram, weights).add_(weights, alpha=tried).sub_(target)
            if torch.linalg.norm(residual) <= enough:
                return Solution(weights, tried, weights.new_zeros(weights.shape[1]))
        tried *= TENFOLD
    raise FloatingPointError("the ridge system cannot be solved; are the features finite?")
