"""WA: distil, rehearse, and make the rows of new classes as long as those of old ones."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import Unpack

from cl_engine.models.alignment import AlignOption
from cl_engine.strategies.distillation.rehearsed import DistilledReplay
from cl_engine.strategies.rehearsal.replay import MemoryOptions
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class WA(DistilledReplay):
    """Weight aligning (Zhao et al., CVPR 2020): maintaining discrimination by distillation, fairness by norms.

    ``(1 - l) CE + l KD`` while training; then every row of the head that belongs to a class first seen in this
    experience is multiplied by gamma, the mean norm of old rows over that of new ones.  Biases stay.  Where no
    class is new, or none is old, gamma is 1.  Weights of the head may be negative while training, as in PyCIL.

    The default ``align: shrink`` is ours: gamma is 1 at most.  The paper's ``always`` is made for long training
    with weight decay, after which new rows are the longer ones (:func:`cl_engine.models.weight_alignment`).
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        align: AlignOption = "shrink",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(**options)
        self.align = align

    def end(self, task: Task) -> None:
        """Align the head's rows of new classes with those of old ones."""
        self.network.head.align(task.old_classes, self.align)
