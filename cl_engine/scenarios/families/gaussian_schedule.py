"""Task-free streams in which every class has one peak and fades in and out around it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.families.class_incremental import ClassOrder, ordered_labels
from cl_engine.scenarios.families.data_incremental import require_samples
from cl_engine.scenarios.grouping import positions_in
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of

STEPS, BATCH = 5, 16


def gaussian_schedule(
    targets: Int64,
    *,
    variant: Annotated[
        Literal["exact", "published"],
        Field(
            description="deliver every sample once at a normally distributed time; or draw every experience anew "
            "from the classes that are included at that moment, so that samples repeat"
        ),
    ] = "exact",
    experiences: Annotated[
        int, Field(ge=1, le=10**6, description="parts (published: episodes; the papers use 200)")
    ] = 50,
    sigma: Annotated[
        float, Field(ge=0, description="width of a class's presence, as a fraction of the stream's length")
    ] = 0.05,
    class_order: ClassOrder = "natural",
    steps: Annotated[
        int | None, Field(ge=1, le=10**9, description="published only: batches per experience (default: 5)")
    ] = None,
    batch: Annotated[
        int | None, Field(ge=1, le=10**9, description="published only: samples per batch (default: 16)")
    ] = None,
    seed: Annotated[int, Field(ge=0, description="draws the times, or the included classes and samples")] = 0,
) -> StreamPlan:
    """Classes peak one after another, each fading in and out as a normal curve; boundaries are hidden.

    ``published`` is the schedule of Shanahan et al. 2021 (arXiv 2105.13327) that L2P calls Gaussian scheduled
    CIFAR-100: 200 experiences of 5 steps, width 50 steps.  ``exact`` keeps its peaks and its width, and delivers
    each sample exactly once, in the order of arrival times: the class sequence for ``sigma: 0``, a uniform
    shuffle for a very large one.

    Raises:
        OptionError: more experiences than samples, an option of the other variant, or a published schedule that
            is too short or too narrow to include every class.
    """
    order = ordered_labels(targets, class_order)
    position = positions_in(order, targets)
    if variant == "published":
        return _published(targets, order, position, experiences, sigma, steps or STEPS, batch or BATCH, seed)
    for option, value in (("steps", steps), ("batch", batch)):
        if value is not None:
            raise OptionError(option, "only `variant: published` has it; leave it out")
    require_samples(targets, experiences)
    peaks = (np.arange(len(order)) + 0.5) / len(order)
    times = truncated_normal(peaks[position], sigma, numpy_generator(seed, "arrival"))
    parts = np.array_split(np.argsort(times, kind="stable"), experiences)
    return plan_of(targets, parts, boundaries=False, class_order=order)


def truncated_normal(
    centres: npt.NDArray[np.float64], sigma: float, generator: np.random.RandomState
) -> npt.NDArray[np.float64]:
    """Draw one time in [0, 1] per centre in [0, 1] from the normal distribution truncated to [0, 1], ``[N]``.

    By rejection, so that only elementary operations decide the order: from the normal itself where it is narrow,
    from the uniform distribution where it is wide.  Either accepts nearly half of its draws at least.
    """
    times: npt.NDArray[np.float64] = centres.copy()
    waiting = np.arange(len(times) if sigma else 0)
    while len(waiting):
        centre = centres[waiting]
        if sigma < 0.5:
            drawn = centre + sigma * generator.standard_normal(len(waiting))
            accepted = (drawn >= 0) & (drawn <= 1)
        else:
            drawn = generator.random_sample(len(waiting))
            height = np.exp(-(((drawn - centre) / sigma) ** 2) / 2)
            accepted = generator.random_sample(len(waiting)) < height
        times[waiting[accepted]] = drawn[accepted]
        waiting = waiting[~accepted]
    return times


def _published(
    targets: Int64, order: Int64, position: Int64, experiences: int, sigma: float, steps: int, batch: int, seed: int
) -> StreamPlan:
    length, classes = experiences * steps, len(order)
    spacing = length // classes
    if not spacing:
        what = f"{experiences} x {steps} steps leave no peak for each of the {classes} classes; choose more"
        raise OptionError("experiences", what)
    if seed >= 2**32:
        raise OptionError("seed", "`variant: published` takes a seed between 0 and 4294967295")
    peaks = spacing // 2 + spacing * np.arange(classes)
    by_class = np.argsort(position, kind="stable")
    counts = np.bincount(position, minlength=classes)
    starts = np.cumsum(counts) - counts

    generator = np.random.RandomState(seed)
    drawn: list[Int64] = []
    for episode in range(experiences):
        chance = np.exp(-(((episode * steps - peaks) / max(sigma * length, 1e-9)) ** 2) / 2)
        if chance.sum() < 0.01:  # the redraw below would go on for ages
            raise OptionError(
                "sigma", f"{sigma} leaves experience {episode} without any class; choose a larger one"
            )
        included = generator.random_sample(classes) < chance
        while not included.any():
            included = generator.random_sample(classes) < chance
        chosen = np.flatnonzero(included)
        ends = np.cumsum(counts[chosen])
        ticket = _distinct(generator, int(ends[-1]), min(batch * steps, int(ends[-1])))
        pick = np.searchsorted(ends, ticket, side="right")  # the class that each ticket falls in
        offset_in_class = ticket - (ends - counts[chosen])[pick]
        drawn.append(by_class[starts[chosen][pick] + offset_in_class])
    short = sum(len(d) < batch * steps for d in drawn)
    delivered = np.bincount(np.concatenate(drawn), minlength=len(targets)) > 0
    missing = classes - len(np.unique(position[delivered]))
    notes = [f"{short} experiences are shorter: their classes have fewer than {batch * steps} samples"] * bool(
        short
    )
    if not delivered.all():
        notes.append(f"{(~delivered).sum()} samples are never drawn, among them {missing} whole classes")
    return plan_of(targets, drawn, repeats=True, boundaries=False, notes=tuple(notes), class_order=order)


def _distinct(generator: np.random.RandomState, below: int, count: int) -> Int64:
    """Draw ``count`` distinct integers in [0, below) in uniform random order, without touching all of them."""
    if 2 * count >= below:
        return generator.permutation(below)[:count]
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < count:
        more = np.concatenate([drawn, generator.randint(0, below, count, dtype=np.int64)])
        drawn = more[np.sort(np.unique(more, return_index=True)[1])]
    return drawn[:count]
