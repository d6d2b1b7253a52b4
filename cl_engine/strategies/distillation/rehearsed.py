"""Exemplars and a teacher together: what WA and BiC train with."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.losses import distillation
from cl_engine.memory.exemplars.encoded import EncodedSamples
from cl_engine.models.network import Network
from cl_engine.strategies.coming import coming
from cl_engine.strategies.rehearsal.herded import HerdedReplay
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit

TEMPERATURE = 2.0


class DistilledReplay(HerdedReplay):
    """Minimise ``(1 - l) CE + l KD`` of samples and herded exemplars; T = 2, without a factor T squared.

    l is the share of the seen classes that do not come: old / seen where every class comes once, as in the papers.
    Where old classes return there is as much less to keep and more to learn; with old / seen itself an experience
    without new classes would learn nothing.
    """

    def train_on(self, task: Task, samples: Samples) -> None:
        """Train under the network as it was when the experience began."""
        self.distil(task, samples, self.memory)

    def distil(self, task: Task, samples: Samples, memory: Samples | EncodedSamples) -> None:
        """Minimise :meth:`distilled` of samples and what is rehearsed."""
        absent = float((~coming(task, samples)).float().mean())
        teacher = task.teacher(self.network)
        loss = partial(self.distilled, share=absent, teacher=teacher, old=task.old_classes)
        fit(self.network, samples, task, loss, memory=memory, mix=self.mix)

    def distilled(self, batch: Samples, share: float = 0.0, teacher: Network | None = None, old: int = 0) -> Tensor:
        """Return ``(1 - l) CE(all classes) + l KD(old classes)``, a scalar.

        Args:
            batch: new samples and exemplars.
            share: l.
            teacher: the network before the experience; None without old classes.
            old: how many classes are old.
        """
        scores = self.student_scores(batch.x)
        loss = (1 - share) * F.cross_entropy(scores, batch.y, label_smoothing=self.label_smoothing)
        if teacher is None:
            return loss
        with torch.no_grad():
            before = self.teacher_scores(teacher, batch.x)[:, :old]
        return loss + share * distillation(scores[:, :old], before, TEMPERATURE)

    def student_scores(self, x: Tensor) -> Tensor:
        """Return the scores ``[B, C]`` that are trained."""
        return self.scores(self.network, x)

    def teacher_scores(self, teacher: Network, x: Tensor) -> Tensor:
        """Return the scores ``[B, C]`` that the old classes' are to keep to."""
        return self.scores(teacher, x)
