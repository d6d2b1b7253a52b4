"""What the experiences of a stream expose: counts and ids of classes, no sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cl_engine.scenarios.plan import Int64, StreamPlan, class_ids, exposure_order


class Exposure(NamedTuple):
    """The classes of one experience, as ids (see :func:`~cl_engine.scenarios.plan.exposure_order`).

    Attributes:
        classes: ids present, ascending.
        new_classes: ids first exposed now, ascending.
        seen_classes: how many were exposed so far, the new ones included.
    """

    classes: tuple[int, ...]
    new_classes: tuple[int, ...]
    seen_classes: int


def exposures(targets: Int64, plan: StreamPlan) -> list[Exposure]:
    """Return what each experience of a plan exposes.

    Args:
        targets: int64 ``[N]``, labels of the training samples.
        plan: a plan for them.
    """
    order, labels = exposure_order(targets, plan), plan.delivered(targets)
    seen, found = 0, []
    for t in range(len(plan)):
        present = np.sort(class_ids(np.unique(labels[plan.offsets[t] : plan.offsets[t + 1]]), order))
        new = present[present >= seen]
        seen += len(new)
        found.append(Exposure(tuple(present.tolist()), tuple(new.tolist()), seen))
    return found
