"""A gallery whose vectors are renewed one after the other: what it scores on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.metrics.nearest import vectors


def backfill_curve(old: Any, new: Any, order: Any, score: Callable[[Tensor], float], steps: int = 4) -> list[float]:
    """Return the score of a gallery of which 0, 1 / steps, ..., all vectors are new ones, in an order.

    At each point the first ``i N // steps`` of the order are renewed, both ends included.  The curve need not rise.

    Args:
        old: vectors as they are stored, or mapped, ``[N, D]``.
        new: by the new model, ``[N, D]``.
        order: rows, each once, int ``[N]``: the first is renewed first.
        score: of a gallery ``[N, D]``, for queries by the new model.
        steps: 1 or more.

    Raises:
        InputError: shapes that do not fit, or no order.

    >>> backfill_curve([[0.0], [0.0]], [[1.0], [3.0]], [1, 0], score=lambda gallery: float(gallery.sum()), steps=2)
    [0.0, 3.0, 4.0]
    """
    a, b, rows = vectors("old", old), vectors("new", new), torch.as_tensor(order)
    if a.shape != b.shape or steps < 1:
        raise InputError(f"{list(a.shape)} and {list(b.shape)}, steps {steps}; allowed: the same shape, 1 or more")
    if not torch.equal(rows.sort().values, torch.arange(len(a))):
        raise InputError(f"order is no permutation of 0 to {len(a) - 1}; allowed: each row once")
    gallery, found = a.clone(), []
    for i in range(steps + 1):
        done = rows[: i * len(a) // steps]
        gallery[done] = b[done].to(gallery)
        found.append(score(gallery))
    return found


def area_under_backfill(curve: Sequence[float]) -> dict[str, float]:
    """Return the area under a curve of :func:`backfill_curve`: the mean of its points, and by trapezoids.

    The code of FCT and FastFill takes the mean, both ends included.

    >>> area_under_backfill([0.0, 1.0, 1.0])
    {'mean': 0.6666666666666666, 'trapezoid': 0.75}
    """
    steps = len(curve) - 1
    trapezoid = sum(curve[:-1]) + sum(curve[1:])
    return {"mean": sum(curve) / len(curve), "trapezoid": trapezoid / (2 * steps) if steps else curve[0]}
