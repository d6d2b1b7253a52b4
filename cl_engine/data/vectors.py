"""Feature vectors without a split or a scale of their own: a fixed share for testing, and standardisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from cl_engine.data.samples import DataError, Samples
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import ranks, shuffled_by

ROWS = 1 << 14  # rows that are standardised at once


def split(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Return training and test samples, in their old order; the same share of every class in every domain.

    Of ``n`` samples of a class (in a domain) ``share * n``, rounded, are test samples: at least one, and at most
    ``n - 1``.

    Raises:
        DataError: there is no class of two samples.

    >>> y = torch.tensor([0, 1, 0, 0, 0, 2, 2])
    >>> train, test = split(Samples(torch.zeros(7, 1), y), 0.25, seed=0)
    >>> train.y.bincount().tolist(), test.y.bincount().tolist()
    ([3, 1, 1], [1, 0, 1])
    """
    facts = [samples.y.numpy(), *(column.numpy() for column in samples.columns.values())]
    stratum = np.unique(np.stack(facts), axis=1, return_inverse=True)[1].ravel().astype(np.int64)
    size = np.bincount(stratum)
    tested = np.clip(np.rint(share * size).astype(np.int64), 1, size - 1)
    order = shuffled_by(stratum, numpy_generator(seed, "test split"))
    test = torch.zeros(len(samples), dtype=torch.bool)
    test[torch.from_numpy(order[ranks(stratum[order]) < tested[stratum[order]]])] = True
    if not test.any():
        raise DataError("no class has two samples, one to learn from and one to test on; allowed: two or more")
    return samples[~test], samples[test]


def standardised(train: Samples, test: Samples) -> tuple[Samples, Samples]:
    """Return both with every feature shifted and scaled to mean 0 and deviation 1 over the training samples.

    A feature that never changes becomes 0.  All training samples count, those of later experiences too.
    """
    x = train.x.numpy()
    mean = x.mean(0, dtype=np.float64)
    square = sum(np.square(x[i : i + ROWS] - mean).sum(0) for i in range(0, len(x), ROWS))
    deviation = np.sqrt(square / len(x))
    constant = x.min(0) == x.max(0)  # the mean of equal numbers may differ from them by rounding
    scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))
    return _scaled(train, mean, scale), _scaled(test, mean, scale)


def _scaled(samples: Samples, mean: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]) -> Samples:
    x, old = np.empty(tuple(samples.x.shape), np.float32), samples.x.numpy()
    for i in range(0, len(x), ROWS):
        x[i : i + ROWS] = (old[i : i + ROWS] - mean) * scale
    return replace(samples, x=torch.from_numpy(x))
