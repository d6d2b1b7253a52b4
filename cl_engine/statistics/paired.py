"""The comparison of two strategies: differences seed by seed.

Runs of one seed share stream, order and initialisation, so the differences vary less than the runs do; a test that
forgets the pairing throws that away.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from cl_engine.statistics.intervals import t_interval
from cl_engine.statistics.sample import Values, finite, negligible

LEVEL = 0.05
SIGN_FLIPS = range(6, 31)  # below 6 seeds no arrangement reaches 5 %; above 30 the t test needs no second opinion


class Difference(NamedTuple):
    """First minus second over the seeds that both have; NaN where too few seeds leave it undefined.

    Attributes:
        n: shared seeds.
        mean: mean difference.
        sd: standard deviation of the differences, with n - 1; 0 where they vary by rounding alone.
        se: standard error.
        low: lower end of the 95 % t interval.
        high: its upper end.
        t: Student's t; NaN where sd is 0.
        p: two-sided p of the paired t test; without spread 1 for no difference and 0 for any.
        sign_flip: exact two-sided p under exchange of signs, for 6 to 30 seeds, else NaN.
        wins: seeds on which the first is higher.
        ties: seeds on which both are equal.
        note: what a reader must know of a case that is no ordinary test; empty for the ordinary.
    """

    n: int
    mean: float
    sd: float
    se: float
    low: float
    high: float
    t: float
    p: float
    sign_flip: float
    wins: int
    ties: int
    note: str

    @property
    def higher(self) -> float:
        """Return on how many of the n seeds the first is higher, ties counting half."""
        return self.wins + self.ties / 2

    @property
    def tested(self) -> float:
        """Return the p that decisions use: 1 where one or two seeds are too few to call anything significant."""
        return self.p if self.n > 2 or self.sd == 0 else 1.0

    def reversed(self) -> Difference:
        """Return second minus first."""
        return self._replace(
            mean=-self.mean, low=-self.high, high=-self.low, t=-self.t, wins=self.n - self.wins - self.ties
        )


def paired_difference(first: Values, second: Values) -> Difference:
    """Return the paired comparison of two strategies, each ``{seed: value}``.

    Raises:
        InputError: a value that is not finite; leave out what is missing.

    >>> memo = {0: 0.672, 1: 0.669, 2: 0.680, 3: 0.671, 4: 0.677}
    >>> icarl = {0: 0.655, 1: 0.661, 2: 0.648, 3: 0.660, 4: 0.652}
    >>> found = paired_difference(memo, icarl)
    >>> found.wins, round(found.mean, 6), round(found.p, 6)
    (5, 0.0186, 0.013752)
    """
    finite([*first.values(), *second.values()], "difference")
    a = [float(first[seed]) for seed in first if seed in second]
    b = [float(second[seed]) for seed in first if seed in second]
    none = negligible([*a, *b])
    differences = [0.0 if abs(x - y) < none else x - y for x, y in zip(a, b, strict=True)]
    n, nan = len(differences), math.nan
    if not n:
        return Difference(0, nan, nan, nan, nan, nan, nan, nan, nan, 0, 0, "no seed in common")
    _, mean, sd, se, low, high = t_interval(differences)
    t, p, note = nan, nan, ""
    if n == 1:
        note = "one seed: no statement about noise"
    elif sd < none:
        sd, se, low, high = 0.0, 0.0, mean, mean
        p = 1.0 if abs(mean) < none else 0.0
        note = _without_spread(a, b, mean, none)
    else:
        t = mean / se
        p = 2 * float(stdtr(n - 1, -abs(t)))
        if n == 2:
            note = "two seeds: too few to call a difference significant"
    flips = sign_flip(differences) if n in SIGN_FLIPS else nan
    wins, ties = sum(d > 0 for d in differences), sum(d == 0 for d in differences)
    return Difference(n, mean, sd, se, low, high, t, p, flips, wins, ties, note)


def sign_flip(differences: list[float]) -> float:
    """Return the exact two-sided p of the sum of the differences under every choice of their signs (Fisher 1935).

    Its least value for n seeds is ``2 ** (1 - n)``.  The signs of the two halves are enumerated apart and joined by
    sorting, so that 30 seeds cost 2 ** 15 steps, not 2 ** 30.

    Raises:
        InputError: a difference that is not finite.

    >>> sign_flip([0.01, 0.02, 0.03]), sign_flip([0.0, 0.0])
    (0.25, 1.0)
    """
    d = np.array(finite(differences, "sign flip"))
    left, right = _signed_sums(d[: len(d) // 2]), np.sort(_signed_sums(d[len(d) // 2 :]))
    seen = abs(d.sum()) - 1e-12 * np.abs(d).sum()  # equal sums in another order differ by rounding
    # Both tails are the same size, for every choice of signs has its opposite.
    above = len(right) - np.searchsorted(right, seen - left, side="left")
    return 1.0 if seen <= 0 else float(2 * above.sum() / 2 ** len(d))


def _signed_sums(d: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _without_spread(a: list[float], b: list[float], mean: float, none: float) -> str:
    if abs(mean) < none:
        return "identical on every seed"
    vary = max(a) - min(a) >= none or max(b) - min(b) >= none
    return "the difference is the same on every seed" if vary else "neither varies over seeds"
