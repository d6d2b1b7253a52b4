"""How far representations drift: pure functions of features and class means before and after.

Where the later features are more, as those of a network that grows, their first ones are compared: an expandable
network's are those of the branches that were there before.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def relative_drift(before: Tensor, after: Tensor) -> float | None:
    """Return ``mean |after - before| / mean |before|`` over rows ``[N, D]``; None without rows, or if all were 0.

    Of samples it is the semantic drift of their classes (Yu et al., CVPR 2020, section 3.1) relative to the size of
    the features; of class means that of prototypes that would follow them.

    >>> relative_drift(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 3.0, 9.0]]))
    0.2
    """
    before, after = _common(before, after)
    size = float(before.norm(dim=1).mean()) if len(before) else 0.0
    return float((after - before).norm(dim=1).mean()) / size if size > 0 else None


def angular_drift(before: Tensor, after: Tensor) -> float | None:
    """Return the mean of ``1 - cos`` over rows ``[N, D]``, in 0..2; None without rows.

    >>> angular_drift(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    1.0
    """
    before, after = _common(before, after)
    return float((1 - F.cosine_similarity(before, after)).mean()) if before.numel() else None


def angles(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle between the vectors of each row, of ``[N, D]`` and ``[N, D]``: float64 ``[N]``, degrees.

    >>> angles(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, 3.0]])).round()
    tensor([45.,  0.], dtype=torch.float64)
    """
    a, b = (F.normalize(rows.double(), dim=1) for rows in (first, second))
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1)))  # exact near 0, as acos is not


def class_means(x: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return the mean of the features of each class, float64 ``[C, D]``; zeros where a class has no sample."""
    sums = torch.zeros(classes, x.shape[1], dtype=torch.float64).index_add_(0, y, x.double())
    return sums / torch.bincount(y, minlength=classes).clamp(min=1)[:, None]


def _common(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    width = min(before.shape[1], after.shape[1])
    return before[:, :width].double(), after[:, :width].double()
