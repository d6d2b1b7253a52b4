"""A stream without some of its samples, otherwise as it was."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.plan import Int64, StreamPlan

Listed = list[int]


def without(
    targets: Int64,
    plan: StreamPlan,
    *,
    classes: Annotated[Listed, Field(description="labels of the data; no sample delivered as one of them")] = [],  # noqa: B006 - an option, never changed
    samples: Annotated[Listed, Field(description="training samples by their place in the data, from 0 on")] = [],  # noqa: B006 - an option, never changed
) -> StreamPlan:
    """Leave samples out of a stream that is planned with them: the rest comes when it would have come.

    That is what a run has to be compared with that unlearned them.  Experiences that lose all their samples are
    kept, empty.

    Raises:
        OptionError: there is no such class or sample in the stream, or none is left.
    """
    delivered = plan.delivered(targets)
    _check("classes", classes, delivered)
    _check("samples", samples, plan.indices)
    gone = np.isin(delivered, classes) | np.isin(plan.indices, samples)
    return narrowed(plan, ~gone, "classes" if classes else "samples", "as asked")


def narrowed(plan: StreamPlan, kept: npt.NDArray[np.bool_], option: str, why: str) -> StreamPlan:
    """Return a plan with some of its deliveries, bool ``[S]``; a note says how many are left out.

    Raises:
        OptionError: none is kept.
    """
    if not kept.any():
        raise OptionError(option, "no sample of the stream is left; allowed: at least one")
    if kept.all():
        return plan
    offsets = np.concatenate([[0], np.cumsum(kept)])[plan.offsets]
    labels = None if plan.labels is None else plan.labels[kept]
    note = f"{int((~kept).sum())} of {len(kept)} deliveries left out {why}"
    return dataclasses.replace(
        plan, indices=plan.indices[kept], offsets=offsets, labels=labels, notes=(*plan.notes, note)
    )


def _check(option: str, named: Listed, present: Int64) -> None:
    unknown = np.setdiff1d(named, present)
    if len(unknown):
        raise OptionError(option, f"{unknown[0]} is not in the stream; allowed: what it delivers")
