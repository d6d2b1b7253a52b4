"""Shares of a whole, in whole numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cl_engine.scenarios.plan import Int64


def largest_remainder(shares: npt.ArrayLike, total: int) -> Int64:
    """Deal ``total`` into parts proportional to ``shares`` ``[K]``; the parts add up to ``total`` exactly.

    Every part is its exact share rounded down, and the units left over go one each to the largest fractional
    remainders, the earlier part first where two are equal (Hamilton's method).

    >>> largest_remainder([1, 1, 1], 10).tolist()
    [4, 3, 3]

    Raises:
        ValueError: a share that is negative or not finite, or no positive share.
    """
    weights = np.asarray(shares, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("shares must be finite and >= 0, at least one of them > 0")
    exact = weights / weights.sum() * total
    parts: Int64 = np.floor(exact).astype(np.int64)
    left = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    return parts
