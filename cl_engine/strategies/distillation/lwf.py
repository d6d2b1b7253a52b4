"""Learning without forgetting: the old network's answers stand for the old data."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.losses import distillation, masked_cross_entropy
from cl_engine.models.backbone import BackboneOption
from cl_engine.models.network import Network
from cl_engine.strategies.coming import coming
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class LwF(Finetune):
    """LwF (Li and Hoiem, ECCV 2016) in its class-incremental form: no exemplar is held.

    The loss is ``CE + strength * KD``.  CE is over the classes of the experience alone, so that old ones, of which
    no sample comes, are not unlearned; a class that returns is among them.  KD is over all classes seen before,
    softened by T, without a factor T squared: code that has one means a fourth of the strength at T = 2.  Default
    strength and the lack of the factor are as in PyCIL.  The teacher sees the samples as they are augmented.

    As in the paper, old and new scores meet for the first time when predicting, and nothing has balanced them.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"

    def __init__(
        self,
        *,
        backbone: BackboneOption = "mlp",
        strength: Annotated[
            float, Field(ge=0, le=1e9, description="weight lambda of the distillation, which has no T squared")
        ] = 3.0,
        temperature: Annotated[float, Field(gt=0, le=1e9, description="T, by which scores are softened")] = 2.0,
    ) -> None:
        super().__init__(backbone=backbone)
        self.strength, self.temperature = strength, temperature

    def learn(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        loss = partial(
            self.distilled,
            coming=coming(task, samples),
            teacher=task.teacher(self.network),
            old=task.old_classes,
        )
        fit(self.network, samples, task, loss)

    def distilled(self, batch: Samples, coming: Tensor, teacher: Network | None = None, old: int = 0) -> Tensor:
        """Return ``CE(classes of the experience) + lambda KD(old classes)``, a scalar.

        Args:
            batch: samples of the experience.
            coming: bool ``[C]``, the classes of the experience.
            teacher: the network before the experience; None without old classes.
            old: how many classes are old.
        """
        scores: Tensor = self.network(batch.x)
        loss = masked_cross_entropy(scores, batch.y, coming, self.label_smoothing)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = teacher(batch.x)[:, :old]
        return loss + self.strength * distillation(scores[:, :old], before, self.temperature)
