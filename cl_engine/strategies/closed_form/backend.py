"""Which of the two forms of a closed-form learner is cheaper: sums that are solved when asked, or the recursion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cl_engine.terms.task import Task

Solver = Annotated[
    Literal["auto", "accumulate", "recursive"],
    Field(
        description="accumulate: sums, solved when a prediction is asked for; recursive: always solved, dearer a "
        "sample; auto: recursive where predictions are asked for so often that it is cheaper"
    ),
]
# Measured on one core (`benchmarks/analytic.py queries`): both cost the same at d / 4 to d / 8 samples between two
# queries where they come 64 at a time, and at d / 13 to d / 35 where 10 at a time, from d = 512 on.
PER_QUERY = 8


def recursive(solver: str, width: int, task: Task) -> bool:
    """Tell whether the recursion is to be used, by hand or by the measured rule.

    Recursive it is where fewer samples than an eighth of the width come between two queries; within an experience
    these are known of an online stream with `evaluate.every`.
    """
    if solver == "auto":
        return task.online and task.evaluate_every is not None and task.evaluate_every * PER_QUERY < width
    return solver == "recursive"
