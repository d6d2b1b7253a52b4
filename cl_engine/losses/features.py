"""Features and feature maps that keep to those of an old model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.losses.arguments import check_same_shape, mean_of


def feature_distillation(new: Tensor, old: Tensor) -> Tensor:
    """Return the mean over B of ``1 - cos(new, old)``, in [0, 2]; no gradient into ``old``.

    CL2R (Biondi et al., ACM TOMM 2023), there on the rehearsed half of a batch; LUCIR's less-forget constraint (Hou
    et al., CVPR 2019) and PODNet's flat term.

    Args:
        new: features ``[B, D]``.
        old: features ``[B, D]`` of the old model for the same samples, a constant.

    >>> feature_distillation(torch.tensor([[2.0, 0], [0, 1]]), torch.tensor([[1.0, 0], [1, 0]]))
    tensor(0.5000)
    """
    check_same_shape(new, old, "[B, D]")
    return mean_of(1 - F.cosine_similarity(new, old.detach(), dim=1))


def pod(new: Sequence[Tensor], old: Sequence[Tensor]) -> Tensor:
    """Return the distance of pooled squares of feature maps, the mean over B and over maps (PODNet's POD-spatial).

    Each map is squared and summed over its width to ``[C, H]`` and over its height to ``[C, W]``; both side by
    side, of length 1 in each sample, are compared by the L2 distance (Douillard et al., ECCV 2020, as in the
    authors' code).  A vector is a map of one pixel: what is compared is its squares, of length 1.

    Args:
        new: maps ``[B, C, H, W]`` or vectors ``[B, D]`` of the layers of the new model.
        old: as many of the old model for the same samples, of the same shapes, constants.

    >>> pod([torch.tensor([[[[1.0, 0]]]])], [torch.tensor([[[[0.0, 1]]]])])
    tensor(1.0000)
    """
    if [a.shape for a in new] != [b.shape for b in old] or not all(a.ndim in (2, 4) for a in new):
        shapes = [[list(a.shape) for a in maps] for maps in (new, old)]
        raise ValueError(f"new is {shapes[0]} and old is {shapes[1]}; allowed: the same, [B, C, H, W] or [B, D]")
    distances = [(_pooled(a) - _pooled(b.detach())).norm(dim=1) for a, b in zip(new, old, strict=True)]
    return torch.stack([mean_of(d) for d in distances]).mean() if distances else torch.zeros(())


def _pooled(maps: Tensor) -> Tensor:
    """Return squares summed over the width beside those summed over the height, ``[B, C (H + W)]`` of length 1."""
    if maps.ndim == 2:
        return F.normalize(maps.square())
    squares = maps.square()
    return F.normalize(torch.cat([squares.sum(3).flatten(1), squares.sum(2).flatten(1)], dim=1))
