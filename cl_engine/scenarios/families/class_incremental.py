"""Class-incremental streams: B0-Inc-m and Bk-Inc-m."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.grouping import plan_by_arrival, positions_in
from cl_engine.scenarios.plan import Int64, StreamPlan

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
    step: Annotated[int, Field(ge=1, le=10**9, description="classes of every later experience")] = 2,
    class_order: ClassOrder = 1993,
    remainder: Annotated[
        Literal["error", "last", "first", "drop"],
        Field(
            description="classes left over when `step` does not divide: refuse; a smaller last experience; "
            "one more class in each of the earliest; or leave them out"
        ),
    ] = "error",
    seed: Annotated[int, Field(ge=0, description="orders the samples inside each experience")] = 0,
) -> StreamPlan:
    """Every class arrives once, whole: `first` classes, then `step` at a time.

    The samples of an experience come in a uniform random order.  With ``class_order: 1993`` this is the order
    of PyCIL and of the papers that follow it (Rebuffi et al. 2017 for the protocol).

    Raises:
        OptionError: more classes asked for than there are, a remainder under ``remainder: error``, or a class
            order that is not a permutation of the labels.
    """
    order = ordered_labels(targets, class_order)
    counts = _classes_per_experience(len(order), first, step, remainder)
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


def _classes_per_experience(classes: int, given: int | None, step: int, remainder: str) -> list[int]:
    first = step if given is None else given
    if first > classes:
        option = "step" if given is None else "first"
        raise OptionError(
            option, f"{first} classes in the first experience, but the data has {classes}; allowed: up to {classes}"
        )
    full, left = divmod(classes - first, step)
    counts = [first] + [step] * full
    if not left:
        return counts
    if remainder == "error":
        raise OptionError(
            "step",
            f"{classes} classes - {first} in the first experience leave {classes - first}, which {step} does not "
            "divide; choose another step, or `remainder: last`, `first` or `drop`",
        )
    if remainder == "last":
        counts.append(left)
    elif remainder == "first":
        # The leftover classes go to the earliest experiences, one each, round and round.
        counts = [c + left // len(counts) + (i < left % len(counts)) for i, c in enumerate(counts)]
    return counts


def _excerpt(labels: npt.NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, labels[:5].tolist()))
    return shown + (", ..." if len(labels) > 5 else "")
