"""What a number of seeds can show, and how many a difference would need."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chdtri, gammaln, ndtr, stdtrit

from cl_engine.errors import InputError
from cl_engine.statistics.sample import NOTHING

POWER = 0.8
ALPHA = 0.05
MOST = 1_000  # seeds; nobody runs more


class SeedsNeeded(NamedTuple):
    """Seeds for a power of 80 % at two-sided 5 %; None where 1,000 are not enough.

    Attributes:
        seen: with the standard deviation as seen.
        upper: with the upper 80 % limit of the standard deviation, which few seeds leave wide.
        note: why there is no number; empty otherwise.
    """

    seen: int | None
    upper: int | None
    note: str


def power(effect: float, n: int) -> float:
    """Return the power of the two-sided paired t test at 5 % (noncentral t, integrated over the sample's SD).

    Args:
        effect: true mean difference in standard deviations of the differences; its sign does not matter.
        n: seeds, at least 2.

    Raises:
        InputError: fewer than two seeds, or an effect that is not finite.

    >>> round(power(1, 10), 6), round(power(0, 3), 6)
    (0.803097, 0.05)
    """
    if n < 2 or not math.isfinite(effect):
        raise InputError(f"power: effect {effect} with {n} seeds; a finite effect, and at least 2 seeds")
    return float(_power(np.array([abs(effect)]), np.array([n]))[0])


def smallest_effect(n: int) -> float:
    """Return the difference, in standard deviations of the differences, that n seeds show with a power of 80 %.

    Raises:
        InputError: n is not in 2 to 1,000.

    >>> [round(smallest_effect(n), 2) for n in (3, 5, 10)]
    [3.26, 1.68, 1.0]
    """
    if not 2 <= n <= MOST:
        raise InputError(f"smallest effect: {n} seeds; 2 to {MOST}")
    return float(_smallest_effects()[n - 2])


def upper_sd(sd: float, n: int, level: float = POWER) -> float:
    """Return the one-sided upper limit of a standard deviation estimated from n normal values.

    Raises:
        InputError: fewer than two values.

    >>> round(upper_sd(1.0, 3), 6)
    2.116936
    """
    if n < 2:
        raise InputError(f"upper limit of the SD: {n} values; at least 2")
    return sd * math.sqrt((n - 1) / float(chdtri(n - 1, level)))


def seeds_needed(mean: float, sd: float, n: int) -> SeedsNeeded:
    """Return how many seeds a paired difference would need, from its mean and SD over the n seeds at hand.

    Raises:
        InputError: a mean or SD that is not finite, or fewer than two seeds.

    >>> seeds_needed(0.0034, 0.003847077, 5)
    SeedsNeeded(seen=13, upper=27, note='')
    >>> seeds_needed(0.0, 0.01, 5).note
    'no number of seeds shows a difference of 0'
    """
    if n < 2 or not math.isfinite(mean) or not math.isfinite(sd):
        raise InputError(f"seeds needed: difference {mean}, SD {sd}, {n} seeds; finite numbers of at least 2 seeds")
    if abs(mean) < NOTHING:
        return SeedsNeeded(None, None, "no number of seeds shows a difference of 0")
    seen, upper = _first(mean, sd), _first(mean, upper_sd(sd, n))
    return SeedsNeeded(seen, upper, f"more than {MOST:,} seeds" if seen is None else "")


def strength(n: int) -> str:
    """Return in words what n seeds can say about one number; empty where nothing needs saying.

    >>> strength(3)
    'few seeds: only large differences can show'
    """
    if n < 2:
        return "no interval"
    return "few seeds: only large differences can show" if n < 5 else ""


def _first(mean: float, sd: float) -> int | None:
    if sd == 0:
        return 2
    enough = np.nonzero(_smallest_effects() <= abs(mean) / sd)[0]
    return int(enough[0]) + 2 if len(enough) else None


@functools.cache
def _smallest_effects() -> np.ndarray[Any, Any]:
    """Return for n = 2..1,000 the effect with a power of 80 %, by halving all intervals at once."""
    n = np.arange(2, MOST + 1)
    low, high = np.zeros(len(n)), np.full(len(n), 16.0)
    for _ in range(40):
        middle = (low + high) / 2
        enough = _power(middle, n) >= POWER
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


@functools.cache
def _nodes() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x, w = np.polynomial.legendre.leggauss(120)
    return (x + 1) / 2, w / 2


def _power(effect: np.ndarray[Any, Any], n: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return ``P(|T| > c)``, T noncentral t, for each pair [K]: the mean over u, the sample SD in true SDs.

    Libraries' noncentral t returns NaN in the far tail for many values; this integrand is smooth everywhere.
    """
    df = (n - 1)[:, None].astype(float)
    c, shift = stdtrit(df, 1 - ALPHA / 2), effect[:, None] * np.sqrt(n)[:, None]
    x, w = _nodes()
    # All but 1e-13 of the distribution of u lies between these ends.
    low, high = (np.sqrt(chdtri(df, q) / df) for q in (1 - 1e-13, 1e-13))
    u = low + (high - low) * x
    density = math.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(u) - df * u * u / 2
    inside = (ndtr(shift - c * u) + ndtr(-c * u - shift)) * np.exp(density)
    found: np.ndarray[Any, Any] = (inside * w).sum(axis=1) * (high - low)[:, 0]
    return found
