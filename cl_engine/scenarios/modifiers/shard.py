"""A share of a stream, as one of several machines would see it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.modifiers.without import narrowed
from cl_engine.scenarios.plan import Int64, StreamPlan


def shard(
    targets: Int64,
    plan: StreamPlan,
    *,
    of: Annotated[int, Field(ge=1, le=10**6, description="how many shards the stream is divided into")],
    parts: Annotated[
        list[Annotated[int, Field(ge=0)]], Field(min_length=1, description="which of them to deliver, from 0 on")
    ],
) -> StreamPlan:
    """Deliver some shards of the stream: delivery p belongs to shard p mod ``of``.

    Every experience is divided as evenly as can be.  What is not delivered is as if it had never been in the data,
    so the shards may number their classes differently.

    Raises:
        OptionError: a part that is no shard, or twice; no sample is left.
    """
    wrong = [part for part in parts if part >= of]
    if wrong or len(set(parts)) < len(parts):
        raise OptionError("parts", f"got {parts}; allowed: numbers from 0 to {of - 1}, each once")
    return narrowed(plan, np.isin(np.arange(len(plan.indices)) % of, parts), "parts", "of other shards")
