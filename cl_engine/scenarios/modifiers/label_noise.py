"""Wrong labels, as part of the plan."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import numpy_generator
from cl_engine.scenarios.grouping import positions_in, ranks, shuffled_by
from cl_engine.scenarios.plan import Int64, StreamPlan, exposure_order

Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


def label_noise(
    targets: Int64,
    plan: StreamPlan,
    *,
    flip: Annotated[
        Literal["symmetric", "asymmetric"],
        Field(description="a wrong label is any other class; or the one partner of the true class"),
    ] = "symmetric",
    rate: Annotated[float, Field(ge=0, le=1, description="share of wrong labels in every class")] = 0.2,
    pairs: Annotated[
        list[Pair] | None,
        Field(
            description="asymmetric: [true, wrong] labels, every other class stays clean (default: each class "
            "turns into the next label)"
        ),
    ] = None,
    restrict: Annotated[
        Literal["all", "same_experience", "exposed"],
        Field(description="wrong labels are any class, one of the same experience, or one met by its end"),
    ] = "all",
    seed: Annotated[int, Field(ge=0, description="chooses the samples and draws their labels")] = 0,
) -> StreamPlan:
    """Deliver wrong labels: exactly round(rate * n_c) of the n_c samples of every class, never the true one.

    A sample that comes repeatedly counts once and keeps one wrong label; under ``restrict: same_experience``
    every delivery counts and is drawn by itself.  Only the delivered labels change: evaluation and the order of
    exposure go by the true ones.  The published asymmetric noise of CIFAR-10 is ``pairs: [[9, 1], [2, 0], [4, 7],
    [3, 5], [5, 3]]`` (Patrini et al. 2017).

    Raises:
        OptionError: impossible pairs, or a class with too few samples that have a wrong label to turn into.
    """
    if flip == "symmetric" and pairs is not None:
        raise OptionError("pairs", "only `flip: asymmetric` has pairs; leave them out")
    if not len(plan.indices):  # refused when all modifiers have been applied
        return plan
    # By arrival, whatever the ids are: the draws below must not depend on a class order.
    order = exposure_order(targets, dataclasses.replace(plan, class_order=None))
    delivered = positions_in(order, targets[plan.indices])  # class ids 0..C-1, numbered as they are met
    # One unit gets one label: a sample, seen at its first delivery, or every delivery.
    units = unit_of = np.arange(len(delivered))
    if plan.repeats and restrict != "same_experience":
        _, units, unit_of = np.unique(plan.indices, return_index=True, return_inverse=True)
    true = delivered[units]
    wanted = np.rint(rate * np.bincount(true, minlength=len(order))).astype(np.int64)
    choices = _choices(plan, delivered, units, restrict)

    if flip == "symmetric":
        flipped = _chosen(order, true, choices.stop - choices.start >= 2, wanted, seed)
        wrong = _any_other(choices, flipped, true[flipped], seed)
    else:
        partner = _partners(order, pairs)
        wanted[partner < 0] = 0
        able = choices.holds(partner[true]) & (partner[true] != true)
        flipped = _chosen(order, true, able, wanted, seed)
        wrong = partner[true[flipped]]
    if not len(flipped):
        return plan
    labels = order[true]
    labels[flipped] = order[wrong]
    return dataclasses.replace(plan, labels=labels[unit_of])


class _Choices(NamedTuple):
    """The classes that the label of a unit may turn into, its own included: the ids ``pool[start:stop] - owner``.

    Attributes:
        pool: int64, sorted ids, raised by ``owner``.
        owner: int64 ``[U]``; it keeps the runs of different experiences apart.
        start: int64 ``[U]``.
        stop: int64 ``[U]``.
    """

    pool: Int64
    owner: Int64
    start: Int64
    stop: Int64

    def holds(self, class_ids: Int64) -> npt.NDArray[np.bool_]:
        """Return for each unit whether its run holds the class, bool ``[U]``."""
        place = np.searchsorted(self.pool, self.owner + class_ids)
        inside: npt.NDArray[np.bool_] = (place >= self.start) & (place < self.stop)
        inside &= self.pool[np.minimum(place, len(self.pool) - 1)] == self.owner + class_ids
        return inside


def _choices(plan: StreamPlan, delivered: Int64, units: Int64, restrict: str) -> _Choices:
    classes = int(delivered.max()) + 1
    experience = np.repeat(np.arange(len(plan)), plan.sizes)
    if restrict == "same_experience":
        owner = experience * classes
        pool = np.unique(owner + delivered)
        return _Choices(pool, owner, np.searchsorted(pool, owner), np.searchsorted(pool, owner + classes))
    none = np.zeros(len(units), dtype=np.int64)
    stop = np.full(len(units), classes)
    if restrict == "exposed":
        met = np.maximum.accumulate(delivered) + 1
        stop = met[plan.offsets[1:] - 1][experience[units]]
    return _Choices(np.arange(classes), none, none, stop)


def _chosen(order: Int64, true: Int64, able: npt.NDArray[np.bool_], wanted: Int64, seed: int) -> Int64:
    """Choose ``wanted[c]`` units of every class c among the ``able`` ones; return their positions."""
    missing = np.flatnonzero(np.bincount(true[able], minlength=len(order)) < wanted)
    if len(missing):
        c = missing[0]
        what = (
            f"class {order[c]} needs {wanted[c]} wrong labels, but no other class is allowed to most of its samples"
        )
        raise OptionError("restrict", f"{what}; choose `restrict: all`, a lower rate or larger experiences")
    candidates = np.flatnonzero(able)
    candidates = candidates[shuffled_by(true[candidates], numpy_generator(seed, "label_noise/membership"))]
    return candidates[ranks(true[candidates]) < wanted[true[candidates]]]


def _any_other(choices: _Choices, flipped: Int64, true: Int64, seed: int) -> Int64:
    """Draw for each flipped unit a class of its run other than ``true``, uniformly."""
    pool, owner, start, stop = choices.pool, *(a[flipped] for a in choices[1:])
    generator = numpy_generator(seed, "label_noise/labels")
    drawn = start + (generator.random_sample(len(flipped)) * (stop - start - 1)).astype(np.int64)
    drawn += drawn >= np.searchsorted(pool, owner + true)  # steps over the true class
    return pool[drawn] - owner


def _partners(order: Int64, pairs: list[Pair] | None) -> Int64:
    """Return the class id that each class turns into, or -1, int64 ``[C]``."""
    ascending = np.argsort(order)
    partner = np.full(len(order), -1)
    if pairs is None:
        partner[ascending] = np.roll(ascending, -1)
        return partner
    ids = {int(label): i for i, label in enumerate(order)}
    for true, wrong in pairs:
        for label in (true, wrong):
            if label not in ids:
                raise OptionError("pairs", f"[{true}, {wrong}]: no sample of class {label} is delivered")
        if true == wrong or partner[ids[true]] >= 0:
            raise OptionError("pairs", f"[{true}, {wrong}]: a class turns into one other class")
        partner[ids[true]] = ids[wrong]
    return partner
