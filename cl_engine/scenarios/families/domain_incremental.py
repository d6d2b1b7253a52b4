"""Domain-incremental streams: the same classes in another domain in every experience."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import Alias
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.families.data_incremental import require_samples
from cl_engine.scenarios.grouping import balanced_parts, plan_by_arrival
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of

EXPERIENCES = 5  # of a stream whose domains are made


def domain_incremental(
    targets: Int64,
    domains: Int64 | None = None,
    *,
    experiences: Annotated[
        int | None, Field(ge=1, description="number of experiences; default: that of the data's domains, else 5")
    ] = None,
    transform: Annotated[
        Literal["data", "permutation", "rotation"] | None,
        Alias("domains"),
        Field(
            description="what sets the experiences apart: the data's own domains, a permutation of the pixels "
            "(none in the first), or a rotation by an angle between 0 and 180 degrees; default: data where it "
            "has domains, else permutation"
        ),
    ] = None,
    samples: Annotated[
        Literal["all", "split"],
        Field(description="every experience delivers all samples, or a balanced part that no other one delivers"),
    ] = "all",
    seed: Annotated[int, Field(ge=0, description="draws the transforms and orders the samples")] = 0,
) -> StreamPlan:
    """The classes stay and the input changes: the data's own domains, or one permutation or rotation each.

    Permuted and Rotated MNIST are the published forms, of 20 experiences each (Goodfellow et al. 2013,
    Lopez-Paz and Ranzato 2017).  ``samples: all`` delivers each sample once under every transform.
    :func:`cl_engine.scenarios.transforms.apply` carries the transforms out.  The data's own domains come in
    ascending order, each sample once, whatever ``samples`` says.

    Raises:
        OptionError: more experiences than samples, another number than there are domains, or none in the data.
    """
    kind, experiences = _resolved(domains, transform, experiences)
    if kind == "data":
        assert domains is not None
        values, arrival = np.unique(domains, return_inverse=True)
        own = tuple({"kind": "domain", "domain": int(value)} for value in values)
        return plan_by_arrival(targets, arrival, len(values), seed=seed, transforms=own)
    require_samples(targets, experiences)
    transforms = tuple(_transforms(kind, experiences, seed))
    if samples == "split":
        parts = balanced_parts(targets, experiences, seed)
        return plan_by_arrival(targets, parts, experiences, seed=seed, transforms=transforms)
    generator = numpy_generator(seed, "within_order")
    orders = [generator.permutation(len(targets)) for _ in range(experiences)]
    return plan_of(targets, orders, repeats=experiences > 1, transforms=transforms)


def canonical(targets: Int64, domains: Int64 | None, stream: Mapping[str, Any]) -> dict[str, Any]:
    """Say which transform the default means for this data, and how many experiences; domains need no number."""
    transform, experiences = _resolved(domains, stream["transform"], stream["experiences"])
    return {**stream, "transform": transform, "experiences": None if transform == "data" else experiences}


def _resolved(domains: Int64 | None, transform: str | None, experiences: int | None) -> tuple[str, int]:
    transform = transform or ("permutation" if domains is None else "data")
    if transform != "data":
        return transform, experiences or EXPERIENCES
    if domains is None:
        what = "this data has no domains of its own; allowed: permutation or rotation, or data that has them"
        raise OptionError("transform", what)
    found = len(np.unique(domains))
    if experiences not in (None, found):
        raise OptionError("experiences", f"got {experiences}, but the data has {found} domains; allowed: {found}")
    return transform, found


def _transforms(kind: str, experiences: int, seed: int) -> list[dict[str, Any]]:
    generator = numpy_generator(seed, "transform")
    if kind == "rotation":
        return [{"kind": kind, "degrees": float(d)} for d in generator.uniform(0, 180, experiences)]
    # 53 bits: two of them practically never agree, and every JSON reader keeps them exact.
    seeds = generator.randint(0, 2**53, experiences - 1, dtype=np.int64)
    return [{"kind": "identity"}, *({"kind": kind, "seed": int(s)} for s in seeds)]
