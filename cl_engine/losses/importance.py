"""Weights that keep to where they were, each by its importance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def quadratic_penalty(
    weights: Sequence[Tensor], anchors: Sequence[Tensor], importances: Sequence[Tensor]
) -> Tensor:
    """Return ``sum_j importance_j (weight_j - anchor_j)^2`` over all entries of all tensors.

    The pull of EWC (with lambda / 2 before it), SI (with c) and MAS (with lambda).  Entries of a weight beyond its
    anchor's shape, rows of a head that has grown since, are free.

    Args:
        weights: tensors, at least one.
        anchors: as many, constants, none larger than its weight in any dimension.
        importances: as many, constants, each of its anchor's shape.

    >>> quadratic_penalty([torch.tensor([3.0, 9.0])], [torch.tensor([1.0])], [torch.tensor([0.5])])
    tensor(2.)
    """
    terms = []
    for weight, anchor, importance in zip(weights, anchors, importances, strict=True):
        if importance.shape != anchor.shape:
            found = f"an importance is {list(importance.shape)} and its anchor {list(anchor.shape)}"
            raise ValueError(f"{found}; allowed: the same shape")
        since = weight[tuple(map(slice, anchor.shape))]
        terms.append((importance.detach() * (since - anchor.detach()).square()).sum())
    return torch.stack(terms).sum()
