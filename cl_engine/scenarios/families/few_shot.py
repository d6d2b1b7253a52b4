"""Few-shot class-incremental streams (FSCIL)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.grouping import plan_by_arrival, positions_in, ranks, shuffled_by
from cl_engine.scenarios.plan import Int64, StreamPlan


def few_shot(
    targets: Int64,
    *,
    base: Annotated[
        int, Field(ge=1, le=10**9, description="classes of the base experience, all their samples")
    ] = 60,
    ways: Annotated[int, Field(ge=1, le=10**9, description="classes of every later session")] = 5,
    shots: Annotated[int, Field(ge=1, le=10**9, description="samples of each class of a session")] = 5,
    class_order: ClassOrder = 1993,
    seed: Annotated[int, Field(ge=0, description="chooses the shots and orders the samples")] = 0,
) -> StreamPlan:
    """A complete base experience, then sessions of `ways` new classes with `shots` samples each.

    CIFAR-100 and miniImageNet: base 60, then 8 sessions 5-way 5-shot; CUB-200: base 100, then 10 sessions
    10-way 5-shot (Tao et al. 2020).  The published index lists fix the shots; here the seed draws them.

    Raises:
        OptionError: the classes after the base do not fill whole sessions, or one has fewer than `shots` samples.
    """
    order = ordered_labels(targets, class_order)
    later = len(order) - base
    if later < ways:
        what = f"{base} of {len(order)} classes in the base leave no session of {ways}; choose fewer"
        raise OptionError("base", what)
    if later % ways:
        what = (
            f"sessions of {ways} do not divide the {later} classes after the base; choose another `ways` or `base`"
        )
        raise OptionError("ways", what)
    position = positions_in(order, targets)
    counts = np.bincount(position, minlength=len(order))
    scarce = base + int(np.argmin(counts[base:]))
    if counts[scarce] < shots:
        what = f"{shots} samples asked of every session class, but class {order[scarce]} has {counts[scarce]}"
        raise OptionError("shots", what)

    grouped = shuffled_by(position, numpy_generator(seed, "membership"))
    surplus = (position[grouped] >= base) & (ranks(position[grouped]) >= shots)
    session_of_class = np.maximum(np.arange(len(order)) - base, -1) // ways + 1
    arrival = session_of_class[position]
    arrival[grouped[surplus]] = -1
    left_out = int(surplus.sum())
    notes = (f"{left_out} samples of session classes left out ({shots} shots each)",) if left_out else ()
    return plan_by_arrival(targets, arrival, 1 + later // ways, seed=seed, notes=notes, class_order=order)
