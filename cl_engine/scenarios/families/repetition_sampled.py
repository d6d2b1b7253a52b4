"""Class-incremental streams with repetition, sampling-based: classes appear, return and repeat their samples."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import ClassLists, ranges, shuffled_by_class, undelivered
from cl_engine.scenarios.plan import Int64, StreamPlan, plan_of

FIRST_PARAMETER = {"uniform": 1.0, "geometric": 0.01, "zipf": 1.0, "reversed-zipf": 1.0}


def repetition_sampled(
    targets: Int64,
    *,
    experiences: Annotated[int, Field(ge=1, le=10**6, description="number of experiences")] = 500,
    size: Annotated[int, Field(ge=1, le=10**9, description="samples per experience")] = 500,
    first_occurrence: Annotated[
        Literal["uniform", "geometric", "poisson", "zipf", "reversed-zipf"],
        Field(description="distribution of the experience in which a class first occurs"),
    ] = "geometric",
    first_parameter: Annotated[
        float | None,
        Field(
            description="of `first_occurrence`: uniform, the fraction of the stream (default 1); geometric, the "
            "probability (0.01); poisson, the mean (required); zipf, the exponent (1)"
        ),
    ] = None,
    repetition: Annotated[
        Literal["fixed", "dual", "zipf"],
        Field(
            description="probability that a class is in a later experience: `p`; `p_high`, or `p` for a "
            "`low_fraction` of the classes; or rank ** -`exponent`"
        ),
    ] = "fixed",
    p: Annotated[float, Field(ge=0, le=1, description="probability of return (fixed), the low one (dual)")] = 0.2,
    p_high: Annotated[float, Field(ge=0, le=1, description="the high probability of return (dual)")] = 1.0,
    low_fraction: Annotated[float, Field(ge=0, le=1, description="fraction of the classes with `p` (dual)")] = 0.5,
    exponent: Annotated[
        float, Field(ge=0, description="how fast the probability falls with the rank (zipf)")
    ] = 1.0,
    sampling: Annotated[
        Literal["fresh-first", "independent"],
        Field(
            description="fresh-first: a class repeats a sample only after all its others; independent: each "
            "experience draws anew from all samples of the class, as published"
        ),
    ] = "fresh-first",
    seed: Annotated[int, Field(ge=0, description="draws everything")] = 0,
) -> StreamPlan:
    """Classes occur first at a random time and return at random; so may samples, and their reuse is noted.

    This is the sampling-based generator of Hemati et al. (CoLLAs 2023), whose long runs are the defaults.  Each
    experience shares `size` samples out equally among its classes, what does not divide to random ones; with more
    classes than samples some go without.  A share that exceeds a class is cut to the class, and noted.

    Experiences without a class are taken out, as in the released code, so the stream may be shorter; noted.

    Raises:
        OptionError: a `first_parameter` that the distribution cannot have, or none where it is required.
    """
    membership = numpy_generator(seed, "membership")
    lists = shuffled_by_class(targets, membership)
    classes = len(lists.labels)
    first_draws = numpy_generator(seed, "first_occurrence").random_sample(classes)
    cumulative = np.cumsum(first_occurrence_weights(first_occurrence, first_parameter, experiences))
    first = np.searchsorted(cumulative / cumulative[-1], first_draws, side="right")

    returning = np.full(classes, p, dtype=np.float64)
    if repetition == "dual":
        returning[round(classes * low_fraction) :] = p_high
    elif repetition == "zipf":
        returning[:] = np.arange(1.0, classes + 1) ** -exponent
    returning = numpy_generator(seed, "repetition_rank").permutation(returning)

    coins, quota = numpy_generator(seed, "repetition"), numpy_generator(seed, "quota")
    used = np.zeros(classes, dtype=np.int64)
    plan, short = [], 0
    for t in range(experiences):
        returns = coins.random_sample(classes) < returning
        present = quota.permutation(np.flatnonzero((first == t) | ((first < t) & returns)))
        wanted = np.zeros(classes, dtype=np.int64)
        if len(present):
            wanted[present] = size // len(present)
            wanted[present[: size % len(present)]] += 1
        amounts = np.minimum(wanted, lists.counts)
        short += int((wanted - amounts).sum())
        if sampling == "fresh-first":
            turns = ranges(used, amounts) % np.repeat(lists.counts, amounts)
            positions = np.repeat(lists.starts[:-1], amounts) + turns
            used += amounts
        else:
            positions = _draw_distinct(lists, amounts, membership)
        plan.append(lists.samples[positions])

    within_order = numpy_generator(seed, "within_order")
    plan = [within_order.permutation(samples) for samples in plan]
    notes = _notes(targets, plan, short)
    filled = [samples for samples in plan if len(samples)]
    if len(filled) < len(plan):
        notes += (f"{len(plan) - len(filled)} of {len(plan)} experiences had no class and were taken out",)
    return plan_of(targets, filled, repeats=True, notes=notes)


def first_occurrence_weights(kind: str, parameter: float | None, experiences: int) -> npt.NDArray[np.float64]:
    """Return how likely a class first occurs in each experience, float64 ``[T]``, up to a common factor.

    >>> first_occurrence_weights("uniform", 0.5, 4).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    value = FIRST_PARAMETER.get(kind) if parameter is None else parameter
    most = 1.0 if kind in ("uniform", "geometric") else np.inf
    least_allowed = "zipf" in kind
    if value is None or not (0 < value <= most or (least_allowed and value == 0)):
        given = "missing" if value is None else f"got {value}"
        bounds = f"{'>=' if least_allowed else '>'} 0{' and <= 1' if most == 1 else ''}"
        raise OptionError("first_parameter", f"{given}; `first_occurrence: {kind}` needs a number {bounds}")
    t = np.arange(experiences, dtype=np.float64)
    weights: npt.NDArray[np.float64]
    if kind == "uniform":
        weights = np.where(t < np.ceil(value * experiences), 1.0, 0.0)
    elif kind == "geometric":
        weights = (1 - value) ** t
    elif kind == "poisson":
        logarithm = t * np.log(value) - np.cumsum(np.log(np.maximum(t, 1)))
        weights = np.exp(logarithm - logarithm.max())  # relative to the largest, which would overflow
    else:
        weights = (t + 1) ** -value
    return weights[::-1] if kind == "reversed-zipf" else weights


