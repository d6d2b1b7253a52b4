"""Replay: train on the new samples together with exemplars of the old ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import ExemplarMemory, Selection
from cl_engine.models.backbone import BackboneOption
from cl_engine.parts import OptionError
from cl_engine.strategies.finetune import Finetune
from cl_engine.strategies.task import Task
from cl_engine.training import fit

DEFAULT_TOTAL = 200


class Replay(Finetune):
    """Train on the experience's samples and the exemplars, one shuffled set; then choose exemplars anew.

    The number of exemplars is the smallest of what is asked for: ``total``, ``per_class``, and what the memory
    budget leaves; 200 in all where none of them is given.
    """

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        selection: Annotated[
            Selection,
            Field(description="random per class, a reservoir over the whole stream, or herding per class (iCaRL)"),
        ] = "random",
        total: Annotated[
            int | None, Field(ge=1, description="exemplars in all, shared evenly by the classes seen")
        ] = None,
        per_class: Annotated[
            int | None, Field(ge=1, description="exemplars of each class; not with `selection: reservoir`")
        ] = None,
    ) -> None:
        super().__init__(backbone=backbone)
        self.selection, self.total, self.per_class = selection, total, per_class
        if per_class is not None and selection == "reservoir":
            raise OptionError("per_class", "a reservoir has no classes; allowed: `total`, or another selection")

    def begin(self, task: Task) -> None:
        """Grow the head; start with an empty exemplar memory."""
        super().begin(task)
        if task.index == 0:
            self.memory = ExemplarMemory(self.selection, task.shape).to(task.device)
        self.memory.grow(task.seen_classes)

    def learn(self, task: Task, samples: Samples) -> None:
        """Train on samples and exemplars, then let the samples compete for a place among the exemplars."""
        fit(self.network, samples, task, self.loss, self.memory.samples())
        slots = self._slots(task, len(samples))
        self.memory.update(samples, slots, self.per_class, task.generator("exemplars"), self.features)

    def _slots(self, task: Task, arriving: int) -> int:
        allowed = [self.total, task.exemplar_slots(self)]
        if self.per_class is not None:
            allowed.append(self.per_class * task.seen_classes)
        given = [slots for slots in allowed if slots is not None]
        return min(given or [DEFAULT_TOTAL])
