"""Nearest mean of exemplars: one prototype per class."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def class_means(features: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return the mean of each class's L2-normalised features, normalised again: ``[classes, D]``.

    The prototypes of iCaRL (Rebuffi et al., CVPR 2017, algorithm 1), whatever the order of the samples.

    Args:
        features: ``[N, D]``.
        y: int64 ``[N]``.
        classes: rows of the result; a class without samples has a row of zeros.

    >>> import torch
    >>> class_means(torch.tensor([[3.0, 0], [0, 5], [0, 1]]), torch.tensor([2, 0, 0]), 3)
    tensor([[0., 1.],
            [0., 0.],
            [1., 0.]])
    """
    unit = F.normalize(features)
    return F.normalize(unit.new_zeros(classes, features.shape[1]).index_add_(0, y, unit))
