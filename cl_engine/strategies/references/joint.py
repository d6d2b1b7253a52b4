"""Joint training: the upper reference."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cl_engine.data.samples import Samples, sample_dtype
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import BudgetDecides
from cl_engine.terms.task import Task
from cl_engine.training.loop import fit


class Joint(Finetune):
    """Keep every sample and train a fresh network on all of them after each experience; the data is charged.

    In an online stream every step rehearses from all samples so far.
    """

    budget_decides: ClassVar[BudgetDecides] = "nothing"
    x: Tensor
    y: Tensor

    def begin(self, task: Task) -> None:
        """Start with no data; a fresh network of the right size for each experience."""
        self.label_smoothing = task.training.label_smoothing
        self.network = self.build(task)
        self.extend(task)
        if task.index == 0:
            dtype = sample_dtype(task.shape)
            self.hold("x", torch.empty(0, *task.shape, dtype=dtype, device=task.device), kind="exemplars")
            self.hold("y", torch.empty(0, dtype=torch.int32, device=task.device), kind="labels")

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the data, minimise ``CE(every sample so far)``."""
        past = Samples(self.x, self.y.long())
        fit(self.network, samples, task, self.loss, memory=past)
        self.x, self.y = torch.cat([past.x, samples.x]), torch.cat([past.y, samples.y]).int()
