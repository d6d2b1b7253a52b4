"""Linear maps from old vectors to new ones, in closed form: the cheapest way to renew what is stored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import vectors


def procrustes(old: Any, new: Any) -> Tensor:
    """Return the map W, ``[D, D']``, that rotates unit vectors nearest to those of another model.

    W = U V^T of the singular value decomposition of ``old^T new`` (the orthogonal Procrustes problem, Schoenemann,
    1966); between spaces of different widths its rows or columns are orthonormal.

    Args:
        old: ``[P, D]``, samples by the old model.
        new: ``[P, D']``, the same samples by the new one.

    Raises:
        InputError: shapes that do not fit.

    >>> procrustes([[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [-1.0, 0.0]]).round()
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    a, b = _pairs(old, new)
    u, _, vh = torch.linalg.svd(a.T @ b, full_matrices=False)
    found: Tensor = (u @ vh).float()
    return found


def ridge(old: Any, new: Any, penalty: float = 1e-3) -> Tensor:
    """Return the map W, ``[D, D']``, of least mean squared error on unit vectors plus ``penalty`` times ``|W|^2``.

    Arguments and errors are those of :func:`procrustes`.

    >>> ridge([[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [-1.0, 0.0]], penalty=0.5)
    tensor([[ 0.0000,  0.5000],
            [-0.5000,  0.0000]])
    """
    if not penalty > 0:
        raise InputError(f"penalty is {penalty}; allowed: above 0")
    a, b = _pairs(old, new)
    gram = a.T @ a + penalty * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
    found: Tensor = torch.linalg.solve(gram, a.T @ b).float()
    return found


MAPS = {"procrustes": procrustes, "ridge": ridge}


def _pairs(old: Any, new: Any) -> tuple[Tensor, Tensor]:
    a, b = vectors("old", old), vectors("new", new)
    if len(a) != len(b):
        raise InputError(f"{len(a)} old and {len(b)} new vectors; allowed: the same samples by both models")
    return F.normalize(a.double()), F.normalize(b.double())
