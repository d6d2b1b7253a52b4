"""When images and queries come: some images are there at the start, what follows comes by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cl_engine.randomness import numpy_generator

Times = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def poisson_arrivals(images: int, initial: int, rate: float, seed: int) -> Times:
    """Return when images come, in a row drawn by chance: so many at the start, the others as a Poisson process.

    Args:
        images: N.
        initial: how many are there at time 0.
        rate: how many come each second; 0: the others never come.
        seed: of both draws.

    >>> poisson_arrivals(4, 2, 0.0, seed=0)
    array([ 0.,  0., inf, inf])
    """
    draw, found = numpy_generator(seed, "arrivals"), np.zeros(images)
    row = draw.permutation(images)
    waits = draw.exponential(size=images - initial)
    found[row[initial:]] = np.cumsum(waits) / rate if rate else np.inf
    return found


def poisson_queries(
    queries: int, rate: float, seconds: float, spans: int, draw: np.random.RandomState
) -> list[Rows]:
    """Return which of some queries are asked in each of several spans of time, one after the other.

    Args:
        queries: how many there are to ask, each as likely as any other.
        rate: how many are asked each second, a Poisson process.
        seconds: of a span.
        spans: how many.
        draw: makes both draws.

    >>> from cl_engine.randomness import numpy_generator
    >>> poisson_queries(10, 0.0, 5.0, 2, numpy_generator(0, "queries"))
    [array([], dtype=int64), array([], dtype=int64)]
    """
    return [draw.randint(0, queries, count, dtype=np.int64) for count in draw.poisson(rate * seconds, spans)]
