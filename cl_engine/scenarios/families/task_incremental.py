"""Task-incremental streams: class-incremental ones whose task is known at prediction time."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.plan import Int64, StreamPlan


@functools.wraps(class_incremental, assigned=("__annotations__",))  # its options, under our own name
def task_incremental(targets: Int64, **options: Any) -> StreamPlan:
    """As class-incremental, but a prediction chooses only among the classes of the sample's own experience.

    It delivers the same samples in the same order as ``class-incremental`` with the same options, so the two
    share a fingerprint (van de Ven and Tolias 2019 for the three settings).

    Raises:
        OptionError: as ``class-incremental``.
    """
    return dataclasses.replace(class_incremental(targets, **options), task_identity=True)
