"""Few-shot class-incremental streams (FSCIL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.grouping import plan_by_arrival, positions_in, ranks, shuffled_by
from cl_engine.scenarios.plan import Int64, StreamPlan

WAYS = 5


def few_shot(
    targets: Int64,
    *,
    base: Annotated[
        int, Field(ge=1, le=10**9, description="classes of the base experience, all their samples")
    ] = 60,
    ways: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="classes of every later session (default: 5, or by `experiences`)"),
    ] = None,
    experiences: Annotated[
        int | None,
        Field(ge=2, le=10**9, description="base and sessions together, instead of `ways`: equal sessions"),
    ] = None,
    shots: Annotated[int, Field(ge=1, le=10**9, description="samples of each class of a session")] = 5,
    class_order: ClassOrder = 1993,
    seed: Annotated[int, Field(ge=0, description="chooses the shots and orders the samples")] = 0,
) -> StreamPlan:
    """A complete base experience, then sessions of `ways` new classes with `shots` samples each.

    CIFAR-100 and miniImageNet: base 60, then 8 sessions 5-way 5-shot; CUB-200: base 100, then 10 sessions
    10-way 5-shot (Tao et al. 2020).  The published index lists fix the shots; here the seed draws them.

    Raises:
        OptionError: the classes after the base do not fill whole sessions, `ways` and `experiences` disagree, or a
            class has fewer than `shots` samples.
    """
    order = ordered_labels(targets, class_order)
    later, ways = len(order) - base, _ways(len(order), base, ways, experiences)
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


def canonical(targets: Int64, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the sessions said by `ways`, whether it or `experiences` was given."""
    classes = len(np.unique(targets))
    ways = _ways(classes, options["base"], options["ways"], options["experiences"])
    return {**options, "ways": ways, "experiences": None}


def _ways(classes: int, base: int, given: int | None, experiences: int | None) -> int:
    later = classes - base
    ways = given or WAYS
    if given is None and experiences is not None:
        ways, left = divmod(later, experiences - 1)
        if ways < 1 or left:
            what = f"{classes} classes - {base} in the base leave {later}, no {experiences - 1} equal sessions"
            raise OptionError("experiences", f"{what}; choose another number or `base`")
    if later < ways:
        raise OptionError(
            "base", f"{base} of {classes} classes in the base leave no session of {ways}; choose fewer"
        )
    if later % ways:
        what = (
            f"sessions of {ways} do not divide the {later} classes after the base; choose another `ways` or `base`"
        )
        raise OptionError("ways", what)
    if experiences not in (None, 1 + later // ways):
        what = f"a base of {base} and sessions of {ways} make {1 + later // ways} experiences of {classes} classes"
        raise OptionError("experiences", f"{what}, not {experiences}; leave `experiences` or `ways` out")
    return ways
