"""Joint training: the upper reference."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.models.network import Network
from cl_engine.strategies.finetune import Finetune
from cl_engine.strategies.task import Task
from cl_engine.training import fit


class Joint(Finetune):
    """Keep every sample and train a fresh network on all of them after each experience; the data is charged."""

    x: Tensor
    y: Tensor

    def begin(self, task: Task) -> None:
        """Start with no data; a fresh network of the right size for each experience."""
        self.network = Network(self.backbone, task.shape, task.generator("backbone"), task.device)
        self.network.head.grow(task.seen_classes, task.generator("head"))
        if task.index == 0:
            dtype = torch.uint8 if len(task.shape) == 3 else torch.float32
            self.hold("x", torch.empty(0, *task.shape, dtype=dtype, device=task.device), kind="exemplars")
            self.hold("y", torch.empty(0, dtype=torch.int32, device=task.device), kind="labels")

    def learn(self, task: Task, samples: Samples) -> None:
        """Add the samples to the data, train on all of it."""
        everything = Samples(self.x, self.y.long()) + samples
        self.x, self.y = everything.x, everything.y.int()
        fit(self.network, everything, task, self.loss)
