"""Domain-incremental streams: the same classes under another transform in every experience."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.families.data_incremental import Experiences, require_samples
from cl_engine.scenarios.grouping import balanced_parts, plan_by_arrival
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of


def domain_incremental(
    targets: Int64,
    *,
    experiences: Experiences = 5,
    transform: Annotated[
        Literal["permutation", "rotation"],
        Field(
            description="what sets the experiences apart: a permutation of the pixels (none in the first), or a "
            "rotation by an angle between 0 and 180 degrees"
        ),
    ] = "permutation",
    samples: Annotated[
        Literal["all", "split"],
        Field(description="every experience delivers all samples, or a balanced part that no other one delivers"),
    ] = "all",
    seed: Annotated[int, Field(ge=0, description="draws the transforms and orders the samples")] = 0,
) -> StreamPlan:
    """The classes stay and the input changes: one pixel permutation or one rotation per experience.

    Permuted and Rotated MNIST are the published forms, of 20 experiences each (Goodfellow et al. 2013,
    Lopez-Paz and Ranzato 2017).  ``samples: all`` delivers each sample once under every transform.
    :func:`cl_engine.scenarios.transforms.apply` carries the transforms out.

    Raises:
        OptionError: more experiences than samples.
    """
    require_samples(targets, experiences)
    transforms = tuple(_transforms(transform, experiences, seed))
    if samples == "split":
        parts = balanced_parts(targets, experiences, seed)
        return plan_by_arrival(targets, parts, experiences, seed=seed, transforms=transforms)
    generator = numpy_generator(seed, "within_order")
    orders = [generator.permutation(len(targets)) for _ in range(experiences)]
    return plan_of(targets, orders, repeats=experiences > 1, transforms=transforms)


def _transforms(kind: str, experiences: int, seed: int) -> list[dict[str, Any]]:
    generator = numpy_generator(seed, "transform")
    if kind == "rotation":
        return [{"kind": kind, "degrees": float(d)} for d in generator.uniform(0, 180, experiences)]
    # 53 bits: two of them practically never agree, and every JSON reader keeps them exact.
    seeds = generator.randint(0, 2**53, experiences - 1, dtype=np.int64)
    return [{"kind": "identity"}, *({"kind": kind, "seed": int(s)} for s in seeds)]
