"""The d-simplex: class directions that are as far apart as possible, fixed before any class arrives."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def simplex(classes: int) -> Tensor:
    """Return the vertices of the regular simplex around 0, float32 ``[K, K - 1]`` for K ``classes``, one a row.

    Rows have length 1 and cosine -1/(K - 1) to each other, and sum to 0.  The orientation is that of CoReS, CL2R
    and IAM-CL2R (Biondi et al., TPAMI 2023, TOMM 2023, CVPR 2024), whose code shifts and scales ``[I; a 1]`` with
    ``a = (1 - sqrt(K)) / (K - 1)``: models that shall be compatible must share it, row order included.  An entry
    has one of three values, worked out in float64.

    Raises:
        ValueError: fewer than 2 classes.

    >>> simplex(3)
    tensor([[ 0.9659, -0.2588],
            [-0.2588,  0.9659],
            [-0.7071, -0.7071]])
    """
    if classes < 2:
        raise ValueError(f"a simplex of {classes} vertices; allowed: 2 or more")
    n = classes - 1
    centre = (1 + (1 - math.sqrt(classes)) / n) / classes  # the mean of the rows of [I; a 1], in every column
    length = math.sqrt((1 - centre) ** 2 + (n - 1) * centre**2)
    vertices = torch.full((classes, n), -centre / length, dtype=torch.float32)
    vertices.fill_diagonal_((1 - centre) / length)
    vertices[n] = -1 / math.sqrt(n)
    return vertices
