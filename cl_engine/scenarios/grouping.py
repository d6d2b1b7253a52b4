"""Sorting samples into groups: the few array operations that the families share."""

from __future__ import annotations

from typing import Any

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


def plan_by_arrival(targets: Int64, arrival: Int64, experiences: int, *, seed: int, **traits: Any) -> StreamPlan:
    """Build the plan in which each sample comes in experience ``arrival`` ``[N]``; -1 leaves it out.

    The samples of an experience come in a uniform random order; ``traits`` go to
    :class:`~cl_engine.scenarios.plan.StreamPlan`.
    """
    grouped = shuffled_by(arrival, numpy_generator(seed, "within_order"))
    offsets = np.searchsorted(arrival[grouped], np.arange(experiences + 1))
    digest = targets_digest(targets)
    return StreamPlan(grouped[offsets[0] :], offsets - offsets[0], len(targets), digest, **traits)
