"""What every stream kind takes beside its own options: delivery, modifiers, and the fate of empty experiences."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cl_engine.kinds.signature import Section
from cl_engine.scenarios.empty import Empty
from cl_engine.scenarios.modifiers.drift import drift as drift_of
from cl_engine.scenarios.modifiers.imbalance import imbalance as imbalance_of
from cl_engine.scenarios.modifiers.label_noise import label_noise as label_noise_of
from cl_engine.scenarios.modifiers.shard import shard as shard_of
from cl_engine.scenarios.modifiers.sizes import sizes as sizes_of
from cl_engine.scenarios.modifiers.without import without as without_of


def every_stream(
    *,
    delivery: Annotated[
        Literal["offline", "online"],
        Field(description="an experience at once, for many epochs; or each sample once, in micro-batches"),
    ] = "offline",
    micro_batch: Annotated[
        int, Field(ge=1, le=10**9, description="samples of one micro-batch of an online stream")
    ] = 10,
    imbalance: Annotated[
        Any, Section(imbalance_of), Field(description="thin the classes out before the stream is planned")
    ] = None,
    drift: Annotated[
        Any, Section(drift_of), Field(description="let the share of the classes change along the stream")
    ] = None,
    sizes: Annotated[Any, Section(sizes_of), Field(description="uneven sizes of the experiences")] = None,
    label_noise: Annotated[Any, Section(label_noise_of), Field(description="deliver wrong labels")] = None,
    empty: Annotated[
        Empty | None,
        Field(
            description="experiences without samples: forbid (the stream is drawn anew), keep, or drop; default: "
            "keep for a published variant, else forbid"
        ),
    ] = None,
    shard: Annotated[
        Any, Section(shard_of), Field(description="deliver a share of the stream, as one of several machines would")
    ] = None,
    without: Annotated[
        Any, Section(without_of), Field(description="leave classes or samples out of the planned stream")
    ] = None,
) -> None:
    """Options that every stream takes beside its own.

    Modifiers apply in this order: imbalance, the family itself, drift, sizes, label_noise, empty, shard, without.
    """
