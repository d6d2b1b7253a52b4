"""Blurry-M streams: every class is at home in one experience and leaks into all the others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.dealing import largest_remainder
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.grouping import shuffled_by_class, shuffled_by_experience
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of


def blurry(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=2, le=10**6, description="number of experiences")] = 5,
    blur: Annotated[
        int, Field(ge=0, le=100, description="percent of each class that arrives outside its home experience")
    ] = 10,
    class_order: ClassOrder = 1993,
    seed: Annotated[int, Field(ge=0, description="chooses the samples that leave home and orders them all")] = 0,
) -> StreamPlan:
    """Every class keeps most samples in its home experience and spreads `blur` percent over the others.

    This is Blurry-M (M = `blur`) of GDumb (Prabhu et al. 2020) and Rainbow Memory (Bang et al. 2021).  The class
    order is cut into equal runs of home classes; classes left over go one each to the earliest experiences.  The
    samples that leave home (`blur` percent of a class, halves rounded up) go round the other experiences in turn,
    class after class, so that a class is spread evenly and balanced data gives experiences of equal size.  All
    samples are used; inside an experience they come in a uniform random order.  Boundaries are hidden.

    Raises:
        OptionError: a class order that is not a permutation of the labels.
    """
    lists = shuffled_by_class(targets, numpy_generator(seed, "membership"))
    order = ordered_labels(targets, class_order)
    home = home_experiences(order, experiences)[lists.classes]
    leaving = lists.ranks < leaving_counts(lists.counts, blur)[lists.classes]

    travellers = np.flatnonzero(leaving)
    travellers = travellers[np.argsort(home[travellers], kind="stable")]
    origin = home[travellers]
    turn = np.arange(len(travellers)) - np.searchsorted(origin, origin)  # counts from 0 in each home
    # Starting from the next experience, not from the first, hands out the incomplete last rounds evenly.
    place = home.copy()
    place[travellers] = (origin + 1 + turn % (experiences - 1)) % experiences

    arrival = np.empty_like(place)
    arrival[lists.samples] = place
    within_order = numpy_generator(seed, "within_order")
    parts = shuffled_by_experience(arrival, experiences, within_order)
    return plan_of(targets, parts, boundaries=False, class_order=order)


def home_experiences(order: Int64, experiences: int) -> Int64:
    """Cut a class order into runs whose lengths differ by at most one, the longer ones first.

    Args:
        order: int64 ``[C]``, the label values in the order of the classes.
        experiences: number of runs.

    Returns:
        int64 ``[C]``, the home experience of each class, classes by ascending label value.

    >>> home_experiences(np.array([30, 10, 20]), 2).tolist()
    [0, 1, 0]
    """
    runs = largest_remainder(np.ones(experiences), len(order))
    return np.repeat(np.arange(experiences), runs)[np.argsort(order)]


def leaving_counts(counts: Int64, percent: int) -> Int64:
    """Return `percent` of each class's number of samples, int64 ``[C]``, halves rounded up.

    >>> leaving_counts(np.array([500, 5, 4, 1]), 10).tolist()
    [50, 1, 0, 0]
    """
    return (counts * percent + 50) // 100
