"""Class-incremental streams: B0-Inc-m and Bk-Inc-m."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.grouping import plan_by_arrival, positions_in
from cl_engine.scenarios.plan import Int64, StreamPlan

STEP = 2

ClassOrder = Annotated[
    int | Literal["natural"] | list[int],
    Field(
        description="a seed for NumPy's legacy permutation (1993 is the field's order), 'natural' (ascending "
        "labels), or the list of labels; always the ORDER, never its inverse"
    ),
]


def class_incremental(
    targets: Int64,
    *,
    first: Annotated[
        int | None, Field(ge=1, le=10**9, description="classes of the first experience (default: as `step`)")
    ] = None,
    step: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="classes of every later experience (default: 2, or by `experiences`)"),
    ] = None,
    experiences: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="number of experiences, instead of `step`: equal parts of the classes"),
    ] = None,
    class_order: ClassOrder = 1993,
    remainder: Annotated[
        Literal["error", "last", "first", "drop"],
        Field(
            description="classes left over by the division: refuse; a smaller last experience; "
            "one more class in each of the earliest; or leave them out"
        ),
    ] = "error",
    seed: Annotated[int, Field(ge=0, description="orders the samples inside each experience")] = 0,
) -> StreamPlan:
    """Every class arrives once, whole: `first` classes, then `step` at a time, or as many as `experiences` take.

    The samples of an experience come in a uniform random order.  With ``class_order: 1993`` this is the order
    of PyCIL and of the papers that follow it (Rebuffi et al. 2017 for the protocol).

    Raises:
        OptionError: more classes or experiences asked for than there are classes, a remainder under ``remainder:
            error``, `step` and `experiences` that disagree, or a class order that is no permutation of the labels.
    """
    order = ordered_labels(targets, class_order)
    counts = class_counts(len(order), first, step, experiences, remainder)
    experience_of = np.repeat(np.arange(len(counts)), counts)  # by position in the class order

    arrival = np.append(experience_of, np.full(len(order) - len(experience_of), -1))[positions_in(order, targets)]
    left_out = len(order) - sum(counts)
    notes = (f"{left_out} classes left out (remainder: drop)",) if left_out else ()
    return plan_by_arrival(targets, arrival, len(counts), seed=seed, notes=notes, class_order=order)


def ordered_labels(targets: Int64, class_order: int | str | list[int]) -> Int64:
    """Return the distinct labels in the order that ``class_order`` asks for, int64 ``[C]``.

    >>> ordered_labels(np.arange(10), 1993).tolist()
    [4, 2, 7, 6, 0, 3, 5, 8, 9, 1]
    """
    labels = np.unique(targets)
    if isinstance(class_order, list):
        if sorted(class_order) != labels.tolist():
            raise OptionError(
                "class_order",
                f"the list must hold each of the {len(labels)} labels once ({_excerpt(labels)}), it holds "
                f"{len(class_order)} entries",
            )
        return np.array(class_order, dtype=np.int64)
    if class_order == "natural":
        return labels
    if not 0 <= int(class_order) < 2**32:
        raise OptionError("class_order", "a seed lies between 0 and 4294967295")
    return labels[np.random.RandomState(int(class_order)).permutation(len(labels))]


def canonical(targets: Int64, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with `first`, `step` and `experiences` in one spelling, whichever of them were given.

    That is `step`, and `first` where it is another number; `experiences` only where those two cannot say it.

    >>> canonical(np.arange(10), {"first": None, "step": None, "experiences": 5, "remainder": "error"})
    {'first': None, 'step': 2, 'experiences': None, 'remainder': 'error'}
    """
    classes, remainder = len(np.unique(targets)), options["remainder"]
    first, step, experiences = (options[name] for name in ("first", "step", "experiences"))
    counts = class_counts(classes, first, step, experiences, remainder)
    if experiences is None:
        step = step or STEP
    elif step is None:
        step = max(counts[first is not None :], default=first) if remainder == "last" else counts[-1]
        if _by_step(classes, first, step, remainder) != counts:
            return dict(options)
    return {**options, "first": None if first == step else first, "step": step, "experiences": None}


def class_counts(
    classes: int, first: int | None, step: int | None, experiences: int | None, remainder: str
) -> list[int]:
    """Return how many of the ``classes`` each experience brings; the arguments are the family's options.

    >>> class_counts(100, 50, None, 6, "error")
    [50, 10, 10, 10, 10, 10]

    Raises:
        OptionError: as the family.
    """
    if first is not None and first > classes:
        what = f"{first} classes in the first experience, but the data has {classes}; allowed: up to {classes}"
        raise OptionError("first", what)
    if experiences is None:
        return _by_step(classes, first, step or STEP, remainder)
    if step is None:
        return _by_number(classes, first, experiences, remainder)
    counts = _by_step(classes, first, step, remainder)
    if len(counts) != experiences:
        what = f"{classes} classes, {step} at a time" + (f" after {first}" if first not in (None, step) else "")
        what = f"{what}, make {len(counts)} experiences, not {experiences}; leave `experiences` or `step` out"
        raise OptionError("experiences", what)
    return counts


def _by_step(classes: int, given: int | None, step: int, remainder: str) -> list[int]:
    first = step if given is None else given
    if first > classes:
        what = f"{first} classes in the first experience, but the data has {classes}; allowed: up to {classes}"
        raise OptionError("step", what)
    full, left = divmod(classes - first, step)
    counts = [first] + [step] * full
    if left and remainder == "error":
        raise OptionError(
            "step",
            f"{classes} classes - {first} in the first experience leave {classes - first}, which {step} does not "
            "divide; choose another step, or `remainder: last`, `first` or `drop`",
        )
    if left and remainder == "last":
        counts.append(left)
    return _to_the_earliest(counts, left) if remainder == "first" else counts


def _by_number(classes: int, first: int | None, experiences: int, remainder: str) -> list[int]:
    rest, sharing = classes - (first or 0), experiences - (first is not None)
    where = "" if first is None else f" after {first} in the first"
    if rest < sharing or (rest and not sharing):
        what = f"{classes} classes do not make {experiences} experiences{where}"
        raise OptionError("experiences", f"{what}; allowed: one class each at least, and all classes used")
    share, left = divmod(rest, sharing) if sharing else (0, 0)
    counts = ([] if first is None else [first]) + [share] * sharing
    if left and remainder == "error":
        what = f"{rest} classes{where} do not divide into {sharing} experiences"
        raise OptionError("experiences", f"{what}; choose another number, or `remainder: last`, `first` or `drop`")
    if left and remainder == "last":
        counts[-sharing:] = [share + 1] * (sharing - 1) + [rest - (share + 1) * (sharing - 1)]
        if counts[-1] < 1:
            what = f"{sharing} experiences of {share + 1} or fewer classes, the last one smaller, exceed {rest}"
            raise OptionError("remainder", f"{what} classes{where}; allowed: first or drop")
    return _to_the_earliest(counts, left) if remainder == "first" else counts


def _to_the_earliest(counts: list[int], left: int) -> list[int]:
    """Deal the leftover classes to the earliest experiences, one each, round and round."""
    return [c + left // len(counts) + (i < left % len(counts)) for i, c in enumerate(counts)]


def _excerpt(labels: npt.NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, labels[:5].tolist()))
    return shown + (", ..." if len(labels) > 5 else "")
