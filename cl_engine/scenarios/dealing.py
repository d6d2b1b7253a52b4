"""What several stream families share: sharing out a total, samples by class, samples by experience."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cl_engine.scenarios.plan import Int64


class ClassLists(NamedTuple):
    """The samples of each class in a uniform random order.

    Attributes:
        labels: int64 ``[C]``, the distinct label values, ascending; a class is its position in this array.
        starts: int64 ``[C + 1]``; class ``c`` is ``samples[starts[c]:starts[c + 1]]``.
        samples: int64 ``[N]``, sample indices, class after class.
    """

    labels: Int64
    starts: Int64
    samples: Int64

    @property
    def counts(self) -> Int64:
        """The number of samples of each class, int64 ``[C]``."""
        return np.diff(self.starts)

    @property
    def classes(self) -> Int64:
        """The class of each entry of ``samples``, int64 ``[N]``."""
        return np.repeat(np.arange(len(self.labels)), self.counts)

    @property
    def ranks(self) -> Int64:
        """The position of each entry of ``samples`` within its class, int64 ``[N]``."""
        return np.arange(len(self.samples)) - np.repeat(self.starts[:-1], self.counts)


def shuffled_by_class(targets: Int64, generator: np.random.RandomState) -> ClassLists:
    """Return the samples of ``targets``, int64 ``[N]``, by class and shuffled within each class.

    >>> lists = shuffled_by_class(np.array([7, 3, 7]), np.random.RandomState(0))
    >>> lists.labels.tolist(), lists.starts.tolist(), sorted(lists.samples[1:].tolist())
    ([3, 7], [0, 1, 3], [0, 2])
    """
    labels, counts = np.unique(targets, return_counts=True)
    shuffled = generator.permutation(len(targets))
    samples = shuffled[np.argsort(targets[shuffled], kind="stable")]
    return ClassLists(labels, np.concatenate([[0], np.cumsum(counts)]), samples)


def shuffled_by_experience(arrival: Int64, experiences: int, generator: np.random.RandomState) -> list[Int64]:
    """Return the samples of each experience in a uniform random order.

    Args:
        arrival: int64 ``[N]``, the experience of each sample; -1 for a sample that is never delivered.
        experiences: number of experiences; those that no sample arrives in stay empty.
        generator: draws the order.
    """
    shuffled = generator.permutation(len(arrival))
    grouped = shuffled[np.argsort(arrival[shuffled], kind="stable")]
    starts = np.searchsorted(arrival[grouped], np.arange(experiences + 1))
    return [grouped[a:b] for a, b in itertools.pairwise(starts)]


def largest_remainder(shares: npt.NDArray[np.floating], total: int) -> Int64:
    """Round ``shares`` of a ``total`` to whole numbers that add up to it; equal remainders favour the earliest.

    >>> largest_remainder(np.array([1.0, 1.0, 1.0]), 11).tolist()
    [4, 4, 3]
    """
    exact = np.asarray(shares, dtype=np.float64) * (total / np.cumsum(shares)[-1])
    rounded: Int64 = np.floor(exact).astype(np.int64)
    neediest = np.argsort(rounded - exact, kind="stable")
    rounded[neediest[: total - rounded.sum()]] += 1
    return rounded


def ranges(starts: Int64, lengths: Int64) -> Int64:
    """Return the integers of several ranges, one range after the other.

    >>> ranges(np.array([5, 20]), np.array([3, 2])).tolist()
    [5, 6, 7, 20, 21]
    """
    before = np.cumsum(lengths) - lengths
    joined: Int64 = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return joined


def undelivered(targets: Int64, experiences: list[Int64], why: str) -> tuple[str, ...]:
    """Return the note on samples, and on whole classes, that no experience delivers; nothing if there are none."""
    delivered = np.zeros(len(targets), dtype=bool)
    for samples in experiences:
        delivered[samples] = True
    missing = len(targets) - int(delivered.sum())
    if not missing:
        return ()
    classes = len(np.unique(targets)) - len(np.unique(targets[delivered]))
    whole = f", {classes} whole classes among them," if classes else ""
    return (f"{missing} of {len(targets)} samples{whole} are never delivered: {why}",)
