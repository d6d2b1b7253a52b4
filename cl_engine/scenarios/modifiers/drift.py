"""A class prior that changes along the stream."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.modifiers import require_movable
from cl_engine.scenarios.plan import Int64, StreamPlan

CELLS = 1024  # resolution of the prior along the stream


def drift(
    targets: Int64,
    plan: StreamPlan,
    *,
    shape: Annotated[
        Literal["linear", "periodic", "abrupt"],
        Field(description="the log-odds of the classes move steadily, swing, or jump once in the middle"),
    ] = "linear",
    amplitude: Annotated[
        float,
        Field(ge=0, le=10, description="by how much the log-odds of the most affected classes move either way"),
    ] = 1.0,
    periods: Annotated[int, Field(ge=1, le=100, description="full swings over the stream (shape: periodic)")] = 2,
    seed: Annotated[int, Field(ge=0, description="draws which classes grow and which shrink")] = 0,
) -> StreamPlan:
    """Let the class prior drift: samples change places across experiences, whose sizes stay.

    The prior at time u follows softmax(a + b f(u)): f is the shape, b spreads evenly from -amplitude to
    +amplitude over the classes, and a is whatever uses up every class exactly.  Each class is stretched along
    the stream to that density, in its old order, and the stream is sorted by the new times; so it is a sampling
    without replacement by quota, it blurs the boundaries of a stream whose classes come one after another, and
    an amplitude of zero returns the plan itself.  The order inside an experience drifts like the rest.

    Raises:
        OptionError: the stream repeats samples or tells tasks apart.
    """
    if amplitude == 0:
        return plan
    require_movable(plan, "amplitude")
    labels, class_ids = np.unique(targets[plan.indices], return_inverse=True)
    strength = np.linspace(-amplitude, amplitude, len(labels))
    strength = numpy_generator(seed, "drift/direction").permutation(strength)
    course = _course(shape, periods)
    edges = np.linspace(0, 1, CELLS + 1)

    by_class = np.argsort(class_ids, kind="stable")
    starts = np.searchsorted(class_ids[by_class], np.arange(len(labels) + 1))
    times = (by_class + 0.5) / len(by_class)
    for c, (start, stop) in enumerate(itertools.pairwise(starts)):
        passed = np.append(0, np.cumsum(np.exp(strength[c] * course)))
        times[start:stop] = np.interp(times[start:stop], passed / passed[-1], edges)
    arrival = np.empty_like(times)
    arrival[by_class] = times
    order = np.argsort(arrival, kind="stable")
    delivered = None if plan.labels is None else plan.labels[order]
    return dataclasses.replace(plan, indices=plan.indices[order], labels=delivered)


def _course(shape: str, periods: int) -> npt.NDArray[np.float64]:
    """Return f at the middle of each cell of the stream, between -1 and 1, ``[CELLS]``."""
    time: npt.NDArray[np.float64] = (np.arange(CELLS) + 0.5) / CELLS
    if shape == "linear":
        return 2 * time - 1
    if shape == "periodic":
        return np.sin(2 * np.pi * periods * time)
    return np.where(time < 0.5, -1.0, 1.0)
