"""One number a seed from several scenarios; the interval over seeds comes after.

A table is ``{seed: {scenario: value}}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cl_engine.errors import InputError
from cl_engine.statistics.sample import NOTHING, finite

Table = Mapping[Any, Mapping[str, float]]

FEWEST = 4  # scenarios: of three values a quarter trimmed off each end is nothing


def scenario_means(table: Table) -> dict[Any, float]:
    """Return the mean over scenarios of each seed that has them all; others are left out, which n shows.

    Raises:
        InputError: a value that is not finite.

    >>> scenario_means({0: {"a": 0.5, "b": 0.7}, 1: {"a": 0.5}})
    {0: 0.6}
    """
    scenarios = _scenarios(table)
    return {
        seed: math.fsum(row.values()) / len(row) for seed, row in table.items() if row and row.keys() == scenarios
    }


def interquartile_mean(table: Table) -> float:
    """Return the mean of the middle half of all values of the seeds that have every scenario (Agarwal et al. 2021).

    Raises:
        InputError: fewer than four scenarios, no seed that has them all, or a value that is not finite.

    >>> round(interquartile_mean({0: {"a": 0.1, "b": 0.5, "c": 0.7, "d": 0.9}}), 6)
    0.6
    """
    scenarios = _scenarios(table)
    values = sorted(v for row in table.values() if row.keys() == scenarios for v in row.values())
    if len(scenarios) < FEWEST or not values:
        raise InputError(
            f"interquartile mean: {len(scenarios)} scenarios, {len(values)} values; "
            f"at least {FEWEST} scenarios and a seed that has them all"
        )
    cut = len(values) // 4
    middle = values[cut : len(values) - cut]
    return math.fsum(middle) / len(middle)


def between_references(value: float, finetune: float, joint: float) -> float:
    """Return ``(value - finetune) / (joint - finetune)``: 0 is the lower reference, 1 the upper.

    Raises:
        InputError: a value that is not finite, or references that are equal.

    >>> between_references(0.5, 0.25, 0.75)
    0.5
    """
    value, finetune, joint = finite([value, finetune, joint], "between the references")
    if abs(joint - finetune) < NOTHING:
        raise InputError(
            f"between the references: finetune and joint are both {joint}; there is no scale between them"
        )
    return (value - finetune) / (joint - finetune)


def _scenarios(table: Table) -> set[str]:
    for row in table.values():
        finite(row.values(), "scenarios")
    return {scenario for row in table.values() for scenario in row}
