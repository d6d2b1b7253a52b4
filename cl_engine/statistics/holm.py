"""Holm's correction for testing several hypotheses at once."""

from __future__ import annotations

from collections.abc import Sequence

from cl_engine.statistics.sample import finite


def holm(p: Sequence[float]) -> list[float]:
    """Return the p values adjusted by Holm (1979), in the order given; the family is all of them.

    Raises:
        InputError: a p that is not finite.

    >>> [round(value, 6) for value in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    values = finite(p, "Holm")
    adjusted, floor = [0.0] * len(values), 0.0
    for place, k in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        floor = max(floor, min(1.0, (len(values) - place) * values[k]))
        adjusted[k] = floor
    return adjusted
