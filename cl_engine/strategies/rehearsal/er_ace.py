"""ER-ACE: new samples compete among the incoming classes only, exemplars among all."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from cl_engine.data.samples import Samples
from cl_engine.losses import masked_cross_entropy
from cl_engine.memory.exemplars import Exemplars
from cl_engine.strategies.rehearsal.replay import RehearsalOptions, Replay, SelectionOption
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.charges import bytes_of
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class ERACE(Replay):
    """Experience replay with asymmetric cross-entropy (ER-ACE; Caccia et al., ICLR 2022).

    The loss is the sum of two means: of the new samples under a softmax over the classes present among them, and of
    the exemplars under a softmax over all seen classes.  New samples so push no old class down that is absent.

    So new and old classes meet among exemplars alone, and those that are rehearsed include samples of the current
    experience: online they are in the memory once they were trained on, offline a memory that has them already is
    made for the training (``exemplars in training``), from the second experience on.  What is held is chosen after
    it.

    The classes present are a set, whatever their ids: the released code also opens all ids from the largest seen
    one on, which takes it for granted that classes come in the order of their ids and never return.  It keeps a
    reservoir, as here, and sends new samples and exemplars through the network one after the other, where here they
    share a batch and its norm; Avalanche halves the sum.
    """

    budget_decides: ClassVar[BudgetDecides] = "exemplars"

    def __init__(
        self,
        *,
        selection: SelectionOption = "reservoir",
        **options: Unpack[RehearsalOptions],
    ) -> None:
        super().__init__(selection=selection, **options)

    def train_on(self, task: Task, samples: Samples) -> None:
        """Minimise the loss of samples and of exemplars, the samples' own classes among these."""
        fit(self.network, samples, task, self.loss, memory=self.rehearsed(task, samples), mix=self.mix)

    def rehearsed(self, task: Task, samples: Samples) -> Exemplars:
        """Return the memory; offline after the first experience one in which the samples have their share."""
        if task.online or not task.index:
            return self.memory
        memory = copy.deepcopy(self.memory)
        memory.update(samples, self._limits(task), task.generator("exemplars in training"), self.chosen_by(task))
        task.charge("exemplars in training", bytes_of(memory))
        return memory

    def loss(self, batch: Samples) -> Tensor:
        """Return ``CE(new; classes present among them) + CE(exemplars; all seen classes)``, a scalar."""
        scores, old = self.scores(self.network, batch.x), batch.rehearsed
        return self.incoming(scores[~old], batch.y[~old]) + self.cross_entropy(scores[old], batch.y[old])

    def incoming(self, scores: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy over the classes present in ``y``, a scalar."""
        present = torch.zeros(scores.shape[1], dtype=torch.bool, device=y.device)
        present[y] = True
        return masked_cross_entropy(scores, y, present, self.label_smoothing)
