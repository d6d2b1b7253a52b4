"""When the images of a gallery come: some are there at the start, the others follow by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cl_engine.randomness import numpy_generator

Times = npt.NDArray[np.float64]


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
