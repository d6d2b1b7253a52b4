"""Modifiers: what can be done to the stream of any family.

Each is a function of the labels and (but for ``imbalance``, which runs first) of a plan; its keyword arguments
are its options.  :func:`cl_engine.scenarios.composition.compose` applies them in one fixed order.
"""

from __future__ import annotations

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.plan import StreamPlan
from cl_engine.scenarios.transforms import domain_of


def require_movable(plan: StreamPlan, option: str) -> None:
    """Raise an OptionError on ``option`` where samples may not move from one experience of ``plan`` to another."""
    if plan.repeats:
        what = "the stream delivers samples repeatedly, so moving them could deliver one twice in an experience"
        raise OptionError(option, f"{what}; choose a stream that delivers every sample once")
    if plan.task_identity:
        what = "the stream tells tasks apart at prediction time, and a class that moves would belong to several"
        raise OptionError(option, f"{what}; choose a stream without task identity")
    if plan.transforms is not None and domain_of(plan.transforms[0]) is not None:
        what = "the experiences are domains of the data, and a sample that moves would be taken for another domain"
        raise OptionError(option, f"{what}; choose a stream without domains of the data")
