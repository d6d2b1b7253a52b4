"""i-Blurry-N-M streams: some classes stay whole, the others are blurred over all experiences."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.dealing import largest_remainder
from cl_engine.scenarios.families.blurry import home_experiences, leaving_counts
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.grouping import ranges, shuffled_by_class, shuffled_by_experience
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of


def i_blurry(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="number of experiences")] = 5,
    disjoint_percent: Annotated[
        int, Field(ge=0, le=100, description="percent of the classes that arrive whole, in one experience")
    ] = 50,
    blurry_percent: Annotated[
        int, Field(ge=0, le=100, description="percent of every other class that is pooled and dealt out again")
    ] = 10,
    class_order: ClassOrder = 1993,
    seed: Annotated[int, Field(ge=0, description="chooses the pooled samples, deals them and orders them all")] = 0,
) -> StreamPlan:
    """Disjoint classes arrive whole; the others give `blurry_percent` to a pool dealt to all experiences.

    This is i-Blurry-N-M (N = `disjoint_percent`, M = `blurry_percent`; Koh et al., ICLR 2022), whose published
    streams are index files; this is the rule behind them.  Each experience is home to an equal run of the class
    order, as in a class-incremental stream, and the first classes of the run are disjoint.  Every experience,
    home included, receives the same number of pooled samples, so a blurred class keeps about
    ``1 - M + M / experiences`` of its samples at home.  All samples are used; boundaries are hidden.

    Experiences have equal sizes where classes are equal and `experiences` divides the disjoint classes, the
    others, and the pool.  Otherwise whatever is left over (classes of a run, disjoint classes, pooled samples) goes
    one each to the earliest experiences; the disjoint classes are rounded down, M percent of a class to the
    nearest.

    Raises:
        OptionError: a class order that is not a permutation of the labels.
    """
    lists = shuffled_by_class(targets, numpy_generator(seed, "membership"))
    order = ordered_labels(targets, class_order)
    disjoint = _first_of_each_run(order, experiences, len(order) * disjoint_percent // 100)
    leaving = np.where(disjoint, 0, leaving_counts(lists.counts, blurry_percent))

    place = home_experiences(order, experiences)[lists.classes]
    pool = np.flatnonzero(lists.ranks < leaving[lists.classes])
    pool = numpy_generator(seed, "pool").permutation(pool)
    place[pool] = np.arange(len(pool)) % experiences

    arrival = np.empty_like(place)
    arrival[lists.samples] = place
    within_order = numpy_generator(seed, "within_order")
    parts = shuffled_by_experience(arrival, experiences, within_order)
    return plan_of(targets, parts, boundaries=False, class_order=order)


def _first_of_each_run(order: Int64, experiences: int, total: int) -> npt.NDArray[np.bool_]:
    """Choose `total` classes, equally many from each home run, bool ``[C]`` by ascending label value."""
    runs = largest_remainder(np.ones(experiences), len(order))
    chosen = largest_remainder(np.ones(experiences), total)
    position_in_run = ranges(np.zeros_like(runs), runs)
    return (position_in_run < np.repeat(chosen, runs))[np.argsort(order)]
