"""Accuracy-memory curves: the area under one, and where two cross.

A curve is ``{budget: value}``, and a strategy has one a seed.  Runs of one seed at several budgets belong together:
each seed is first reduced to one number, and only then is there an interval (resampling budgets apart covers 63 %).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from cl_engine.errors import InputError
from cl_engine.metrics import area_under_curve
from cl_engine.statistics.sample import finite, negligible

Curves = Mapping[Any, Mapping[float, float]]
Array = np.ndarray[Any, Any]

WIDE = 8.0  # from this ratio of the largest to the smallest budget on, curves are read over log2


class Areas(NamedTuple):
    """Areas under one strategy's curves, ``{seed: area}``, over its own span; nothing is extrapolated.

    Attributes:
        low: its smallest budget; NaN without a curve.
        high: its largest.
        complete: whether it has values at all budgets of the comparison, and so may be ranked.
        auc: area in units of budget x value (MEMO's AUC for budgets in MB).
        auc_norm: the same by width: a mean height.
        auc_log_norm: the mean height over log2 of the budget.
    """

    low: float
    high: float
    complete: bool
    auc: dict[Any, float]
    auc_norm: dict[Any, float]
    auc_log_norm: dict[Any, float]


class Piece(NamedTuple):
    """A stretch of budgets in which two strategies are not separable at 95 %.

    Attributes:
        low: its lower end.
        high: its upper end.
        open_low: it reaches the smallest budget measured, and may go on below.
        open_high: it reaches the largest, and may go on above.
        zeros: the crossings of the mean curve inside it.
    """

    low: float
    high: float
    open_low: bool
    open_high: bool
    zeros: tuple[float, ...]


class Crossing(NamedTuple):
    """Where the mean difference of two curves is zero, and where the seeds cannot tell it from zero.

    Attributes:
        n: shared seeds with a value of both at every budget used.
        budgets: the budgets used, rising.
        log: whether the curves are linear in log2 of the budget between them, or in the budget.
        zeros: every crossing of the mean curves, rising; none, one or many; where they coincide, none.
        pieces: Fieller's set, rising; empty with one seed.
        above: sign of first minus second at the largest budget: 1, 0 or -1.
    """

    n: int
    budgets: tuple[float, ...]
    log: bool
    zeros: tuple[float, ...]
    pieces: tuple[Piece, ...]
    above: int


def areas(curves: Mapping[str, Curves], budgets: Sequence[float] | None = None) -> dict[str, Areas]:
    """Return the areas under the curves of each strategy, one number a seed.

    A strategy's span is the budgets at which it has any value; a seed that lacks one of them is left out, which n,
    the number of its areas, shows.

    Args:
        curves: ``{strategy: {seed: {budget: value}}}``.
        budgets: the budgets of the comparison; default all that any strategy has.

    Raises:
        InputError: a budget that is not above 0, or a value that is not finite.

    >>> found = areas({"a": {0: {1: 0.5, 2: 0.7, 4: 0.9}}, "b": {0: {2: 0.6, 4: 0.8}}})
    >>> found["a"].auc, found["a"].complete
    ({0: 2.2}, True)
    >>> found["b"].low, found["b"].complete, round(found["b"].auc_norm[0], 6)
    (2, False, 0.7)
    """
    own = {
        name: _checked({budget for curve in rows.values() for budget in curve}, rows)
        for name, rows in curves.items()
    }
    wanted = set(budgets) if budgets is not None else {budget for row in own.values() for budget in row}
    return {name: _areas(rows, own[name], wanted <= set(own[name])) for name, rows in curves.items()}


def crossing(first: Curves, second: Curves, log: bool | None = None, level: float = 0.95) -> Crossing:
    """Return where ``first - second`` is zero, with the set that the seeds leave open (Fieller 1954).

    The difference of each seed is linear between budgets.  The set holds every budget u with
    ``|mean d(u)| <= t SD d(u) / sqrt(n)``: in each segment a quadratic, solved exactly.  It may touch the ends,
    have several pieces, or be everything; beyond the budgets measured nothing is said.

    Args:
        first: ``{seed: {budget: value}}``.
        second: the same; seeds and budgets are those that both have.
        log: read the curves over log2 of the budget; default where the largest is at least 8 times the smallest.
        level: coverage of the set.

    Raises:
        InputError: fewer than two budgets or no seed in common, a budget not above 0, a value that is not finite.

    >>> one = {s: {1: 0.4 + 0.01 * s, 2: 0.8 + 0.01 * s} for s in range(3)}
    >>> two = {s: {1: 0.6, 2: 0.6} for s in range(3)}
    >>> found = crossing(one, two)
    >>> [round(zero, 6) for zero in found.zeros], [(round(p.low, 3), round(p.high, 3)) for p in found.pieces]
    ([1.475], [(1.413, 1.537)])
    """
    x, differences = _differences(first, second)
    log = x[-1] / x[0] >= WIDE if log is None else log
    u = np.log2(x) if log else x
    zeros = _zeros(u, differences.mean(axis=0))
    pieces = _fieller(u, differences, level) if len(differences) > 1 else []
    # At a zero of the mean the set holds that budget whatever the spread; without spread it holds nothing else.
    pieces += [(z, z) for z in zeros if len(differences) > 1 and not any(a <= z <= b for a, b in pieces)]
    back = (lambda v: float(2**v)) if log else float
    ends, near = (u[0], u[-1]), 1e-9 * (u[-1] - u[0])
    return Crossing(
        n=len(differences),
        budgets=tuple(x.tolist()),
        log=bool(log),
        zeros=tuple(back(z) for z in zeros),
        pieces=tuple(
            Piece(
                float(x[0]) if a - ends[0] <= near else back(a),
                float(x[-1]) if ends[1] - b <= near else back(b),
                bool(a - ends[0] <= near),
                bool(ends[1] - b <= near),
                tuple(back(z) for z in zeros if a - near <= z <= b + near),
            )
            for a, b in sorted(pieces)
        ),
        above=int(np.sign(differences.mean(axis=0)[-1])),
    )


def _checked(budgets: set[float], rows: Curves) -> list[float]:
    for curve in rows.values():
        finite(curve.values(), "curve")
    if not all(budget > 0 and math.isfinite(budget) for budget in budgets):
        raise InputError(f"curve: a budget of {min(budgets)}; finite budgets above 0")
    return sorted(budgets)


def _areas(rows: Curves, own: list[float], complete: bool) -> Areas:
    if len(own) < 2:
        end = own[0] if own else math.nan
        return Areas(end, end, False, {}, {}, {})
    whole = {seed: [curve[budget] for budget in own] for seed, curve in rows.items() if curve.keys() >= set(own)}
    return Areas(
        own[0],
        own[-1],
        complete,
        {seed: area_under_curve(own, y) for seed, y in whole.items()},
        {seed: area_under_curve(own, y, normalise=True) for seed, y in whole.items()},
        {seed: area_under_curve(own, y, log=True, normalise=True) for seed, y in whole.items()},
    )


def _differences(first: Curves, second: Curves) -> tuple[Array, Array]:
    """Return the shared budgets [B] and the differences [n,B] of the seeds that have them all."""
    mine, other = ({budget for curve in rows.values() for budget in curve} for rows in (first, second))
    budgets = _checked(mine & other, first)
    _checked(mine & other, second)
    seeds = [
        seed
        for seed in first
        if seed in second and first[seed].keys() >= set(budgets) and second[seed].keys() >= set(budgets)
    ]
    if len(budgets) < 2 or not seeds:
        raise InputError(
            f"crossing: {len(budgets)} budgets and {len(seeds)} seeds in common; at least two budgets and one seed"
        )
    a, b = ([[rows[seed][budget] for budget in budgets] for seed in seeds] for rows in (first, second))
    found = np.array(a, dtype=float) - np.array(b, dtype=float)
    found[np.abs(found) < negligible([v for row in (*a, *b) for v in row])] = 0.0
    return np.array(budgets, dtype=float), found


def _zeros(u: Array, mean: Array) -> list[float]:
    """Return where the polyline is zero; of a stretch that is zero throughout, nothing."""
    none = negligible(mean)
    mean = np.where(np.abs(mean) < none, 0.0, mean)
    found = []
    for b in range(len(u)):
        flat = (b > 0 and mean[b - 1] == 0) or (b + 1 < len(u) and mean[b + 1] == 0)
        if mean[b] == 0 and not flat:
            found.append(float(u[b]))
        if b + 1 < len(u) and mean[b] * mean[b + 1] < 0:
            found.append(float(u[b] + mean[b] / (mean[b] - mean[b + 1]) * (u[b + 1] - u[b])))
    return found


def _fieller(u: Array, differences: Array, level: float) -> list[tuple[float, float]]:
    """Return the pieces of ``{u: mean^2 <= t^2 / n variance}``, joined across segments."""
    n = len(differences)
    q = float(stdtrit(n - 1, (1 + level) / 2)) ** 2 / n
    pieces: list[tuple[float, float]] = []
    for b in range(len(u) - 1):
        start, rise = differences[:, b], differences[:, b + 1] - differences[:, b]
        (c00, c01), (_, c11) = np.cov(start, rise)
        m0, m1 = start.mean(), rise.mean()
        a2, a1, a0 = m1 * m1 - q * c11, 2 * (m0 * m1 - q * c01), m0 * m0 - q * c00
        cuts = [0.0, *sorted(root for root in _roots(a2, a1, a0) if 0 < root < 1), 1.0]
        for left, right in itertools.pairwise(cuts):
            middle = (left + right) / 2
            if (a2 * middle + a1) * middle + a0 <= 0:
                low, high = (float(u[b] + s * (u[b + 1] - u[b])) for s in (left, right))
                joined = bool(pieces) and low - pieces[-1][1] <= 1e-12 * max(1.0, abs(low))
                pieces[-1:] = [(pieces[-1][0], high)] if joined else [*pieces[-1:], (low, high)]
    return pieces


def _roots(a: float, b: float, c: float) -> list[float]:
    """Return the real roots of ``a x^2 + b x + c`` without cancellation."""
    inside = b * b - 4 * a * c
    if inside < 0:
        return []
    far = -(b + math.copysign(math.sqrt(inside), b)) / 2
    return [root for root in ((far / a) if a else math.inf, (c / far) if far else math.inf) if math.isfinite(root)]
