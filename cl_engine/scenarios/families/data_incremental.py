"""Data-incremental streams: new samples of the same classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.grouping import balanced_parts, plan_by_arrival
from cl_engine.scenarios.plan import Int64, StreamPlan

Experiences = Annotated[int, Field(ge=1, description="number of experiences")]


def data_incremental(
    targets: Int64,
    *,
    experiences: Experiences = 5,
    seed: Annotated[int, Field(ge=0, description="deals the samples and orders them inside each experience")] = 0,
) -> StreamPlan:
    """Every class arrives in every experience, a new balanced part of its samples each time.

    The counts of a class, and the sizes of the experiences, differ by at most one between experiences (new
    instances, Lomonaco and Maltoni 2017).  A class with fewer samples than there are experiences is missing
    from some of them.

    Raises:
        OptionError: more experiences than samples.
    """
    require_samples(targets, experiences)
    return plan_by_arrival(targets, balanced_parts(targets, experiences, seed), experiences, seed=seed)


def require_samples(targets: Int64, experiences: int) -> None:
    """Raise an OptionError where ``experiences`` exceeds the number of samples, so that some must be empty."""
    if experiences > len(targets):
        what = f"{experiences} experiences, but the data has {len(targets)} samples; one each at least"
        raise OptionError("experiences", what)
