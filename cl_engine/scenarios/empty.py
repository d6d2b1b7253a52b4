"""What becomes of an experience without samples."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.plan import StreamPlan

Empty = Literal["forbid", "keep", "drop"]


def without_empty(plan: StreamPlan, policy: Empty) -> StreamPlan:
    """Refuse, keep or take out experiences without samples; what is kept or taken out is noted.

    Raises:
        OptionError: an experience is empty under ``forbid``, or all of them are.
    """
    is_empty = plan.sizes == 0
    if not is_empty.any():
        return plan
    positions = np.flatnonzero(is_empty).tolist()
    named = ", ".join(str(p + 1) for p in positions[:10]) + (", ..." if len(positions) > 10 else "")
    if policy == "forbid" or is_empty.all():
        what = f"{len(positions)} of {len(plan)} experiences have no samples ({named})"
        raise OptionError("empty", f"{what}; allowed: fewer experiences, or `keep` or `drop`")
    if policy == "keep":
        return dataclasses.replace(plan, notes=(*plan.notes, f"empty experiences: {named}"))
    transforms = plan.transforms and tuple(t for t, e in zip(plan.transforms, is_empty, strict=True) if not e)
    notes = (*plan.notes, f"empty experiences taken out: {named}")
    return dataclasses.replace(plan, offsets=np.unique(plan.offsets), transforms=transforms, notes=notes)
