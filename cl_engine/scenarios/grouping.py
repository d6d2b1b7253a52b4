"""Sorting samples into groups: the few array operations that the families share."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.plan import Int64, StreamPlan, targets_digest


def positions_in(order: Int64, targets: Int64) -> Int64:
    """Return where each sample's label stands in ``order`` ``[C]``, int64 ``[N]``.

    >>> positions_in(np.array([30, 10, 20]), np.array([10, 10, 30])).tolist()
    [1, 1, 0]
    """
    ascending = np.argsort(order, kind="stable")
    return ascending[np.searchsorted(order[ascending], targets)]


def shuffled_by(keys: Int64, generator: np.random.RandomState) -> Int64:
    """Return all positions of ``keys`` ``[N]`` sorted by key, in uniform random order where keys are equal."""
    shuffled = generator.permutation(len(keys))
    return shuffled[np.argsort(keys[shuffled], kind="stable")]


def ranks(grouped: Int64) -> Int64:
    """Return the position of each entry inside its run of equal entries, int64 ``[N]``.

    >>> ranks(np.array([4, 4, 4, 9, 9, 2])).tolist()
    [0, 1, 2, 0, 1, 0]
    """
    starts = np.flatnonzero(np.diff(grouped, prepend=grouped[:1] - 1))
    return np.arange(len(grouped)) - np.repeat(starts, np.diff(starts, append=len(grouped)))


def balanced_parts(targets: Int64, parts: int, seed: int) -> Int64:
    """Deal every class evenly over ``parts``; return the part of each sample, int64 ``[N]``.

    The samples lie class after class, each class shuffled, and are dealt round and round over the parts, classes
    and parts in random order.  So the counts of a class differ by at most one between parts, its leftovers fall
    on distinct random parts, and the sizes of the parts differ by at most one as well.
    """
    generator = numpy_generator(seed, "partition")
    labels, class_ids = np.unique(targets, return_inverse=True)
    in_random_order = generator.permutation(len(labels))[class_ids]
    dealt = np.empty(len(targets), dtype=np.int64)
    turn = np.arange(len(targets)) % parts
    dealt[shuffled_by(in_random_order, numpy_generator(seed, "membership"))] = generator.permutation(parts)[turn]
    return dealt


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
    return ClassLists(labels, np.concatenate([[0], np.cumsum(counts)]), shuffled_by(targets, generator))


def shuffled_by_experience(arrival: Int64, experiences: int, generator: np.random.RandomState) -> list[Int64]:
    """Return the samples of each experience in a uniform random order.

    Args:
        arrival: int64 ``[N]``, the experience of each sample; -1 for a sample that is never delivered.
        experiences: number of experiences; those that no sample arrives in stay empty.
        generator: draws the order.
    """
    grouped = shuffled_by(arrival, generator)
    starts = np.searchsorted(arrival[grouped], np.arange(experiences + 1))
    return [grouped[a:b] for a, b in itertools.pairwise(starts)]


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


def plan_by_arrival(targets: Int64, arrival: Int64, experiences: int, *, seed: int, **traits: Any) -> StreamPlan:
    """Build the plan in which each sample comes in experience ``arrival`` ``[N]``; -1 leaves it out.

    The samples of an experience come in a uniform random order; ``traits`` go to
    :class:`~cl_engine.scenarios.plan.StreamPlan`.
    """
    grouped = shuffled_by(arrival, numpy_generator(seed, "within_order"))
    offsets = np.searchsorted(arrival[grouped], np.arange(experiences + 1))
    digest = targets_digest(targets)
    return StreamPlan(grouped[offsets[0] :], offsets - offsets[0], len(targets), digest, **traits)
