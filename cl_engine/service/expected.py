"""How far a mapped vector is expected to be from what the new model would make of its image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError

LEAST = 1e-9  # of an error relative to the mean one; a gamma model knows none of 0


def expected_error(old: Tensor, errors: Tensor, asked: Tensor, penalty: float = 1e-3) -> Tensor:
    """Return the expected error of the map for old vectors, relative to the mean one, float64 ``[M]``.

    With ``s = w x + b`` of unit vectors x it minimises ``mean(exp(-s) e + s) / 2 + penalty |w|^2 / 4`` on images
    whose error e is known and returns ``exp(s)``: the loss of FastFill (Jaeckle et al., ICLR 2023), whose s is an
    output of the network that is its map.  The maps here are closed forms without one, so that s is linear; the
    problem is convex, that of a gamma regression with a logarithmic link.

    Args:
        old: ``[P, D]``, images by the old model.
        errors: ``[P]``, squared distances of their mapped vectors from the new ones.
        asked: ``[M, D]``, other images by the old model.
        penalty: above 0.

    Raises:
        InputError: numbers that do not fit.

    >>> old, errors = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([4.0, 1.0])
    >>> expected_error(old, errors, old).round(decimals=1)
    tensor([1.6000, 0.4000], dtype=torch.float64)
    """
    if len(old) != len(errors) or not len(old) or not penalty > 0:
        raise InputError(f"{len(old)} vectors, {len(errors)} errors, penalty {penalty}; allowed: as many, above 0")
    from sklearn.linear_model import GammaRegressor

    relative = (errors.double() / errors.double().mean().clamp(min=1e-30)).clamp(min=LEAST)
    x, wanted = (F.normalize(rows.double()).numpy() for rows in (old, asked))
    fitted = GammaRegressor(alpha=penalty, max_iter=1000, tol=1e-8).fit(x, relative.numpy())
    return torch.from_numpy(fitted.predict(wanted))
