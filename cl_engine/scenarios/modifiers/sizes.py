"""Experiences of unequal size."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.dealing import largest_remainder
from cl_engine.scenarios.modifiers import require_movable
from cl_engine.scenarios.plan import Int64, StreamPlan


def sizes(
    targets: Int64,
    plan: StreamPlan,
    *,
    distribution: Annotated[
        Literal["dirichlet", "zipf"],
        Field(description="random shares; or shares 1, 1/2^alpha, 1/3^alpha, ... in random order"),
    ] = "dirichlet",
    alpha: Annotated[
        float,
        Field(ge=0.05, le=1e6, description="larger is more equal under dirichlet, more unequal under zipf"),
    ] = 1.0,
    seed: Annotated[int, Field(ge=0, description="draws the sizes")] = 0,
) -> StreamPlan:
    """Cut the stream anew into as many experiences, of very different sizes; the order of delivery stays.

    Every experience holds one sample at least, and the rest is dealt by largest remainder, so the total is exact.
    A cut may fall inside a class, and an experience that spans several of the old ones delivers them one after
    the other.

    Raises:
        OptionError: the stream repeats samples or tells tasks apart, or has fewer samples than experiences.
    """
    require_movable(plan, "distribution")
    generator = numpy_generator(seed, "sizes/quota")
    if distribution == "dirichlet":
        shares = generator.standard_gamma(alpha, len(plan))
    else:
        shares = generator.permutation(np.arange(1.0, len(plan) + 1) ** -alpha)
    spare = len(plan.indices) - len(plan)
    if spare < 0:
        what = f"{len(plan.indices)} samples for {len(plan)} experiences; one each at least"
        raise OptionError("distribution", what)
    return dataclasses.replace(plan, offsets=np.append(0, np.cumsum(1 + largest_remainder(shares, spare))))
