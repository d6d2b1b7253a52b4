"""Which samples become exemplars: every rule puts the candidates of a class in an order of preference.

How many of each class are kept is another question (:mod:`cl_engine.memory.exemplars.quota`): the first so many
of the order.  Where features or age decide, exemplars are stored in that order, so an exemplar set shrinks by
forgetting its tail; a uniform sample has no order.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ROUNDING = 1e-4  # bound on the float32 error of a herding score, relative to 1 + |r|


def herding(features: Tensor, count: int) -> Tensor:
    """Return the indices of ``count`` samples whose mean follows the class mean, greedily, in order.

    iCaRL (Rebuffi et al., CVPR 2017, algorithm 4): pick k minimises ``||mu - (S + v_i) / k||`` over unused i, with
    S the sum of the picks so far and L2-normalised features.  The first m picks are the picks for m (prefix
    property).  Time O(N D count).

    Args:
        features: ``[N, D]``, one row a sample of the class.
        count: at most N.

    Returns:
        int64 ``[count]``.
    """
    v = _normalised(features)
    rough = v.float()
    mean, total = v.mean(0), torch.zeros_like(v[0])
    # ||k mu - S - v||^2 differs between samples only by |v|^2 - 2 v.r with r = k mu - S: one product per pick.
    # float32 halves its memory traffic, which is its cost; what is too close to call is looked at in float64.
    squared = v.square().sum(1)
    unused = squared.float()
    picks = torch.empty(count, dtype=torch.int64, device=v.device)
    for k in range(1, count + 1):
        r = k * mean - total
        score = unused - 2 * (rough @ r.float())
        close = torch.nonzero(score <= score.min() + ROUNDING * (1 + r.norm().float())).flatten()
        pick = close[(squared[close] - 2 * (v[close] @ r)).argmin()]
        picks[k - 1] = pick
        total += v[pick]
        unused[pick] = torch.inf
    return picks


def nearest_to_mean(features: Tensor, count: int) -> Tensor:
    """Return the indices of the ``count`` samples nearest to the class mean, nearest first.

    MEMO's text (Zhou et al., ICLR 2023, appendix D.3); its code herds.  Features are L2-normalised as there.

    Args:
        features: ``[N, D]``, one row a sample of the class.
        count: at most N.

    Returns:
        int64 ``[count]``.
    """
    v = _normalised(features)
    return (v - v.mean(0)).square().sum(1).argsort(stable=True)[:count]


def _normalised(features: Tensor) -> Tensor:
    v = features.double()
    lengths: Tensor = v.norm(dim=1, keepdim=True)
    return v / (lengths + 1e-8)


BY_FEATURES: dict[str, Callable[[Tensor, int], Tensor]] = {"herding": herding, "nearest-mean": nearest_to_mean}


def uniform_keys(group: Tensor, held: int, seen: Tensor, generator: torch.Generator) -> Tensor:
    """Return keys by which the first k candidates of a group are a uniform sample of all that it delivered.

    As if every sample drew an Exp(1) key on arrival, and those with the smallest stayed.  Nothing but the number
    of samples delivered needs to be kept for that: the keys of the held ones, in any order, are the smallest order
    statistics of so many draws, and those are sums of Exp(1) / (n - j) (Renyi, 1953).  So the sample is uniform
    however the stream is cut into updates, as long as k never grows again.

    Args:
        group: int64 ``[N]``, the group of each candidate; the first ``held`` are held.
        held: how many are held.
        seen: int64 ``[groups]``, samples delivered before the candidates that are not held.
        generator: a CPU generator.

    Returns:
        float64 ``[N]``.
    """
    keys = torch.empty(len(group), dtype=torch.float64).exponential_(generator=generator)
    shuffled = torch.randperm(held, generator=generator)
    by_group = shuffled[group[shuffled].argsort(stable=True)]
    old = group[by_group]
    steps = keys[by_group] / (seen[old] - ranks(old))
    sums = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    keys[by_group] = sums[1:] - sums[torch.arange(held) - ranks(old)]
    return keys


def newest_keys(candidates: int, held: int) -> Tensor:
    """Return keys that put the latest candidate first, new ones before held ones: float64 ``[candidates]``."""
    keys = torch.arange(candidates, dtype=torch.float64)
    keys[held:] *= -1
    return keys


def first(group: Tensor, keys: Tensor, counts: Tensor) -> Tensor:
    """Return the ``counts[g]`` candidates with the smallest keys of every group g, group by group, in order.

    Args:
        group: int64 ``[N]``.
        keys: float64 ``[N]``.
        counts: int64 ``[groups]``.

    Returns:
        int64 indices of candidates.

    >>> first(torch.tensor([1, 0, 1, 1]), torch.tensor([3.0, 0, 1, 2]), torch.tensor([1, 2])).tolist()
    [1, 2, 3]
    """
    order = keys.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    grouped = group[order]
    return order[ranks(grouped) < counts[grouped]]


def ranks(group: Tensor) -> Tensor:
    """Return each element's place, from 0, within its run of equal groups; ``group`` is sorted int64 ``[N]``.

    >>> ranks(torch.tensor([0, 0, 3, 3, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    length = torch.bincount(group)
    start = length.cumsum(0) - length
    return torch.arange(len(group)) - start[group]
