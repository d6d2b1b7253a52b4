"""Task-free streams whose tasks blend linearly into one another."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.dealing import largest_remainder
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.families.data_incremental import require_samples
from cl_engine.scenarios.grouping import plan_by_arrival, positions_in, shuffled_by
from cl_engine.scenarios.plan import Int64, StreamPlan


def linear_decay(
    targets: Int64,
    *,
    tasks: Annotated[
        int, Field(ge=1, le=10**9, description="groups of classes, equal or one class larger for the first")
    ] = 5,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="parts in which the stream is delivered")] = 50,
    beta: Annotated[
        float, Field(gt=0, description="sharpness: tasks overlap for 2/beta of their length; hard from 1 down")
    ] = 4.0,
    class_order: ClassOrder = 1993,
    seed: Annotated[int, Field(ge=0, description="deals the samples and orders them inside each experience")] = 0,
) -> StreamPlan:
    """Tasks rise and fall linearly and overlap with their neighbours; boundaries are hidden.

    Zeno et al. 2018 draw every batch at random from the tasks in proportion to their weights at that moment.
    Here each task deals its samples over the experiences by quota, in proportion to those weights, so every
    sample is delivered exactly once.

    Raises:
        OptionError: more tasks than classes, fewer experiences than tasks, or more than samples.
    """
    order = ordered_labels(targets, class_order)
    if tasks > len(order):
        raise OptionError("tasks", f"{tasks} tasks, but the data has {len(order)} classes; one each at least")
    if experiences < tasks:
        raise OptionError("experiences", f"{experiences} experiences for {tasks} tasks; as many as tasks at least")
    require_samples(targets, experiences)
    share, left = divmod(len(order), tasks)
    task_of_class = np.repeat(np.arange(tasks), share + (np.arange(tasks) < left))
    task = task_of_class[positions_in(order, targets)]

    sizes = np.bincount(task, minlength=tasks)
    weights = task_weights(tasks, experiences, beta)
    quotas = np.concatenate([largest_remainder(w, int(n)) for w, n in zip(weights, sizes, strict=True)])
    arrival = np.empty(len(targets), dtype=np.int64)
    arrival[shuffled_by(task, numpy_generator(seed, "membership"))] = np.repeat(
        np.tile(np.arange(experiences), tasks), quotas
    )
    return plan_by_arrival(targets, arrival, experiences, seed=seed, boundaries=False, class_order=order)


def task_weights(tasks: int, experiences: int, beta: float) -> npt.NDArray[np.float64]:
    """Return the share of each task in each experience, ``[tasks, experiences]``; every column adds up to 1.

    >>> task_weights(2, 8, 2.0)[0].round(2).tolist()
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    k, now = np.arange(tasks)[:, None], np.arange(experiences)[None, :]
    if beta <= 1:
        return np.equal(now * tasks // experiences, k).astype(np.float64)
    # Task k fades in between these two experiences, while task k - 1 fades out.
    begins = np.floor((beta * k - 1) * experiences / (beta * tasks))
    ends = np.floor((beta * k + 1) * experiences / (beta * tasks))
    ramp = np.clip((now - begins) / np.maximum(ends - begins, 1), 0, 1)
    rise = np.where(ends > begins, ramp, now >= ends)
    rise[0] = 1
    fall = np.ones_like(rise)
    fall[:-1] = 1 - rise[1:]
    weights: npt.NDArray[np.float64] = np.minimum(rise, fall)
    weights /= weights.sum(axis=0)
    return weights
