"""Which samples become exemplars, and how many of each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def herding(features: Tensor, count: int) -> Tensor:
    """Return the indices of ``count`` samples whose mean follows the class mean, greedily, in order.

    iCaRL (Rebuffi et al., CVPR 2017, algorithm 4): pick k minimises ``||mu - (S + v_i) / k||`` over unused i, with
    S the sum of the picks so far and L2-normalised features.  The first m picks are the picks for m (prefix
    property), so an exemplar set shrinks by forgetting its tail.

    Args:
        features: ``[N, D]``, one row a sample of the class.
        count: at most N.

    Returns:
        int64 ``[count]``.
    """
    v = features.double()
    v = v / (v.norm(dim=1, keepdim=True) + 1e-8)
    mean, total = v.mean(0), torch.zeros_like(v[0])
    # ||k mu - S - v||^2 differs between samples only by |v|^2 - 2 v.(k mu - S): one product per pick.
    squared = v.square().sum(1)
    picks = torch.empty(count, dtype=torch.int64, device=v.device)
    for k in range(1, count + 1):
        pick = (squared - 2 * (v @ (k * mean - total))).argmin()
        picks[k - 1] = pick
        total += v[pick]
        squared[pick] = torch.inf
    return picks


def shares(available: Sequence[int], total: int) -> list[int]:
    """Split ``total`` slots over classes as evenly as their samples allow; no slot is wasted.

    A class with fewer samples than its share leaves the rest to the others; what does not divide goes to the
    earliest of the largest classes.

    >>> shares([100, 100, 100], 10), shares([2, 100, 100], 10), shares([1, 2], 10)
    ([4, 3, 3], [2, 4, 4], [1, 2])
    """
    result = [0] * len(available)
    ascending = sorted(range(len(available)), key=lambda c: (available[c], -c))
    for position, c in enumerate(ascending):
        result[c] = min(available[c], total // (len(ascending) - position))
        total -= result[c]
    return result