def _draw_distinct(lists: ClassLists, amounts: Int64, generator: np.random.RandomState) -> Int64:
    """Draw positions in ``lists.samples``: from each class ``c`` a uniform set of ``amounts[c]``, int64 ``[C]``."""
    # Past the half we draw what is left out instead, so that a draw finds a new position every second time.
    inverted = 2 * amounts > lists.counts
    needed = np.where(inverted, lists.counts - amounts, amounts)
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < needed.sum():
        missing = needed - np.diff(np.searchsorted(drawn, lists.starts))
        within = (generator.random_sample(missing.sum()) * np.repeat(lists.counts, missing)).astype(np.int64)
        drawn = np.union1d(drawn, np.repeat(lists.starts[:-1], missing) + within)
    leave_out = np.repeat(inverted, needed)
    candidates = ranges(lists.starts[:-1][inverted], lists.counts[inverted])
    rest = np.setdiff1d(candidates, drawn[leave_out], assume_unique=True)
    return np.concatenate([drawn[~leave_out], rest])


def _notes(targets: Int64, plan: list[Int64], short: int) -> tuple[str, ...]:
    distinct = np.zeros(len(targets), dtype=bool)
    distinct[np.concatenate(plan)] = True
    delivered = sum(map(len, plan))
    reuse = 1 - distinct.sum() / max(delivered, 1)
    notes: tuple[str, ...] = (f"{reuse:.1%} of {delivered} deliveries repeat a sample",)
    if short:
        notes += (f"experiences are {short} samples short in all: shares exceeded their classes",)
    return notes + undelivered(targets, plan, "experiences choose classes and samples at random")
