"""DER, the expandable one: a whole backbone for each experience that brings classes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import Unpack

from cl_engine.memory.exemplars import Selection
from cl_engine.models.alignment import AlignOption
from cl_engine.strategies.expansion.memo import MEMO
from cl_engine.strategies.rehearsal.replay import QuotaOption, SlotOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class DERExpandable(MEMO):
    """Dynamically expandable representation (Yan et al., CVPR 2021), as PyCIL has it.

    The network of MEMO with nothing in common: each backbone starts as a copy of the newest, earlier ones are
    frozen and in evaluation mode, one head stands on all their features.  The loss is ``CE + alpha CE`` of an
    auxiliary head on the newest backbone, which takes all old classes for one and is gone after the experience.

    PyCIL's variant: the head is kept, and its rows of new classes are aligned at the end, where the authors train a
    fresh head on balanced data.  As in the authors' release nothing is pruned.  An experience without new classes
    adds no backbone: the newest one learns on.  The default ``align: shrink`` is ours, PyCIL's is ``always``
    (:func:`cl_engine.models.weight_alignment`).
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        selection: Annotated[
            Selection, Field(description="as of replay, herding as in the papers; a reservoir needs `quota: even`")
        ] = "herding",
        quota: QuotaOption = "papers",
        auxiliary: Annotated[float, Field(ge=0, le=1e9, description="weight alpha of the auxiliary loss")] = 1.0,
        align: AlignOption = "shrink",
        **options: Unpack[SlotOptions],
    ) -> None:
        super().__init__(selection=selection, quota=quota, auxiliary=auxiliary, cut=0, align=align, **options)

    def extend(self, task: Task) -> None:
        """Add a backbone for new classes from the second experience on; the head grows both ways."""
        if task.index and task.seen_classes > task.old_classes:
            self.network.branch()
        self.grow_head(task)
