"""Class-incremental streams with repetition, slot-based: S(N, K)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import shuffled_by_class, shuffled_by_experience, undelivered
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of


def repetition_slots(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="number of experiences, N")] = 10,
    classes_per_experience: Annotated[
        int, Field(ge=1, le=10**9, description="slots of an experience, K: each holds an equal part of one class")
    ] = 10,
    seed: Annotated[int, Field(ge=0, description="cuts the classes, fills the slots and orders the samples")] = 0,
) -> StreamPlan:
    """Classes return with new samples: N experiences of K slots, each filled with an equal part of a class.

    This is S(N, K) of Hemati et al. (CoLLAs 2023).  With C classes there are N*K slots; every class is cut into
    ``N*K // C`` equal parts, and random classes into one more, so that each part fills one slot.  Experiences
    are filled from the last to the first with random classes that have parts left, so only the first ones may
    hold a class twice; there the released code may repeat a class before it has used all others, this does not.
    K = C/N is a class-incremental stream; K = C brings every class every time.

    No sample comes twice.  What is left of a class after its equal parts is dropped and noted: a class with fewer
    samples than parts is dropped whole.

    Raises:
        OptionError: more slots in an experience than classes, or fewer slots than classes in all.
    """
    lists = shuffled_by_class(targets, numpy_generator(seed, "membership"))
    classes, slots = len(lists.labels), experiences * classes_per_experience
    if not classes <= slots <= experiences * classes:
        raise OptionError(
            "classes_per_experience",
            f"{experiences} experiences of {classes_per_experience} slots for {classes} classes; choose "
            f"{-(-classes // experiences)} to {classes}: a slot for each class, and as many classes as slots",
        )
    partition = numpy_generator(seed, "partition")
    parts = np.full(classes, slots // classes)
    parts[partition.permutation(classes)[: slots % classes]] += 1

    filled = _fill(parts, experiences, classes_per_experience, partition)
    experience_of_slot = np.repeat(np.arange(experiences), classes_per_experience)
    experience_of_part = experience_of_slot[np.argsort(filled, kind="stable")]  # class after class
    first_part = np.cumsum(parts) - parts

    length = lists.counts // parts
    part = lists.ranks // np.maximum(length, 1)[lists.classes]
    kept = part < np.where(length, parts, 0)[lists.classes]
    arrival = np.full(len(targets), -1)
    arrival[lists.samples[kept]] = experience_of_part[(first_part[lists.classes] + part)[kept]]

    plan = shuffled_by_experience(arrival, experiences, numpy_generator(seed, "within_order"))
    return plan_of(targets, plan, notes=undelivered(targets, plan, "left over from the equal parts of their class"))


def _fill(parts: Int64, experiences: int, slots: int, generator: np.random.RandomState) -> Int64:
    """Return the class of every slot, int64 ``[experiences * slots]``, the first experience first."""
    left = parts.copy()
    filled = np.empty((experiences, slots), dtype=np.int64)
    for t in reversed(range(experiences)):
        free = slots
        while free:  # a second round only where fewer classes than slots are left
            chosen = generator.permutation(np.flatnonzero(left))[:free]
            filled[t, slots - free : slots - free + len(chosen)] = chosen
            left[chosen] -= 1
            free -= len(chosen)
    return filled.ravel()
