"""Ranks that say what the seeds support: an interval for each strategy, and the set of those that may be the best.

A diagram of critical differences, a mean win rate or an Elo number makes A against B depend on who else is present
(Benavoli et al. 2016); here only Holm's correction does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from cl_engine.statistics.holm import holm
from cl_engine.statistics.paired import LEVEL, Difference, paired_difference
from cl_engine.statistics.sample import Values, finite, negligible

Pairs = dict[tuple[str, str], Difference]


class Rank(NamedTuple):
    """Where one strategy stands among all; None where no statement can be made.

    Attributes:
        n: its seeds.
        mean: its mean over them; NaN without any.
        rank: place by the mean, 1 is the best; equal means share a place.
        low: best place that the seeds leave open.
        high: worst place that they leave open.
        may_be_best: whether ``low`` is 1.
        note: why there is no rank or no interval; empty otherwise.
    """

    n: int
    mean: float
    rank: int | None
    low: int | None
    high: int | None
    may_be_best: bool | None
    note: str


def ranks(
    values: Mapping[str, Values], impossible: Collection[str] = (), seeds: int | None = None
) -> dict[str, Rank]:
    """Return the rank of each strategy with a marginal 95 % interval (Mogstad et al. 2024; Hsu 1984 for the best).

    Each is compared with each other by the paired t test over the seeds they share, corrected by Holm within the
    one: ``[1 + number significantly above, K - number significantly below]``.

    Args:
        values: ``{strategy: {seed: value}}``, higher is better; a failed run is absent.
        impossible: strategies that the budget rules out; they stand under everybody, without a number.
        seeds: how many seeds were asked for; default as many as any run shows.  A strategy with fewer than half
            of them gets no rank.

    Raises:
        InputError: a value that is not finite.

    >>> a, b, c = {0: 0.9, 1: 0.91, 2: 0.9}, {0: 0.5, 1: 0.52, 2: 0.51}, {0: 0.9, 1: 0.9, 2: 0.92}
    >>> found = ranks({"a": a, "b": b, "c": c})
    >>> [(name, r.rank, r.low, r.high, r.may_be_best) for name, r in found.items()]
    [('a', 2, 1, 2, True), ('b', 3, 3, 3, False), ('c', 1, 1, 2, True)]
    """
    for name, row in values.items():
        finite(row.values(), f"ranks: {name}")
    asked = len({seed for row in values.values() for seed in row}) if seeds is None else seeds
    ranked = {name: row for name, row in values.items() if row and name not in impossible and 2 * len(row) >= asked}
    means = {name: math.fsum(row.values()) / len(row) for name, row in values.items() if row}
    tolerance = negligible(means.values())
    differences = pairwise(ranked)
    found = {}
    for name in [*values, *(extra for extra in impossible if extra not in values)]:
        row = values.get(name, {})
        mean = means.get(name, math.nan)
        if name in impossible:
            found[name] = Rank(0, math.nan, None, None, None, False, "impossible within this budget")
        elif not row:
            found[name] = Rank(0, mean, None, None, None, None, "every run failed or is missing")
        elif name not in ranked:
            found[name] = Rank(len(row), mean, None, None, None, None, f"only {len(row)} of {asked} seeds")
        else:
            place = 1 + sum(means[other] > mean + tolerance for other in ranked)
            low, high = _interval([differences[name, other] for other in ranked if other != name], len(ranked))
            if len(row) == 1:
                found[name] = Rank(1, mean, place, None, None, None, "one seed: no statement about noise")
            else:
                found[name] = Rank(len(row), mean, place, low, high, low == 1, "")
    return found


def pairwise(values: Mapping[str, Values]) -> Pairs:
    """Return every ordered pair's difference; each is computed once.

    >>> pairwise({"a": {0: 0.5}, "b": {0: 0.25}})["b", "a"].mean
    -0.25
    """
    names, found = list(values), {}
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            found[a, b] = paired_difference(values[a], values[b])
            found[b, a] = found[a, b].reversed()
    return found


def _interval(against: list[Difference], strategies: int) -> tuple[int, int]:
    adjusted = holm([difference.tested for difference in against])
    decided = [d.mean for d, p in zip(against, adjusted, strict=True) if p <= LEVEL]
    return 1 + sum(mean < 0 for mean in decided), strategies - sum(mean > 0 for mean in decided)
