"""What goes in: one finite number a seed, by name; a missing one is absent, never NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from cl_engine.errors import InputError

Values = Mapping[Any, float]  # by seed, whatever names a seed

NOTHING = 1e-12  # below this a difference of accuracies is the noise of floating point


def finite(values: Iterable[float], what: str) -> list[float]:
    """Return the values as floats.

    Raises:
        InputError: one of them is None, NaN or infinite.

    >>> finite([1, 0.5], "accuracy")
    [1.0, 0.5]
    """
    found = []
    for value in values:
        if value is None or not math.isfinite(value):
            raise InputError(
                f"{what}: {value} is not a finite number; leave a missing value out, so that n shows it"
            )
        found.append(float(value))
    return found


def negligible(values: Iterable[float]) -> float:
    """Return the size below which a difference between such values is rounding alone.

    >>> negligible([0.5, 0.25]), negligible([-1e6])
    (1e-12, 1e-06)
    """
    return NOTHING * max(1.0, *(abs(v) for v in values), 0.0)
