"""The Pareto front of accuracy against bytes held, and what may lie on it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Literal, NamedTuple, TypeVar

from cl_engine.errors import InputError
from cl_engine.statistics.holm import holm
from cl_engine.statistics.paired import LEVEL, paired_difference
from cl_engine.statistics.sample import Values, finite, negligible

Key = TypeVar("Key", bound=Hashable)


class Point(NamedTuple):
    """A strategy at one budget.

    Attributes:
        held: bytes.
        values: ``{seed: accuracy}``, at least one.
    """

    held: float
    values: Values


def pareto(points: Mapping[Key, Point]) -> dict[Key, Literal["front", "may be", "out"]]:
    """Return for each point whether it is on the front of bytes held and mean accuracy.

    ``front``: nothing has no more bytes and no less accuracy, one of the two strictly.  ``may be``: not on it, but
    no point with as few bytes is significantly above (paired t tests, corrected by Holm over those points).
    ``out``: neither.

    Raises:
        InputError: a point without values, or a number that is not finite.

    >>> low, high = {0: 0.5, 1: 0.51, 2: 0.5}, {0: 0.8, 1: 0.81, 2: 0.8}
    >>> pareto({"small": Point(1, low), "large": Point(3, high), "between": Point(2, high), "worse": Point(2, low)})
    {'small': 'front', 'large': 'may be', 'between': 'front', 'worse': 'out'}
    """
    means = {}
    for key, point in points.items():
        if not point.values:
            raise InputError(f"Pareto front: {key} has no values; leave it out")
        finite([point.held, *point.values.values()], f"Pareto front: {key}")
        means[key] = math.fsum(point.values.values()) / len(point.values)
    none = negligible(means.values())
    found: dict[Key, Literal["front", "may be", "out"]] = {}
    for key, point in points.items():
        rivals = [other for other in points if other != key and points[other].held <= point.held]
        if not any(
            means[other] > means[key] + none
            or (means[other] >= means[key] - none and points[other].held < point.held)
            for other in rivals
        ):
            found[key] = "front"
            continue
        against = [paired_difference(points[other].values, point.values) for other in rivals]
        adjusted = holm([difference.tested for difference in against])
        above = any(d.mean > 0 and p <= LEVEL for d, p in zip(against, adjusted, strict=True))
        found[key] = "out" if above else "may be"
    return found
