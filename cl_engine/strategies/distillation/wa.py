"""WA: distil, rehearse, and make the rows of new classes as long as those of old ones."""

from __future__ import annotations

from typing import ClassVar

from cl_engine.strategies.distillation.rehearsed import DistilledReplay
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task


class WA(DistilledReplay):
    """Weight aligning (Zhao et al., CVPR 2020): maintaining discrimination by distillation, fairness by norms.

    ``(1 - l) CE + l KD`` while training; then every row of the head that belongs to a class first seen in this
    experience is multiplied by gamma, the mean norm of old rows over that of new ones.  Biases stay.  Where no
    class is new, or none is old, gamma is 1.  Weights of the head may be negative while training, as in PyCIL.

    Made for long training, after which new rows are longer.  After short training they are shorter than rows that
    have learned in several experiences: gamma is then above 1 and favours new classes.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def end(self, task: Task) -> None:
        """Align the head's rows of new classes with those of old ones."""
        self.network.head.align(task.old_classes)
