"""First weights of a new class, taken from its features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

ROUNDS = 20


def imprinted(features: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` directions of length 1 that a class's features cluster around, ``[count, D]``.

    The means of Lloyd's k-means on features of length 1, started from samples that are drawn without replacement
    while there are enough (weight imprinting: Qi et al., CVPR 2018; with several proxies as in PODNet).  A cluster
    that loses all its samples stays where it was.

    Args:
        features: ``[N, D]`` of one class, at least one row.
        count: how many.
        generator: a CPU generator.

    >>> features = torch.tensor([[2.0, 0], [1, 0], [0, 3]])
    >>> imprinted(features, 2, torch.Generator().manual_seed(1)).sum(0)
    tensor([1., 1.])
    """
    points = F.normalize(features)
    order = torch.randperm(len(points), generator=generator).to(points.device)
    centres = points[order[torch.arange(count, device=points.device) % len(points)]]
    for _ in range(ROUNDS):
        member = F.one_hot((points @ centres.T - centres.square().sum(1) / 2).argmax(1), count).to(points)
        sizes = member.sum(0)[:, None]
        centres = torch.where(sizes > 0, member.T @ points / sizes.clamp(min=1), centres)
    return F.normalize(centres)
